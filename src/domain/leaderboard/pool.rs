//! Which results a board is over, as it stands in an address.

use crate::error::{Error, Result};

/// Whether all results are pooled: `all`, or nothing for the latest alone.
///
/// # Errors
/// `Invalid` naming `pool` for any other word.
pub fn read_pool(word: &str) -> Result<bool> {
    match word.trim() {
        "" => Ok(false),
        "all" => Ok(true),
        _ => Err(Error::invalid(
            "pool",
            "pool must be all, or left out for the latest result of each model and eval",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pool_is_all_or_nothing() {
        assert_eq!((read_pool("all").unwrap(), read_pool("").unwrap()), (true, false));
        assert!(read_pool("best").unwrap_err().to_string().starts_with("pool must be all"));
    }
}
