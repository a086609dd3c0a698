//! Lists that are too long for memory: they come in parts and in pages, and nothing of them is missing.

use serde_json::{Value, json};

use crate::support::steps::{column, text, with};
use crate::support::{Board, PUBLIC_URL, Reply};

/// Bytes after which a page ends.
const PAGE: usize = 4 * 1024 * 1024;

/// The lists of samples and of cases of an eval with one sample of each of those sizes.
async fn lists(board: &Board, sizes: &[usize]) -> [String; 2] {
    let sample = |(at, size): (usize, &usize)| json!({"id": format!("s{at}"), "input": format!("{at} {}", "\"é\n".repeat(size / 4)), "target": "yes"});
    let lines: String = sizes.iter().enumerate().map(|one| format!("{}\n", sample(one))).collect();
    let first = json!([{"input": "x", "target": "yes"}]);
    let eval = json!({"name": "Long", "prompt": "{{input}}", "eval_type": "exact"});
    let eval = board.member.eval(&with(eval, json!({"samples": first}))).await;
    let replaced = board.member.put_samples(&eval, lines).await;
    assert_eq!(replaced.code(), 200, "{}", replaced.text());
    board.member.model("builtin:constant?answer=yes").await;
    let run = board.member.run(&json!({})).await;
    let result = board.anonymous.read(&format!("/api/v1/runs/{}/results", text(&run, "id"))).await[0].clone();
    [format!("/api/v1/evals/{eval}/samples"), format!("/api/v1/results/{}/cases", text(&result, "id"))]
}

/// The address of the next page.
fn next(page: &Reply) -> Option<String> {
    let link = page.headers.get("link")?.to_str().unwrap().to_owned();
    assert!(link.ends_with("; rel=\"next\""), "{link}");
    Some(link.split(['<', '>']).nth(1).unwrap().strip_prefix(PUBLIC_URL).unwrap().to_owned())
}

/// Every page of the list from `path` on.
async fn pages(board: &Board, path: &str) -> Vec<Vec<Value>> {
    let (mut found, mut address) = (Vec::new(), Some(path.to_owned()));
    while let Some(path) = address {
        let page = board.anonymous.get(&path).await;
        assert_eq!(page.code(), 200, "{path}");
        assert!(page.body.len() < 2 * PAGE, "{path}: {} bytes", page.body.len());
        address = next(&page);
        found.push(page.json().as_array().unwrap().clone());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn long_list_has_the_same_rows_whole_in_parts_and_in_pages() {
    let board = Board::running(&["--rate-read", "100000", "--rate-read-burst", "100000"]).await;
    let sizes: Vec<usize> =
        (0..120).map(|at| [10, 30_000, 200_000, 40][at % 4] + at).chain([250_000]).collect();
    for path in lists(&board, &sizes).await {
        let long = pages(&board, &path).await;
        assert!(long.len() > 1, "{path} has one page");
        let rows: Vec<Value> = long.concat();
        assert_eq!(rows.len(), sizes.len(), "{path}");
        let key = if path.ends_with("cases") { "sample_id" } else { "id" };
        let keys: Vec<String> = (0..sizes.len()).map(|at| format!("s{at}")).collect();
        assert_eq!(column(&Value::Array(rows.clone()), key), keys);
        let short = pages(&board, &format!("{path}?limit=3")).await;
        assert!(short.iter().rev().skip(1).all(|page| page.len() == 3), "{path}");
        assert_eq!(short.concat(), rows, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_page_is_sent_in_parts_and_revalidated() {
    let board = Board::running(&[]).await;
    for path in lists(&board, &[30_000; 100]).await {
        let page = board.anonymous.get(&path).await;
        assert_eq!((page.header("transfer-encoding"), page.header("x-total-count")), ("chunked", "100"));
        assert_eq!(page.header("content-type"), "application/json");
        let tag = page.header("etag").to_owned();
        assert!(tag.starts_with("W/\""), "{tag}");
        let ask = || board.anonymous.ask(reqwest::Method::GET, &path).header("if-none-match", &tag);
        let unchanged = ask().send().await;
        assert_eq!(
            (unchanged.code(), unchanged.body.len(), unchanged.header("etag")),
            (304, 0, tag.as_str())
        );
        let head = board.anonymous.head(&path).await;
        assert_eq!((head.code(), head.body.len(), head.header("etag")), (200, 0, tag.as_str()));
        let own = board.member.get(&path).await;
        assert_eq!((own.header("cache-control"), own.headers.get("etag")), ("no-store", None));
        assert_eq!(own.json(), page.json());
        let body = json!({"name": "Other", "prompt": "?", "eval_type": "exact", "samples": [{"input": "x", "target": "y"}]});
        board.other.eval(&body).await;
        assert_eq!(ask().send().await.code(), 200, "{path}");
    }
}
