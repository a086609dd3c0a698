//! Bytes as hexadecimal text, two digits each. Nothing else: no prefixes, no separators.

/// Lower-case digits.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of `text`, in either case; `None` when a character is no digit or a digit has no partner.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(value(*high)? << 4 | value(*low)?),
            _ => None,
        })
        .collect()
}

fn value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_are_two_digits_each() {
        assert_eq!(encode(&[0, 9, 0xa, 0xff]), "00090aff");
        assert_eq!(encode(&[]), "");
    }

    #[test]
    fn both_cases_are_read_and_nothing_else() {
        assert_eq!(decode("00fFAb"), Some(vec![0, 0xff, 0xab]));
        for bad in ["0", "000", "0g", "+1", " 1", "0x", "é"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
    }
}
