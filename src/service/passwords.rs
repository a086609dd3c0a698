//! Hashing passwords, slowly and a few at a time. Which ones are taken is the domain's.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::domain::passwords::Password;
use crate::error::{Error, Result};

/// Passwords of strangers that are hashed at once: each takes 19 MiB and a core.
const STRANGERS: usize = 2;
/// The same of people who have shown before who they are.
const KNOWN: usize = 1;
/// Passwords of either that may wait to be hashed.
const MAX_WAITING: usize = 64;

/// Whose password is hashed. The two do not wait for each other, so that no flood of tries keeps people out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Somebody who may be anybody.
    Stranger,
    /// Somebody who is signed in, holds a link, or tries from where the account was last signed in.
    Known,
}

/// Hashing in one lane: those that may at once, and those that may wait besides.
struct Turns {
    now: Semaphore,
    all: Semaphore,
}

impl Turns {
    const fn new(at_once: usize) -> Self {
        Self { now: Semaphore::const_new(at_once), all: Semaphore::const_new(at_once + MAX_WAITING) }
    }

    /// Does `work` on a thread of its own once it has its turn.
    async fn take<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let busy =
            |_| Error::Unavailable("too many people sign in at once: try again in a moment".to_owned());
        let _place = self.all.try_acquire().map_err(busy)?;
        let _turn = self.now.acquire().await.map_err(Error::internal)?;
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
    }
}

impl Lane {
    fn turns(self) -> &'static Turns {
        static OF_STRANGERS: Turns = Turns::new(STRANGERS);
        static OF_KNOWN: Turns = Turns::new(KNOWN);
        match self {
            Self::Stranger => &OF_STRANGERS,
            Self::Known => &OF_KNOWN,
        }
    }
}

/// The hash of a password: argon2id with a salt of its own, in the PHC string format.
///
/// # Errors
/// `Unavailable` when too many wait; `Internal` when it cannot be hashed.
pub(super) async fn hash(password: Password) -> Result<String> {
    // Only people who hold a link or are signed in choose passwords.
    Lane::Known.turns().take(move || hash_now(&password)).await
}

/// Whether the password is the one that was hashed; without a hash it is not, and that takes as long.
///
/// # Errors
/// `Unavailable` when too many wait; `Internal` when the hash is none.
pub(super) async fn is_right(password: Password, hash: Option<String>, lane: Lane) -> Result<bool> {
    let verify = move || {
        let Some(hash) = hash else { return hash_now(&password).map(|_| false) };
        let hash = PasswordHash::new(&hash).map_err(Error::internal)?;
        Ok(Argon2::default().verify_password(password.expose(), &hash).is_ok())
    };
    lane.turns().take(verify).await
}

fn hash_now(password: &Password) -> Result<String> {
    let hash = Argon2::default().hash_password(password.expose()).map_err(Error::internal)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_alone() {
        let password = || Password::typed("correct horse battery");
        let (one, other) = (hash(password()).await.unwrap(), hash(password()).await.unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && one != other, "{one}");
        let is_right = async |text: &str, hash: Option<&str>| {
            is_right(Password::typed(text), hash.map(str::to_owned), Lane::Stranger).await
        };
        assert!(is_right("correct horse battery", Some(&one)).await.unwrap());
        assert!(!is_right("correct horse", Some(&one)).await.unwrap());
        assert!(!is_right("correct horse battery", None).await.unwrap());
        assert!(is_right("correct horse battery", Some("garbage")).await.is_err());
    }

    #[tokio::test]
    async fn waiting_for_a_hash_is_bounded() {
        let turns = Turns::new(1);
        let (begin, begun) = std::sync::mpsc::channel::<()>();
        let working = turns.take(move || begun.recv().map_err(Error::internal));
        let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| Box::pin(turns.take(|| Ok(())))).collect();
        let mut working = Box::pin(working);
        assert!(futures_util::poll!(working.as_mut()).is_pending());
        for each in &mut waiting {
            assert!(futures_util::poll!(each.as_mut()).is_pending());
        }
        let refused = turns.take(|| Ok(())).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        begin.send(()).unwrap();
        working.await.unwrap();
        for each in waiting {
            each.await.unwrap();
        }
        turns.take(|| Ok(())).await.unwrap();
    }
}
