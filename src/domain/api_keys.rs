//! API keys: how they are made, recognised and hashed.
//!
//! Not whose they are or what they may do, and not their storage: of a key only hash and hint are kept.

use std::fmt;

use rand::distr::Alphanumeric;
use rand::{CryptoRng, RngExt};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::id::{ApiKeyId, ApiKeyKey, UserKey};
use super::time::Millis;
use crate::error::{Error, Result};

/// What every key begins with, so that a scanner can tell a leaked one.
const PREFIX: &str = "blah_";

/// Random characters: 178 bits.
const RANDOM: usize = 30;

/// Characters of the checksum: the fewest that hold 32 bits in base 62.
const CHECKSUM: usize = 6;

/// Characters after the prefix.
const TAIL: usize = RANDOM + CHECKSUM;

/// Characters that people may see of a key to tell it from his others.
const HINT: usize = 9;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A well-formed key: `blah_`, 30 random base62 characters, and 6 that are the CRC32 of all before them.
///
/// Well-formed is not valid: only the database knows which keys count. Debug output shows the hint alone.
#[derive(Clone)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// A new key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + TAIL));
        text.push_str(PREFIX);
        text.extend(rng.sample_iter(Alphanumeric).take(RANDOM).map(char::from));
        let checksum = checksum(&text);
        text.push_str(&checksum);
        Self(SecretString::from(text.as_str()))
    }

    /// The key that `text` is, if its shape and checksum are right: refuses garbage and slips of the hand
    /// without asking the database. Spaces around it are not forgiven.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let tail = text.strip_prefix(PREFIX)?;
        if tail.len() != TAIL || !is_base62(tail) {
            return None;
        }
        let (signed, end) = text.split_at_checked(PREFIX.len() + RANDOM)?;
        (checksum(signed) == end).then(|| Self(SecretString::from(text)))
    }

    /// The whole key, to be shown once to whoever created it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// SHA-256 of the key, which it is stored and looked up by. A slow hash would add nothing: nobody guesses
    /// 178 random bits.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.expose()).into()
    }

    /// The first nine characters, for lists of keys.
    #[must_use]
    pub fn hint(&self) -> &str {
        self.expose().get(..HINT).unwrap_or_default()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ApiKey({}...)", self.hint())
    }
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Reads what its owner may read, and changes nothing.
    Read,
    /// All that its owner may do.
    Write,
}

impl Scope {
    /// The word in the tables and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    /// The scope of that word.
    ///
    /// # Errors
    /// `Invalid` naming `scope`.
    pub fn parse(word: &str) -> Result<Self> {
        match word {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            _ => Err(Error::invalid("scope", "scope must be read or write")),
        }
    }
}

/// A key as its owner sees it in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Table key.
    pub key: ApiKeyKey,
    /// Public id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub owner: UserKey,
    /// What he calls it.
    pub name: String,
    /// Its first characters.
    pub hint: String,
    /// What it may do.
    pub scope: Scope,
    /// Since when.
    pub created_at: Millis,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Millis>,
    /// When it ends; none when it does not.
    pub expires_at: Option<Millis>,
}

impl Listed {
    /// Whether it has ended by itself.
    #[must_use]
    pub fn is_expired(&self, now: Millis) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// Whether a key, or what was meant to be one, stands anywhere in `text`; for refusing keys where they would
/// be logged, such as query strings. The checksum does not count: a key with a typing error gives the rest
/// away.
#[must_use]
pub fn looks_like_key(text: &str) -> bool {
    text.split(PREFIX).skip(1).any(|tail| tail.get(..TAIL).is_some_and(is_base62))
}

fn is_base62(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// CRC32 of `text` in base 62, the most significant digit first.
fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits: Vec<char> = (0..CHECKSUM)
        .filter_map(|_| {
            let digit = usize::try_from(rest % 62).ok()?;
            rest /= 62;
            DIGITS.get(digit).copied().map(char::from)
        })
        .collect();
    digits.reverse();
    digits.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn key() -> ApiKey {
        ApiKey::generate(&mut StdRng::seed_from_u64(7))
    }

    #[test]
    fn a_new_key_has_the_documented_shape_and_parses() {
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..1_000 {
            let key = ApiKey::generate(&mut rng);
            assert_eq!(key.expose().len(), 41);
            assert!(key.expose().starts_with("blah_") && is_base62(&key.expose()[5..]));
            assert_eq!(ApiKey::parse(key.expose()).unwrap().hash(), key.hash());
        }
    }

    #[test]
    fn keys_differ() {
        let mut rng = StdRng::seed_from_u64(1);
        assert_ne!(ApiKey::generate(&mut rng).hash(), ApiKey::generate(&mut rng).hash());
    }

    #[test]
    fn the_checksum_is_crc32_in_base_62() {
        // CRC32 of "123456789" is 0xCBF43926 = 3421780262.
        assert_eq!(checksum("123456789"), "3jZRME");
        assert_eq!(checksum(""), "000000");
    }

    #[test]
    fn a_known_key_parses() {
        let text = format!("blah_{}", "0".repeat(30));
        let known = format!("{text}{}", checksum(&text));
        assert!(ApiKey::parse(&known).is_some());
    }

    #[test]
    fn any_single_wrong_character_is_noticed() {
        let key = key();
        for position in 0..key.expose().len() {
            let mut bytes = key.expose().as_bytes().to_vec();
            bytes[position] = if bytes[position] == b'x' { b'y' } else { b'x' };
            assert!(ApiKey::parse(std::str::from_utf8(&bytes).unwrap()).is_none(), "{position}");
        }
    }

    #[test]
    fn garbage_is_no_key() {
        let text = key().expose().to_owned();
        for bad in [
            String::new(),
            "blah_".to_owned(),
            text[..40].to_owned(),
            format!("{text}0"),
            format!(" {text}"),
            format!("{text}\n"),
            text.to_uppercase(),
            text.replace("blah_", "blah-"),
            format!("blah_{}", "é".repeat(18)),
            format!("blah_{}", "_".repeat(36)),
        ] {
            assert!(ApiKey::parse(&bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn debug_output_shows_no_more_than_the_hint() {
        let key = key();
        let shown = format!("{key:?}");
        assert_eq!(shown, format!("ApiKey({}...)", &key.expose()[..9]));
        assert!(!shown.contains(&key.expose()[..10]));
    }

    #[test]
    fn a_key_is_seen_wherever_it_stands() {
        let text = key().expose().to_owned();
        let mistyped = format!("{}0", &text[..40]);
        for seen in [text.clone(), mistyped, format!("x={text}&y=1"), format!("blah_blah_{}", &text[5..])] {
            assert!(looks_like_key(&seen), "{seen}");
        }
        for other in
            ["", "blah_", "blah_evals", "q=blah_models_that_are_good_at_long_division", &text[..40], "é"]
        {
            assert!(!looks_like_key(other), "{other}");
        }
        assert!(!looks_like_key(&format!("blah_{}é", "a".repeat(35))));
    }
}
