//! Tokens for one upload, in the form that the Vercel Blob client reads.
//!
//! A token holds a grant and proves that this server made it. The state of the upload is in the database.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Serialize};

use crate::domain::time::Millis;
use crate::domain::upload_grants::UploadGrant;
use crate::domain::{hex, signature};

const PREFIX: &str = "vercel_blob_client_";
/// The name of the store in tokens. The client cuts a token at underscores, so it has none.
const STORE: &str = "evalboard";

/// The payload of a token: a grant with the client's names.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    pathname: String,
    #[serde(rename = "maximumSizeInBytes")]
    max_bytes: u64,
    allowed_content_types: Vec<String>,
    /// In milliseconds since 1970.
    valid_until: i64,
    owner: String,
    upload_id: String,
}

impl From<&UploadGrant> for Payload {
    fn from(grant: &UploadGrant) -> Self {
        Self {
            pathname: grant.pathname.clone(),
            max_bytes: grant.max_bytes,
            allowed_content_types: grant.allowed_content_types.clone(),
            valid_until: grant.valid_until.0,
            owner: grant.owner.clone(),
            upload_id: grant.upload_id.clone(),
        }
    }
}

impl From<Payload> for UploadGrant {
    fn from(payload: Payload) -> Self {
        Self {
            pathname: payload.pathname,
            max_bytes: payload.max_bytes,
            allowed_content_types: payload.allowed_content_types,
            valid_until: Millis(payload.valid_until),
            owner: payload.owner,
            upload_id: payload.upload_id,
        }
    }
}

/// Returns a grant's token: `vercel_blob_client_<store>_<base64 of "hex HMAC-SHA256.payload">`, the payload being
/// base64 of JSON.
pub(super) fn mint(grant: &UploadGrant, key: &[u8; 32]) -> String {
    // Texts and whole numbers: nothing that JSON could not hold.
    let payload = BASE64_STANDARD.encode(serde_json::json!(Payload::from(grant)).to_string());
    let signature = hex::encode(&signature::sign(key, payload.as_bytes()));
    format!("{PREFIX}{STORE}_{}", BASE64_STANDARD.encode(format!("{signature}.{payload}")))
}

/// Returns the grant of a token that was minted with `key`, expired or not; `None` for any other text.
pub(super) fn verify(token: &str, key: &[u8; 32]) -> Option<UploadGrant> {
    let (_store, signed) = token.strip_prefix(PREFIX)?.split_once('_')?;
    let signed = String::from_utf8(BASE64_STANDARD.decode(signed).ok()?).ok()?;
    let (signature, payload) = signed.split_once('.')?;
    if !signature::verify(key, payload.as_bytes(), &hex::decode(signature)?) {
        return None;
    }
    let payload: Payload = serde_json::from_slice(&BASE64_STANDARD.decode(payload).ok()?).ok()?;
    Some(payload.into())
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
        let token = mint(&grant(), &KEY);
        let parts: Vec<&str> = token.split('_').collect();
        let ["vercel", "blob", "client", "evalboard", signed] = parts[..] else { panic!("{token}") };
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
        assert_eq!(verify(&mint(&grant(), &KEY), &KEY), Some(grant()));
    }

    #[test]
    fn a_token_of_another_key_or_with_another_payload_is_refused() {
        let token = mint(&grant(), &KEY);
        assert_eq!(verify(&token, &[8; 32]), None);
        let larger = mint(&UploadGrant { max_bytes: u64::MAX, ..grant() }, &[8; 32]);
        assert_eq!(verify(&larger, &KEY), None);
        let signed_from = token.rfind('_').unwrap() + 1;
        for position in signed_from..token.len() {
            let mut bytes = token.as_bytes().to_vec();
            bytes[position] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(verify(&changed, &KEY), None, "{position}");
        }
    }

    #[test]
    fn garbage_is_no_token() {
        for garbage in
            ["", PREFIX, "vercel_blob_client_store", "vercel_blob_client_store_", "vercel_blob_rw_store_x"]
        {
            assert_eq!(verify(garbage, &KEY), None, "{garbage}");
        }
        for payload in ["", "!", "e30=", "bnVsbA=="] {
            assert_eq!(verify(&token_of(payload), &KEY), None, "{payload}");
        }
        for signed in ["no dot", "zz.e30=", "abc.e30=", ".e30="] {
            let token = format!("{PREFIX}store_{}", BASE64_STANDARD.encode(signed));
            assert_eq!(verify(&token, &KEY), None, "{signed}");
        }
    }
}
