//! One page of a list: how many, after what. It does not know what is listed.

use crate::error::{Error, Result};

/// Rows of a page when the caller does not say.
pub const DEFAULT_LIMIT: u32 = 1_000;
/// Bytes of stored text after which a page ends, however few rows it has by then; one row is always whole.
pub const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Query parameters that a list is the same list without.
const NO_FILTERS: [&str; 3] = ["cursor", "format", "limit"];

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
    /// Reads `limit` and `cursor` of a page of `list` as the caller wrote them.
    ///
    /// # Errors
    /// `Invalid` naming the parameter: a limit out of 1 to 1,000, or a cursor that was not made for this list.
    pub fn parse(list: &ListName, limit: Option<&str>, cursor: Option<&str>) -> Result<Self> {
        let limit = match limit {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=1_000).contains(limit))
                .ok_or_else(|| Error::invalid("limit", "limit must be a whole number from 1 to 1000"))?,
        };
        let foreign = || {
            let message = "cursor must be one taken from a Link header of this list with the same filters: leave it \
                           out to begin with the first page";
            Error::invalid("cursor", message)
        };
        let after = cursor.map(|text| Cursor::parse(text, list).ok_or_else(foreign)).transpose()?;
        Ok(Self { limit, after })
    }
}

/// A list by its address: the path, and the filters in its query. A cursor counts in the list that it was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListName(String);

impl ListName {
    /// Names the list at `path` with the query parameters `pairs`, in any order.
    #[must_use]
    pub fn new<N: AsRef<str>, V: AsRef<str>>(path: &str, pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let written = |(name, value): (N, V)| format!("\n{}={}", name.as_ref(), value.as_ref());
        let is_filter = |(name, _): &(N, V)| !NO_FILTERS.contains(&name.as_ref());
        let mut filters: Vec<String> = pairs.into_iter().filter(is_filter).map(written).collect();
        filters.sort();
        Self(format!("{path}{}", filters.concat()))
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
    fn checksum(self, list: &ListName) -> u32 {
        let mut hash = crc32fast::Hasher::new();
        hash.update(b"evalboard cursor");
        hash.update(list.0.as_bytes());
        hash.update(&self.sort.to_be_bytes());
        hash.update(&self.key.to_be_bytes());
        hash.finalize()
    }

    /// The cursor as text: opaque, URL-safe, with a checksum that counts in `list` alone.
    #[must_use]
    pub fn to_text(self, list: &ListName) -> String {
        format!("{:x}.{:x}.{:08x}", self.sort, self.key, self.checksum(list))
    }

    fn parse(text: &str, list: &ListName) -> Option<Self> {
        let mut parts = text.split('.');
        let (sort, key, checksum) = (parts.next()?, parts.next()?, parts.next()?);
        let hex = |text| u64::from_str_radix(text, 16).ok().map(u64::cast_signed);
        let cursor = Self { sort: hex(sort)?, key: hex(key)? };
        let genuine = parts.next().is_none() && cursor.to_text(list) == text && !checksum.is_empty();
        genuine.then_some(cursor)
    }
}

/// A row of a list by its position, before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowKey {
    /// Where it stands.
    pub at: Cursor,
    /// About the bytes that it takes.
    pub bytes: usize,
}

/// Takes keys off the front of `keys`: one, and more of them while their rows take `max_bytes` at most together.
#[must_use]
pub fn take_part(keys: &[RowKey], max_bytes: usize) -> (&[RowKey], &[RowKey]) {
    let mut bytes = 0_usize;
    let fits = |key: &&RowKey| {
        let is_first = bytes == 0;
        bytes = bytes.saturating_add(key.bytes.max(1));
        is_first || bytes <= max_bytes
    };
    keys.split_at(keys.iter().take_while(fits).count())
}

/// Rows that were read for one page.
#[derive(Debug, Clone, PartialEq)]
pub struct PageRows<T> {
    /// The rows: one more than the page's limit where there are more.
    pub rows: Vec<T>,
    /// Whether there are more, but their bytes would have passed [`MAX_PAGE_BYTES`].
    pub is_cut: bool,
}

impl<T> PageRows<T> {
    /// Makes each row into something else.
    ///
    /// # Errors
    /// The first that `make` returns.
    pub fn try_map<U>(self, make: impl FnMut(T) -> Result<U>) -> Result<PageRows<U>> {
        Ok(PageRows { rows: self.rows.into_iter().map(make).collect::<Result<_>>()?, is_cut: self.is_cut })
    }
}

