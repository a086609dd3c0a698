//! People and what they may do. Not how they prove who they are.

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
