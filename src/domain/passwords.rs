//! Passwords: which ones are taken. How they are hashed is the service's.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Result};

/// Fewest characters of a password.
pub const FEWEST: usize = 12;
/// Most characters, so that hashing one is never much work.
const MOST: usize = 200;

/// A password as somebody typed it, in one Unicode form whatever his keyboard makes. Debug output shows none of it.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// What was typed to sign in: compared, and never judged.
    #[must_use]
    pub fn typed(text: &str) -> Self {
        let folded: String = text.chars().take(MOST + 1).nfc().collect();
        Self(SecretString::from(folded))
    }

    /// What is to be somebody's password from now on. `email` is his, which it must not be.
    ///
    /// # Errors
    /// `Invalid` naming `password`.
    pub fn chosen(text: &str, email: &str) -> Result<Self> {
        let length = text.nfc().count();
        if !(FEWEST..=MOST).contains(&length) {
            let message = format!("a password has {FEWEST} to {MOST} characters");
            return Err(Error::invalid("password", message));
        }
        let lowered = text.to_lowercase();
        let first = lowered.chars().next();
        if lowered == email || lowered.chars().all(|each| Some(each) == first) {
            let message =
                "a password that is your e-mail address, or one character again and again, is soon guessed";
            return Err(Error::invalid("password", message));
        }
        Ok(Self::typed(text))
    }

    /// Its bytes, to be hashed.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Password(...)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_and_not_easily_guessed() {
        let email = "ada.lovelace@example.org";
        assert!(Password::chosen("correct horse", email).is_ok());
        assert!(Password::chosen(&"ab".repeat(100), email).is_ok());
        for bad in ["", "eleven char", "aaaaaaaaaaaaaa", "Ada.Lovelace@example.org", &"ab".repeat(101)] {
            assert!(Password::chosen(bad, email).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_password_has_one_form() {
        assert_eq!(Password::typed("cafe\u{301}").expose(), Password::typed("caf\u{e9}").expose());
        assert_eq!(format!("{:?}", Password::typed("hunter2")), "Password(...)");
    }
}