impl PageRows<RowKey> {
    /// Cuts `keys` to those of one page, whose rows take [`MAX_PAGE_BYTES`] at most together.
    #[must_use]
    pub fn within_bytes(mut keys: Vec<RowKey>) -> Self {
        let length = take_part(&keys, MAX_PAGE_BYTES).0.len();
        let is_cut = length < keys.len();
        keys.truncate(length);
        Self { rows: keys, is_cut }
    }
}

impl<T> From<Vec<T>> for PageRows<T> {
    fn from(rows: Vec<T>) -> Self {
        Self { rows, is_cut: false }
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
    pub fn cut(
        rows: impl Into<PageRows<T>>,
        page: Page,
        total: i64,
        position: impl Fn(&T) -> Cursor,
    ) -> Self {
        let PageRows { mut rows, is_cut } = rows.into();
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let more = is_cut || rows.len() > limit;
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

    fn list(path: &str, query: &[(&str, &str)]) -> ListName {
        ListName::new(path, query.iter().copied())
    }

    #[test]
    fn a_cursor_survives_its_text_and_a_made_up_one_does_not() {
        let list = list("/runs", &[]);
        for (sort, key) in [(0, 1), (1_700_000_000_000, 42), (-5, i64::MAX)] {
            let cursor = Cursor { sort, key };
            assert_eq!(Cursor::parse(&cursor.to_text(&list), &list), Some(cursor));
        }
        for text in ["", "1", "1.2", "1.2.3", "zz.1.00000000", "1.2.00000000.4"] {
            assert_eq!(Cursor::parse(text, &list), None, "{text}");
        }
    }

    #[test]
    fn cursor_counts_in_its_own_list_alone() {
        let text = Cursor { sort: 1, key: 2 }.to_text(&list("/cases", &[("state", "wrong"), ("limit", "5")]));
        for same in [
            list("/cases", &[("state", "wrong")]),
            list("/cases", &[("format", "csv"), ("state", "wrong"), ("cursor", "x"), ("limit", "9")]),
        ] {
            assert!(Page::parse(&same, None, Some(&text)).is_ok(), "{same:?}");
        }
        for other in [
            list("/cases", &[]),
            list("/cases", &[("state", "error")]),
            list("/cases", &[("state", "wrong"), ("b", "")]),
            list("/cases\nstate=wrong", &[("b", "")]),
            list("/runs", &[("state", "wrong")]),
        ] {
            let refused = Page::parse(&other, None, Some(&text));
            assert!(matches!(refused, Err(Error::Invalid { field: Some(field), .. }) if field == "cursor"));
        }
    }

    #[test]
    fn a_limit_out_of_range_is_refused_by_name() {
        for limit in ["0", "1001", "-1", "many", ""] {
            let refused = Page::parse(&list("/runs", &[]), Some(limit), None);
            assert!(matches!(refused, Err(Error::Invalid { field: Some(field), .. }) if field == "limit"));
        }
    }

    #[test]
    fn a_slice_knows_whether_there_is_more() {
        let page = Page { limit: 2, after: None };
        let at = |key: &i64| Cursor { sort: 0, key: *key };
        assert_eq!(Slice::cut(vec![1, 2, 3], page, 9, at).next, Some(Cursor { sort: 0, key: 2 }));
        assert_eq!(Slice::cut(vec![1, 2], page, 2, at).next, None);
        let cut = PageRows { rows: vec![1], is_cut: true };
        assert_eq!(Slice::cut(cut, page, 9, at).next, Some(Cursor { sort: 0, key: 1 }));
    }

    #[test]
    fn parts_of_keys_keep_within_their_bytes() {
        let key = |bytes| RowKey { at: Cursor { sort: 0, key: 0 }, bytes };
        let keys = [key(90), key(10), key(1), key(500), key(0), key(0)];
        let mut rest = keys.as_slice();
        let mut sizes = Vec::new();
        while !rest.is_empty() {
            let (part, others) = take_part(rest, 100);
            sizes.push(part.len());
            rest = others;
        }
        assert_eq!(sizes, [2, 1, 1, 2]);
        let page = PageRows::within_bytes(vec![key(MAX_PAGE_BYTES), key(1)]);
        assert_eq!((page.rows.len(), page.is_cut), (1, true));
        assert!(!PageRows::within_bytes(vec![key(1), key(1)]).is_cut);
    }
}
