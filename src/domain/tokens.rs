//! Secrets that a browser holds: what it proves a session with, and what a one-time link carries.
//!
//! Not what they are for, and not their storage: of a token only the hash is kept.

use std::fmt;

use rand::distr::Alphanumeric;
use rand::{CryptoRng, RngExt};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::hex;

/// Letters and digits of a token: 238 random bits.
const LENGTH: usize = 40;

/// Random letters and digits that nobody guesses. Debug output shows none of them.
#[derive(Clone)]
pub struct Token(SecretString);

impl Token {
    /// A new one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let text: Zeroizing<String> =
            Zeroizing::new(rng.sample_iter(Alphanumeric).take(LENGTH).map(char::from).collect());
        Self(SecretString::from(text.as_str()))
    }

    /// The token that `text` is, if its shape is right.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_shaped = text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_shaped.then(|| Self(SecretString::from(text)))
    }

    /// All of it, for the one who is to hold it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// SHA-256, which it is stored and looked up by.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.expose()).into()
    }

    /// What the forms of the page carry that was made for the holder of this token: it proves that he was shown
    /// them, and does not give the token away.
    #[must_use]
    pub fn form_proof(&self) -> String {
        let digest = Sha256::new().chain_update("form\0").chain_update(self.expose()).finalize();
        hex::encode(&digest)
    }

    /// Whether `proof` is the one of this token's forms; takes as long whatever it is.
    #[must_use]
    pub fn proves(&self, proof: &str) -> bool {
        // Hashes are compared, so that how long it takes tells nothing of what would be right.
        Sha256::digest(self.form_proof()) == Sha256::digest(proof)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(...)")
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_new_token_parses_and_differs_from_others() {
        let mut rng = StdRng::seed_from_u64(1);
        let (one, other) = (Token::generate(&mut rng), Token::generate(&mut rng));
        assert_eq!(Token::parse(one.expose()).unwrap().hash(), one.hash());
        assert_ne!(one.hash(), other.hash());
        assert_eq!(format!("{one:?}"), "Token(...)");
    }

    #[test]
    fn garbage_is_no_token() {
        for bad in [String::new(), "a".repeat(39), "a".repeat(41), format!("{}-", "a".repeat(39))] {
            assert!(Token::parse(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_form_is_proven_by_its_own_token_alone() {
        let mut rng = StdRng::seed_from_u64(1);
        let (one, other) = (Token::generate(&mut rng), Token::generate(&mut rng));
        assert!(one.proves(&one.form_proof()));
        assert!(!one.proves(&other.form_proof()) && !one.proves("") && !one.proves(one.expose()));
        assert!(!one.form_proof().contains(one.expose()));
    }
}
