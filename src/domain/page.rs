//! One page of a list: how many, after what. It does not know what is listed.

use crate::error::{Error, Result};

/// Rows of a page when the caller does not say.
pub const DEFAULT_LIMIT: u32 = 1_000;

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Rows at most, 1 to 1,000.
    pub limit: u32,
    /// Only what stands behind this position.
    pub after: Option<Cursor>,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: DEFAULT_LIMIT, after: None }
    }
}

impl Page {
    /// Reads `limit` and `cursor` as the caller wrote them.
    ///
    /// # Errors
    /// `Invalid` naming the parameter: a limit out of 1 to 1,000, or a cursor that we did not make.
    pub fn parse(limit: Option<&str>, cursor: Option<&str>) -> Result<Self> {
        let limit = match limit {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=1_000).contains(limit))
                .ok_or_else(|| Error::invalid("limit", "limit must be a whole number from 1 to 1000"))?,
        };
        let made_up = || Error::invalid("cursor", "cursor must be one taken from a Link header of this list");
        let after = cursor.map(|text| Cursor::parse(text).ok_or_else(made_up)).transpose()?;
        Ok(Self { limit, after })
    }
}

/// A position in a list that is ordered by (`sort`, `key`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The value the list is ordered by, such as a time in milliseconds or a position.
    pub sort: i64,
    /// The table key that breaks ties.
    pub key: i64,
}

impl Cursor {
    fn checksum(self) -> u32 {
        let mut hash = crc32fast::Hasher::new();
        hash.update(b"evalboard cursor");
        hash.update(&self.sort.to_be_bytes());
        hash.update(&self.key.to_be_bytes());
        hash.finalize()
    }

    /// The cursor as text: opaque, URL-safe, with a checksum.
    #[must_use]
    pub fn to_text(self) -> String {
        format!("{:x}.{:x}.{:08x}", self.sort, self.key, self.checksum())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (sort, key, checksum) = (parts.next()?, parts.next()?, parts.next()?);
        let hex = |text| u64::from_str_radix(text, 16).ok().map(u64::cast_signed);
        let cursor = Self { sort: hex(sort)?, key: hex(key)? };
        let genuine = parts.next().is_none() && cursor.to_text() == text && !checksum.is_empty();
        genuine.then_some(cursor)
    }
}

/// Rows of one page, and where the next one starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// How many rows the whole list has.
    pub total: i64,
    /// Where the next page starts; none when this is the last.
    pub next: Option<Cursor>,
}

impl<T> Slice<T> {
    /// Cuts rows that were read with a limit of one more than the page's: the extra one says that there is more.
    pub fn cut(mut rows: Vec<T>, page: Page, total: i64, position: impl Fn(&T) -> Cursor) -> Self {
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(position) } else { None };
        Self { rows, total, next }
    }

    /// The same page of something made from each row.
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> Slice<U> {
        Slice { rows: self.rows.into_iter().map(make).collect(), total: self.total, next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_and_a_made_up_one_does_not() {
        for (sort, key) in [(0, 1), (1_700_000_000_000, 42), (-5, i64::MAX)] {
            let cursor = Cursor { sort, key };
            assert_eq!(Cursor::parse(&cursor.to_text()), Some(cursor));
        }
        for text in ["", "1", "1.2", "1.2.3", "zz.1.00000000", "1.2.00000000.4"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_limit_out_of_range_is_refused_by_name() {
        for limit in ["0", "1001", "-1", "many", ""] {
            let refused = Page::parse(Some(limit), None);
            assert!(matches!(refused, Err(Error::Invalid { field: Some(field), .. }) if field == "limit"));
        }
    }

    #[test]
    fn a_slice_knows_whether_there_is_more() {
        let page = Page { limit: 2, after: None };
        let at = |key: &i64| Cursor { sort: 0, key: *key };
        assert_eq!(Slice::cut(vec![1, 2, 3], page, 9, at).next, Some(Cursor { sort: 0, key: 2 }));
        assert_eq!(Slice::cut(vec![1, 2], page, 2, at).next, None);
    }
}
