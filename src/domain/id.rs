//! Identifiers: what the world sees (`ModelId`, text) and what the tables join on (`ModelKey`, integer).
//!
//! Nothing here says whether a thing exists.

use std::fmt;

use rand::Rng as _;

use super::time::Millis;

/// Letters of a public id: URL-safe, no look-alike separators, never a leading dash.
const ALPHABET: [char; 62] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K',
    'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'a', 'b', 'c', 'd', 'e', 'f',
    'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z',
];

/// Characters of a public id: 62^14 values, so that a collision needs a billion ids a second for a year.
const LENGTH: usize = 14;

/// Characters of it that tell the second, where ids are to sort by time: enough for 1,800 years. The other eight
/// are 62^8 values a second.
const TIMED: usize = 6;

/// A fresh public id's text. Random: call it outside pure code and pass it in.
#[must_use]
pub fn fresh() -> String {
    random(LENGTH)
}

/// Letters drawn with the thread's generator, which is as hard to guess as the system's and takes no system call.
fn random(length: usize) -> String {
    let bytes = |count| {
        let mut bytes = vec![0; count];
        rand::rng().fill_bytes(&mut bytes);
        bytes
    };
    nanoid::format(bytes, &ALPHABET, length)
}

/// Whether a text has the form of a public id.
#[must_use]
pub fn is_shaped(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Which cell of a run's plan: its run, model and eval.
pub type CellKey = (RunKey, ModelKey, EvalKey);

/// A fresh public id whose texts sort by `now`, to the second: six characters of time, the rest random.
///
/// For what is stored in floods: random ids land all over an index, and each of them costs a page of it.
#[must_use]
fn fresh_at(now: Millis) -> String {
    const BASE: i64 = 62;
    let mut text = random(LENGTH - TIMED);
    let mut seconds = now.0 / 1_000;
    for _ in 0..TIMED {
        let digit = usize::try_from(seconds % BASE).ok().and_then(|digit| ALPHABET.get(digit));
        text.insert(0, *digit.unwrap_or(&'0'));
        seconds /= BASE;
    }
    text
}

impl CaseId {
    /// A fresh id that sorts after those of earlier seconds.
    #[must_use]
    pub fn fresh_at(now: Millis) -> Self {
        Self(fresh_at(now))
    }
}

macro_rules! ids {
    ($($noun:literal $id:ident $key:ident),* $(,)?) => { $(
        #[doc = concat!("The public id of ", $noun, ".")]
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $id(String);

        impl $id {
            /// A fresh, random id.
            #[must_use]
            pub fn fresh() -> Self { Self(fresh()) }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str { &self.0 }
        }

        impl From<String> for $id {
            fn from(text: String) -> Self { Self(text) }
        }

        impl From<$id> for String {
            fn from(id: $id) -> Self { id.0 }
        }

        impl fmt::Display for $id {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result { out.write_str(&self.0) }
        }

        #[doc = concat!("The table key of ", $noun, "; never shown.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $key(pub i64);
    )* };
}

ids! {
    "a user" UserId UserKey,
    "an API key" ApiKeyId ApiKeyKey,
    "a model" ModelId ModelKey,
    "an eval" EvalId EvalKey,
    "a run" RunId RunKey,
    "a result" ResultId ResultKey,
    "a case" CaseId CaseKey,
    "an artifact" ArtifactId ArtifactKey,
    "a training set" TrainingSetId TrainingSetKey,
    "a stored file" BlobId BlobKey,
    "an upload" UploadId UploadKey,
    "a file that comes in parts" DraftId DraftKey,
    "a model revision" RevisionId RevisionKey,
    "an eval version" VersionId VersionKey,
    "a sample" SampleId SampleKey,
    "a sample set" SampleSetId SampleSetKey,
    "a price snapshot" PriceId PriceKey,
    "a work item" WorkItemId WorkItemKey,
    "a schedule" ScheduleId ScheduleKey,
    "a line of the ledger" LedgerId LedgerKey,
    "a session" SessionId SessionKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timed_ids_sort_by_the_second_and_differ_within_it() {
        let at = |millis| CaseId::fresh_at(Millis(millis));
        let ids = [0, 61_999, 62_000, 1_763_775_000_000, 1_763_775_001_000, 50_000_000_000_000].map(at);
        assert!(ids.is_sorted(), "{ids:?}");
        assert!(ids.iter().all(|id| id.as_str().len() == LENGTH), "{ids:?}");
        assert_eq!(ids[0].as_str()[..TIMED], *"000000");
        assert_eq!(ids[1].as_str()[..TIMED], *"00000z");
        assert_eq!(ids[2].as_str()[..TIMED], *"000010");
        assert_ne!(at(62_000), ids[2]);
    }
}
