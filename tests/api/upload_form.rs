//! The form in which whoever is signed in adds a training set: without scripts, as a browser sends it.

use reqwest::Method;

use crate::support::Board;
use crate::support::browser::{Browser, hidden};
use crate::support::forms::{BOUNDARY, Form};

const UPLOAD: &str = "/settings/training-sets";

/// The form of the page with a file; `proof` comes first.
fn form(proof: &str, file_name: &str, bytes: &[u8]) -> Form {
    let form = Form::default().field("csrf", proof).field("name", "Sums").field("description", "To add up");
    form.file(file_name, Some("text/csv"), bytes)
}

impl Browser {
    async fn upload(&mut self, form: &Form) -> crate::support::Reply {
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        self.send_body(Method::POST, UPLOAD, &kind, form.bytes()).await
    }

    async fn proof(&mut self) -> String {
        hidden(&self.open(UPLOAD).await, "csrf").unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_from_a_browser_becomes_a_training_set_of_its_person() {
    let (board, mut ada) = Board::set_up().await;
    let proof = ada.proof().await;
    let added = ada.upload(&form(&proof, "sums.csv", b"a,b\n1,2\n")).await;
    assert_eq!(added.code(), 303, "{}", added.text());
    let set = board.anonymous.get(&format!("/api/v1{}", added.header("location"))).await.json();
    assert_eq!((&set["name"], &set["line_count"]), (&"Sums".into(), &2.into()));
    assert_eq!(set["submitted_by"], "ada@example.org");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_it_is_said_on_the_page_and_nothing_stays() {
    let (board, mut ada) = Board::set_up().await;
    let proof = ada.proof().await;
    for (name, bytes, words) in [
        ("sums.csv", &b"a,b\n1\n"[..], "line 2 has 1 values where the first has 2"),
        ("sums.exe", b"MZ", "name must end in one of jsonl, csv"),
    ] {
        let refused = ada.upload(&form(&proof, name, bytes)).await;
        assert_eq!(refused.code(), 400);
        assert!(refused.text().contains(words) && refused.text().contains("<form"), "{}", refused.text());
    }
    board.expect_files(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_the_browser_was_not_shown_brings_no_file() {
    let (board, mut ada) = Board::set_up().await;
    let proof = ada.proof().await;
    let late = Form::default().file("a.csv", None, b"a\n").field("csrf", &proof).field("name", "Late");
    for refused in [form("", "a.csv", b"a\n"), form(&"0".repeat(64), "a.csv", b"a\n"), late] {
        let refused = ada.upload(&refused).await;
        assert_eq!(refused.code(), 403, "{}", refused.text());
    }
    ada.origin = Some("https://evil.example".to_owned());
    assert_eq!(ada.upload(&form(&proof, "a.csv", b"a\n")).await.code(), 403);
    let mut nobody = Browser::new(board.address);
    let turned_away = nobody.upload(&form(&proof, "a.csv", b"a\n")).await;
    assert_eq!(
        (turned_away.code(), turned_away.header("location")),
        (303, "/login?next=/settings/training-sets")
    );
    board.expect_files(0).await;
}
