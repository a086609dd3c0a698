//! The notice on pages while the board's data are read-only or damaged.

use crate::store::condition::{Condition, Obstacle};

/// What it stands before.
const MAIN: &str = "<main id=\"main\">";

/// Returns what a page says of data in that condition; none of the usual one.
const fn text(condition: &Condition) -> Option<&'static str> {
    match condition {
        Condition::Writable => None,
        Condition::ReadOnly(Obstacle::DiskFull) => Some(
            "This board is read-only at the moment: its server's disk is full. Nothing can be added or changed.",
        ),
        Condition::ReadOnly(_) => Some(
            "This board is read-only at the moment: its server cannot write to its disk. Nothing can be added or changed.",
        ),
        Condition::Damaged(_) => Some(
            "This board's database is damaged: some of it may be missing here, and nothing is saved. Whoever runs the board \
             has to restore a backup.",
        ),
    }
}

/// Puts the notice before the main part of a page.
pub(super) fn insert(page: Vec<u8>, condition: &Condition) -> Vec<u8> {
    let Some(text) = text(condition) else { return page };
    match String::from_utf8(page) {
        Ok(page) => {
            let notice = format!("<p class=\"condition\" role=\"status\">{text}</p>\n{MAIN}");
            page.replacen(MAIN, &notice, 1).into_bytes()
        }
        Err(other) => other.into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_stands_before_the_main_part() {
        let page = b"<body><main id=\"main\">x</main>".to_vec();
        assert_eq!(insert(page.clone(), &Condition::Writable), page);
        let full = String::from_utf8(insert(page, &Condition::ReadOnly(Obstacle::DiskFull))).unwrap();
        assert!(
            full.contains("disk is full. Nothing can be added or changed.</p>\n<main id=\"main\">x"),
            "{full}"
        );
    }
}
