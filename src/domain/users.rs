//! People, what they are called and what they may do. Not how they prove who they are.

use std::fmt;

use super::id::{UserId, UserKey};
use super::time::Millis;
use crate::error::{Error, Result};

/// What a person may do here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Creates models and evals, changes his own, triggers runs.
    Member,
    /// May do everything.
    Admin,
}

impl Role {
    /// The word in the tables and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }

    /// The role of that word, as somebody chose it.
    ///
    /// # Errors
    /// `Invalid` naming `role`.
    pub fn chosen(word: &str) -> Result<Self> {
        Self::parse(word).map_err(|_| Error::invalid("role", "role must be member or admin"))
    }

    /// The role of that word.
    ///
    /// # Errors
    /// `Internal`: only tables are read with this.
    pub fn parse(word: &str) -> Result<Self> {
        match word {
            "member" => Ok(Self::Member),
            "admin" => Ok(Self::Admin),
            _ => Err(Error::internal(format!("unknown role {word}"))),
        }
    }
}

/// Longest handle, in characters.
const LONGEST_HANDLE: usize = 40;
/// Characters of a handle that is made from an address: so that a public id fits behind them.
const DERIVED: usize = 25;

/// What a person may be called in the place of his e-mail address: 1-40 ASCII letters, digits, `-`, `_` and `.`, with a
/// letter or digit among them. So it is never an address, and looks like no other handle in another alphabet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle(String);

impl Handle {
    /// The handle that `text` is; spaces around it do not count.
    ///
    /// # Errors
    /// `Invalid` naming `handle`.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let fits = (1..=LONGEST_HANDLE).contains(&text.len())
            && text.chars().all(may_stand_in_handle)
            && text.chars().any(|each| each.is_ascii_alphanumeric());
        if fits {
            return Ok(Self(text.to_owned()));
        }
        let rule =
            "handle must be 1-40 letters (a-z), digits, '-', '_' and '.', with a letter or digit among them";
        Err(Error::invalid("handle", rule))
    }

    /// What somebody with that address is called until he says otherwise: what stands before the @.
    #[must_use]
    pub fn derived(email: &str) -> Self {
        let local = email.split_once('@').map_or(email, |(local, _)| local);
        let shown = |each| if may_stand_in_handle(each) { each } else { '-' };
        let text: String = local.chars().take(DERIVED).map(shown).collect();
        Self::parse(&text).unwrap_or_else(|_| Self("person".to_owned()))
    }

    /// The same with `mark` behind it, for when it is taken.
    #[must_use]
    pub fn marked(&self, mark: &str) -> Self {
        Self(format!("{}-{mark}", self.0))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

const fn may_stand_in_handle(each: char) -> bool {
    each.is_ascii_alphanumeric() || matches!(each, '-' | '_' | '.')
}

/// A person with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Table key.
    pub key: UserKey,
    /// Public id.
    pub id: UserId,
    /// Lower-case e-mail address, unique.
    pub email: String,
    /// What he may do.
    pub role: Role,
}

impl User {
    /// Whether he is an admin.
    #[must_use]
    pub const fn is_admin(&self) -> bool {
        matches!(self.role, Role::Admin)
    }

    /// Whether he may see and change what `owner` owns.
    #[must_use]
    pub fn owns(&self, owner: UserKey) -> bool {
        self.is_admin() || self.key == owner
    }

    /// Refuses him what belongs to somebody else.
    ///
    /// # Errors
    /// `Forbidden`, naming the `noun`.
    pub fn require_owner(&self, owner: UserKey, noun: &str) -> Result<()> {
        if self.owns(owner) {
            return Ok(());
        }
        Err(Error::Forbidden(format!("only the owner of this {noun} or an admin may do that")))
    }
}

/// A person as the list of people shows him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The person.
    pub user: User,
    /// Whether he has a password, and so can sign in.
    pub has_password: bool,
    /// Whether a link waits for him to choose one.
    pub is_invited: bool,
    /// How many of his keys count.
    pub keys: i64,
    /// Since when.
    pub created_at: Millis,
    /// Since when nothing of his counts any more.
    pub disabled_at: Option<Millis>,
}

/// Whoever makes the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// No credential was sent.
    Anonymous,
    /// A user, by a key.
    User(User),
}

impl Caller {
    /// The user, if there is one.
    #[must_use]
    pub const fn user(&self) -> Option<&User> {
        match self {
            Self::Anonymous => None,
            Self::User(user) => Some(user),
        }
    }

    /// Whether the caller may see what only `owner` and admins see.
    #[must_use]
    pub fn owns(&self, owner: UserKey) -> bool {
        self.user().is_some_and(|user| user.owns(owner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_plain_and_never_an_address() {
        for good in ["ada", "Ada.Lovelace-1815_x", "7", " ada ", &"a".repeat(40)] {
            assert_eq!(Handle::parse(good).unwrap().as_str(), good.trim());
        }
        for bad in [
            "",
            " ",
            ".",
            "-_-",
            "ada@example.org",
            "a b",
            "\u{430}da",
            "a\u{202e}b",
            "a\nb",
            &"a".repeat(41),
        ] {
            assert!(
                matches!(Handle::parse(bad), Err(Error::Invalid { field: Some(field), .. }) if field == "handle"),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn what_stands_before_the_at_makes_a_handle() {
        for (email, handle) in [
            ("ada@example.org", "ada"),
            ("ada+evals@example.org", "ada-evals"),
            ("+@example.org", "person"),
            ("müller@example.org", "m-ller"),
            ("an.address.that.is.long.indeed@example.org", "an.address.that.is.long.i"),
        ] {
            let derived = Handle::derived(email);
            assert_eq!(derived.as_str(), handle);
            assert!(Handle::parse(derived.marked("01234567890123").as_str()).is_ok(), "{email}");
        }
    }
}
