//! Tokens that let their holder put up one file, in the form that the Vercel Blob client knows.
//!
//! A token says what was agreed and proves that we said it. What has become of the upload is in the database.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Serialize};

use super::time::Millis;
use super::{hex, signature};

const PREFIX: &str = "vercel_blob_client_";

/// Longest file name that is kept in a pathname, in characters.
const MAX_NAME: usize = 100;

/// What the holder of a token may put up. Its JSON is the token's payload; the names are the client's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadGrant {
    /// Where the file goes; the client must ask for this very path.
    pub pathname: String,
    /// Largest size, in bytes.
    #[serde(rename = "maximumSizeInBytes")]
    pub max_bytes: u64,
    /// Content types that the file may have; `image/*` stands for all of a kind.
    pub allowed_content_types: Vec<String>,
    /// Until when the upload, or a part of it, may begin.
    #[serde(with = "milliseconds")]
    pub valid_until: Millis,
    /// Whose upload it is: the public id of a user.
    pub owner: String,
    /// The upload's row.
    pub upload_id: String,
}

impl UploadGrant {
    /// The token's text: `vercel_blob_client_<store>_<base64 of "hex HMAC-SHA256.payload">`, the payload
    /// being base64 of this grant's JSON. The client cuts it at underscores, so those of `store_id` are left
    /// out.
    #[must_use]
    pub fn mint(&self, key: &[u8; 32], store_id: &str) -> String {
        let payload = BASE64_STANDARD.encode(self.to_json());
        let signature = hex::encode(&signature::sign(key, payload.as_bytes()));
        let store = store_id.replace('_', "");
        format!("{PREFIX}{store}_{}", BASE64_STANDARD.encode(format!("{signature}.{payload}")))
    }

    /// The grant of a token that was minted with `key`, expired or not; `None` for any other text.
    #[must_use]
    pub fn verify(token: &str, key: &[u8; 32]) -> Option<Self> {
        let (_store, signed) = token.strip_prefix(PREFIX)?.split_once('_')?;
        let signed = String::from_utf8(BASE64_STANDARD.decode(signed).ok()?).ok()?;
        let (signature, payload) = signed.split_once('.')?;
        if !signature::verify(key, payload.as_bytes(), &hex::decode(signature)?) {
            return None;
        }
        serde_json::from_slice(&BASE64_STANDARD.decode(payload).ok()?).ok()
    }

    /// Whether nothing may begin under this grant any more.
    #[must_use]
    pub fn is_expired(&self, now: Millis) -> bool {
        now >= self.valid_until
    }

    fn to_json(&self) -> String {
        // Texts and whole numbers: nothing that JSON could not hold.
        serde_json::json!(self).to_string()
    }
}

/// What a file belongs to; the first part of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folder {
    /// Files of models.
    Artifacts,
    /// Training sets.
    TrainingSets,
}

impl Folder {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Artifacts => "artifacts",
            Self::TrainingSets => "training-sets",
        }
    }
}

/// The path that a file asked for at `now` goes by, such as `artifacts/1795269600000-weights.bin`.
///
/// It names the upload to the client and is never a path on our disk. Of the file's name only ASCII letters,
/// digits, dots, dashes and underscores stay, and of a long one its end, with the extension.
#[must_use]
pub fn pathname(folder: Folder, now: Millis, file_name: &str) -> String {
    format!("{}/{}-{}", folder.as_str(), now.0, sanitise(file_name))
}

fn sanitise(file_name: &str) -> String {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut kept = String::new();
    for c in name.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' => kept.push(c),
            _ if kept.ends_with('-') => {}
            _ => kept.push('-'),
        }
    }
    // All ASCII by now: bytes are characters.
    let end = kept.get(kept.len().saturating_sub(MAX_NAME)..).unwrap_or_default();
    let end = end.trim_start_matches(['.', '-']);
    if end.is_empty() { "file".to_owned() } else { end.to_owned() }
}

mod milliseconds {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Millis;

