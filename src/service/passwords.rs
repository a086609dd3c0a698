//! Hashing passwords, slowly and a few at a time. Which ones are taken is the domain's.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::domain::passwords::Password;
use crate::error::{Error, Result};

/// Passwords that are hashed at once: each takes 19 MiB and a core.
static TURNS: Semaphore = Semaphore::const_new(2);

/// The hash of a password: argon2id with a salt of its own, in the PHC string format.
///
/// # Errors
/// `Internal` when it cannot be hashed.
pub(super) async fn hash(password: Password) -> Result<String> {
    off_thread(move || hash_now(&password)).await
}

/// Whether the password is the one that was hashed; without a hash it is not, and that takes as long.
///
/// # Errors
/// `Internal` when the hash is none.
pub(super) async fn is_right(password: Password, hash: Option<String>) -> Result<bool> {
    off_thread(move || {
        let Some(hash) = hash else { return hash_now(&password).map(|_| false) };
        let hash = PasswordHash::new(&hash).map_err(Error::internal)?;
        Ok(Argon2::default().verify_password(password.expose(), &hash).is_ok())
    })
    .await
}

fn hash_now(password: &Password) -> Result<String> {
    let hash = Argon2::default().hash_password(password.expose()).map_err(Error::internal)?;
    Ok(hash.to_string())
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let turn = TURNS.acquire().await.map_err(Error::internal)?;
    let done = tokio::task::spawn_blocking(work).await.map_err(Error::internal)?;
    drop(turn);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_alone() {
        let password = || Password::typed("correct horse battery");
        let (one, other) = (hash(password()).await.unwrap(), hash(password()).await.unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && one != other, "{one}");
        assert!(is_right(password(), Some(one.clone())).await.unwrap());
        assert!(!is_right(Password::typed("correct horse"), Some(one)).await.unwrap());
        assert!(!is_right(password(), None).await.unwrap());
        assert!(is_right(password(), Some("garbage".to_owned())).await.is_err());
    }
}
