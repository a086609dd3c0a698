//! Uploads that were granted, and the parts in which a file may come. Not how a token proves a grant.

use std::collections::HashMap;

use super::files::File;
use super::id::{DraftKey, UploadId, UploadKey, UserId, UserKey};
use super::time::Millis;
use crate::error::{Error, Result};

/// Most parts that a file may come in.
pub const MOST_PARTS: u32 = 10_000;

/// What has become of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The file may come.
    Granted,
    /// It came whole.
    Completed,
    /// Its owner does not want it any more.
    Cancelled,
    /// It did not come in time, or nothing was made of it.
    Expired,
}

impl State {
    /// The word in the tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// The state of that word.
    ///
    /// # Errors
    /// `Internal`: only tables are read with this.
    pub fn parse(word: &str) -> Result<Self> {
        [Self::Granted, Self::Completed, Self::Cancelled, Self::Expired]
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| Error::internal(format!("unknown state of an upload: {word}")))
    }
}

/// An upload that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Table key.
    pub key: UploadKey,
    /// Public id.
    pub id: UploadId,
    /// Who may put it up.
    pub owner: UserKey,
    /// His public id.
    pub owner_id: UserId,
    /// What it goes by.
    pub pathname: String,
    /// What the file is called.
    pub file_name: String,
    /// What it is said to be.
    pub content_type: String,
    /// Largest size, in bytes.
    pub max_bytes: u64,
    /// What has become of it.
    pub state: State,
    /// Until when it, or a part of it, may begin.
    pub expires_at: Millis,
}

/// A file that an upload brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// The upload.
    pub upload: UploadKey,
    /// Whose it is.
    pub owner: UserKey,
    /// What it went by.
    pub pathname: String,
    /// The file.
    pub file: File,
    /// When it was whole.
    pub created_at: Millis,
}

/// What somebody says of a file that he put up before. What is absent is not said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Its name.
    pub name: String,
    /// What it is.
    pub content_type: Option<String>,
    /// Bytes.
    pub size: Option<i64>,
    /// SHA-256 in hexadecimal.
    pub sha256: Option<String>,
}

impl Claims {
    /// Compares them with what we know of the file.
    ///
    /// # Errors
    /// `Invalid` naming the field that says something else; `Conflict` for a hash that is still to be computed.
    pub fn check(&self, file: &File) -> Result<()> {
        let differs = |field: &str, ours: &str| {
            Error::invalid(field, format!("{field} differs from what was uploaded, which is {ours}"))
        };
        if self.name != file.name {
            return Err(differs("file_name", &file.name));
        }
        if self.content_type.as_ref().is_some_and(|said| *said != file.content_type) {
            return Err(differs("content_type", &file.content_type));
        }
        if self.size.is_some() && self.size != file.size {
            return Err(differs("file_size", &format!("{} bytes", file.size.unwrap_or_default())));
        }
        match (&self.sha256, file.sha256()) {
            (Some(said), Some(ours)) if !said.eq_ignore_ascii_case(ours) => Err(differs("sha256", ours)),
            (Some(_), None) => Err(Error::Conflict {
                code: "not_hashed_yet",
                message: "the file's SHA-256 is still being computed: try again, or leave sha256 out"
                    .to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

/// A file that comes in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Table key.
    pub key: DraftKey,
    /// The upload that it belongs to.
    pub upload: UploadKey,
    /// Where it is put together, in words of the store of files.
    pub place: String,
}

/// A part that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// In hexadecimal; the client knows the part by it.
    pub sha256: String,
    /// Where it lies, in words of the store of files.
    pub place: String,
}

/// A part as somebody names it who wants the whole put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPart {
    /// From 1.
    pub number: u32,
    /// What the part's upload answered.
    pub etag: String,
}

/// The number of a part.
///
/// # Errors
/// `Invalid`: it is not a whole number from 1 to 10,000.
pub fn part_number(text: &str) -> Result<u32> {
    let number = text.parse().ok().filter(|number| (1..=MOST_PARTS).contains(number));
    number.ok_or_else(|| {
        Error::invalid("x-mpu-part-number", format!("x-mpu-part-number must be from 1 to {MOST_PARTS}"))
    })
}

/// The parts that make the whole, in their order: those that are `named`, in any order, each one of the `stored`.
///
/// # Errors
/// `Invalid`: none is named, one is named twice or was never stored, its tag is another, or a number is left out.
pub fn in_order(mut named: Vec<NamedPart>, stored: Vec<Part>) -> Result<Vec<Part>> {
    if named.is_empty() {
        return Err(Error::bad_request("no part is named"));
    }
    named.sort_by_key(|part| part.number);
    let mut stored: HashMap<u32, Part> = stored.into_iter().map(|part| (part.number, part)).collect();
    let mut parts = Vec::with_capacity(named.len());
    for (expected, NamedPart { number, etag }) in (1..).zip(named) {
        if number != expected {
            let message =
                format!("parts must be numbered from 1 on, each once: {expected} was expected, not {number}");
            return Err(Error::bad_request(message));
        }
        let part = stored.remove(&number);
        let part = part.ok_or_else(|| Error::bad_request(format!("part {number} was not uploaded")))?;
        if part.sha256 != etag.trim_matches('"') {
            return Err(Error::bad_request(format!("part {number} has another etag: it was uploaded again")));
        }
        parts.push(part);
    }
    Ok(parts)
}

/// What one person's files take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes of files that are here.
    pub stored: u64,
    /// Bytes that are kept for uploads under way.
    pub reserved: u64,
}

impl Usage {
    /// Bytes that are left of `quota`.
    #[must_use]
    pub const fn left(self, quota: u64) -> u64 {
        quota.saturating_sub(self.stored).saturating_sub(self.reserved)
    }

