//! Which encoding of a body a caller gets. It compresses nothing.

use actix_web::http::header::{self, HeaderMap};

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is.
    Identity,
    /// gzip, which everybody knows.
    Gzip,
    /// Brotli, which is smaller.
    Brotli,
}

impl Encoding {
    /// Its name on the wire; none for a body as it is.
    pub(super) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }

    /// What sets the tag of this form apart from the others'.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Identity => "",
            Self::Gzip => "-gzip",
            Self::Brotli => "-br",
        }
    }
}

/// The smallest encoding among those that the caller likes best.
pub(super) fn chosen(request: &HeaderMap) -> Encoding {
    let Some(accepted) = request.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()) else {
        return Encoding::Identity;
    };
    let (brotli, gzip) = (liking(accepted, "br"), liking(accepted, "gzip"));
    if brotli > 0 && brotli >= gzip {
        Encoding::Brotli
    } else if gzip > 0 {
        Encoding::Gzip
    } else {
        Encoding::Identity
    }
}

/// How much the caller likes an encoding, 0 to 1,000; `*` speaks for what is not named.
fn liking(accepted: &str, name: &str) -> u16 {
    let mut others = 0;
    for item in accepted.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1_000, thousandths);
        if coding.eq_ignore_ascii_case(name) {
            return quality;
        }
        if coding == "*" {
            others = quality;
        }
    }
    others
}

/// `0.25` as 250; what is no quality counts as refused.
fn thousandths(quality: &str) -> u16 {
    let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
    match whole {
        "1" => 1_000,
        "0" => format!("{fraction:0<3}").get(..3).and_then(|digits| digits.parse().ok()).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    #[test]
    fn the_smallest_of_the_best_liked_encodings_is_chosen() {
        for (accepted, expected) in [
            ("", Encoding::Identity),
            ("identity", Encoding::Identity),
            ("gzip", Encoding::Gzip),
            ("gzip, deflate, br", Encoding::Brotli),
            ("br;q=0.5, gzip", Encoding::Gzip),
            ("br;q=0, gzip;q=0", Encoding::Identity),
            ("*", Encoding::Brotli),
            ("*;q=0.1, gzip;q=0.25", Encoding::Gzip),
            ("GZIP;q=1.0", Encoding::Gzip),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
            assert_eq!(chosen(&headers), expected, "{accepted}");
        }
    }
}