    pub(super) fn serialize<S: Serializer>(at: &Millis, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_i64(at.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Millis, D::Error> {
        i64::deserialize(input).map(Millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn grant() -> UploadGrant {
        UploadGrant {
            pathname: "artifacts/1795269600000-weights.bin".to_owned(),
            max_bytes: 20 << 30,
            allowed_content_types: vec!["application/octet-stream".to_owned()],
            valid_until: Millis(1_795_273_200_000),
            owner: "u1".to_owned(),
            upload_id: "up1".to_owned(),
        }
    }

    /// Re-signs a payload, as only we can.
    fn token_of(payload: &str) -> String {
        let signature = hex::encode(&signature::sign(&KEY, payload.as_bytes()));
        format!("{PREFIX}store_{}", BASE64_STANDARD.encode(format!("{signature}.{payload}")))
    }

    #[test]
    fn a_token_reads_as_the_client_reads_it() {
        let token = grant().mint(&KEY, "store_A1");
        let parts: Vec<&str> = token.split('_').collect();
        let ["vercel", "blob", "client", "storeA1", signed] = parts[..] else { panic!("{token}") };
        let signed = String::from_utf8(BASE64_STANDARD.decode(signed).unwrap()).unwrap();
        let (signature, payload) = signed.split_once('.').unwrap();
        assert_eq!(signature.len(), 64);
        let payload: serde_json::Value =
            serde_json::from_slice(&BASE64_STANDARD.decode(payload).unwrap()).unwrap();
        assert_eq!(
            payload,
            serde_json::json!({
                "pathname": "artifacts/1795269600000-weights.bin",
                "maximumSizeInBytes": 21_474_836_480_u64,
                "allowedContentTypes": ["application/octet-stream"],
                "validUntil": 1_795_273_200_000_u64,
                "owner": "u1",
                "uploadId": "up1",
            })
        );
    }

    #[test]
    fn a_token_gives_its_grant_back() {
        assert_eq!(UploadGrant::verify(&grant().mint(&KEY, "store_A1"), &KEY), Some(grant()));
    }

    #[test]
    fn a_token_of_another_key_or_with_another_payload_is_refused() {
        let token = grant().mint(&KEY, "store");
        assert_eq!(UploadGrant::verify(&token, &[8; 32]), None);
        let larger = UploadGrant { max_bytes: u64::MAX, ..grant() }.mint(&[8; 32], "store");
        assert_eq!(UploadGrant::verify(&larger, &KEY), None);
        let signed_from = token.rfind('_').unwrap() + 1;
        for position in signed_from..token.len() {
            let mut bytes = token.as_bytes().to_vec();
            bytes[position] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(UploadGrant::verify(&changed, &KEY), None, "{position}");
        }
    }

    #[test]
    fn garbage_is_no_token() {
        for garbage in
            ["", PREFIX, "vercel_blob_client_store", "vercel_blob_client_store_", "vercel_blob_rw_store_x"]
        {
            assert_eq!(UploadGrant::verify(garbage, &KEY), None, "{garbage}");
        }
        for payload in ["", "!", "e30=", "bnVsbA=="] {
            assert_eq!(UploadGrant::verify(&token_of(payload), &KEY), None, "{payload}");
        }
        for signed in ["no dot", "zz.e30=", "abc.e30=", ".e30="] {
            let token = format!("{PREFIX}store_{}", BASE64_STANDARD.encode(signed));
            assert_eq!(UploadGrant::verify(&token, &KEY), None, "{signed}");
        }
    }

    #[test]
    fn a_grant_ends_at_its_time() {
        let end = grant().valid_until;
        assert!(!grant().is_expired(end.plus(-1)));
        assert!(grant().is_expired(end) && grant().is_expired(end.plus(1)));
    }

    #[test]
    fn a_pathname_has_folder_time_and_a_tame_name() {
        let now = Millis(1_795_269_600_000);
        for (file_name, tame) in [
            ("weights.bin", "weights.bin"),
            ("my model (final).safetensors", "my-model-final-.safetensors"),
            ("../../etc/passwd", "passwd"),
            ("C:\\models\\a.gguf", "a.gguf"),
            (".env", "env"),
            ("--flag", "flag"),
            ("Modèle🚀.bin", "Mod-le-.bin"),
            ("a\0b\nc", "a-b-c"),
            ("a?b#c%d&e", "a-b-c-d-e"),
            ("", "file"),
            ("..", "file"),
            ("模型", "file"),
            ("folder/", "file"),
        ] {
            assert_eq!(
                pathname(Folder::Artifacts, now, file_name),
                format!("artifacts/1795269600000-{tame}"),
                "{file_name:?}"
            );
        }
        assert_eq!(pathname(Folder::TrainingSets, now, "a.csv"), "training-sets/1795269600000-a.csv");
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let name = sanitise(&format!("{}.parquet", "x".repeat(300)));
        assert_eq!(name.len(), MAX_NAME);
        assert!(name.ends_with("x.parquet"));
    }
}