    /// Refuses `bytes` more when the `quota` does not hold them.
    ///
    /// # Errors
    /// `Conflict` (`quota_exceeded`), which names both and what is used.
    pub fn require(self, quota: u64, bytes: u64) -> Result<()> {
        if bytes <= self.left(quota) { Ok(()) } else { Err(self.exceeded(quota)) }
    }

    /// What to say to somebody whose files `quota` does not hold.
    #[must_use]
    pub fn exceeded(self, quota: u64) -> Error {
        let Self { stored, reserved } = self;
        let message = format!(
            "your files may take {quota} bytes: {stored} are used, and {reserved} are kept for uploads under way. \
             Delete files or cancel uploads; an upload whose file_size is said keeps no more than that"
        );
        Error::Conflict { code: "quota_exceeded", message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(numbers: &[u32]) -> Vec<Part> {
        let part = |number: &u32| Part {
            number: *number,
            size: 1,
            sha256: format!("h{number}"),
            place: String::new(),
        };
        numbers.iter().map(part).collect()
    }

    fn named(numbers: &[u32]) -> Vec<NamedPart> {
        numbers.iter().map(|number| NamedPart { number: *number, etag: format!("h{number}") }).collect()
    }

    #[test]
    fn parts_are_put_in_order_and_others_are_left_out() {
        assert_eq!(in_order(named(&[3, 1, 2]), stored(&[2, 4, 3, 1])).unwrap(), stored(&[1, 2, 3]));
    }

    #[test]
    fn a_list_that_makes_no_whole_is_refused() {
        for list in [&[][..], &[2], &[1, 3], &[1, 1], &[0, 1], &[1, 2, 3, 4]] {
            assert!(in_order(named(list), stored(&[1, 2, 3])).is_err(), "{list:?}");
        }
        let mut other = named(&[1, 2]);
        other[1].etag = "h1".to_owned();
        assert!(in_order(other, stored(&[1, 2])).is_err());
    }

    #[test]
    fn a_part_is_numbered_from_1_to_10000() {
        assert_eq!([part_number("1").unwrap(), part_number("10000").unwrap()], [1, 10_000]);
        for text in ["0", "10001", "-1", "", "1.5", "x", "4294967297"] {
            assert!(part_number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_quota_holds_what_is_stored_and_what_is_reserved() {
        let usage = Usage { stored: 60, reserved: 30 };
        assert!(usage.require(100, 10).is_ok());
        let refused = usage.require(100, 11).unwrap_err().to_string();
        for number in ["100 bytes", "60 are used", "30 are kept"] {
            assert!(refused.contains(number), "{refused}");
        }
        assert_eq!((usage.left(50), Usage::default().left(u64::MAX)), (0, u64::MAX));
    }
}
