//! HMAC-SHA256: proof that a text was written by whoever holds a key.
//!
//! It hides nothing, and does not say how texts are laid out or how keys are kept.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The signature of `message` under `key`.
#[must_use]
pub fn sign(key: &[u8], message: &[u8]) -> [u8; 32] {
    keyed(key).chain_update(message).finalize().into_bytes().into()
}

/// Whether `signature` is that of `message` under `key`; takes the same time whatever differs.
#[must_use]
pub fn verify(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    keyed(key).chain_update(message).verify_slice(signature).is_ok()
}

#[expect(
    clippy::expect_used,
    reason = "HMAC takes keys of any length: the error is the trait's, for other MACs"
)]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("a key of any length")
}

#[cfg(test)]
mod tests {
    use super::super::hex;
    use super::*;

    #[test]
    fn signatures_are_those_of_rfc_4231() {
        for (key, message, expected) in [
            (
                &[0x0b; 20][..],
                &b"Hi There"[..],
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hex::encode(&sign(key, message)), expected);
        }
    }

    #[test]
    fn only_the_same_key_message_and_whole_signature_verify() {
        let signature = sign(b"key", b"message");
        assert!(verify(b"key", b"message", &signature));
        assert!(!verify(b"kez", b"message", &signature));
        assert!(!verify(b"key", b"messagf", &signature));
        assert!(!verify(b"key", b"message", &signature[..31]));
        assert!(!verify(b"key", b"message", b""));
    }
}
