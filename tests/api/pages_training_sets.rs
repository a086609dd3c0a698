use reqwest::Method;
use serde_json::json;

use crate::support::forms::Form;
use crate::support::{Board, Reply};

const SETS: &str = "/api/v1/training-sets";
const HOSTILE: &str = "</pre><script>alert(1)</script>";
const HOSTILE_SHOWN: &str = "&#60;/pre&#62;&#60;script&#62;alert(1)&#60;/script&#62;";

impl Board {
    async fn look(&self, path: &str) -> Reply {
        let page = self.anonymous.ask(Method::GET, path).header("accept", "text/html").send().await;
        let text = page.text();
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(!text.contains("style=") && !text.contains("<script") && !text.contains("<img"), "{text}");
        page
    }

    /// Adds a training set with that file; answers the path of its page.
    async fn add_set(&self, name: &str, file_name: &str, file: &[u8]) -> String {
        let metadata = json!({"name": name, "description": format!("About {name}")}).to_string();
        let form = Form::default().file(file_name, None, file).field("metadata", &metadata);
        let made = self.member.send_form(SETS, &form).await;
        assert_eq!(made.code(), 201, "{}", made.text());
        made.header("location").trim_start_matches("/api/v1").to_owned()
    }

    /// The page of a training set with that file.
    async fn preview(&self, file_name: &str, file: &[u8]) -> String {
        let path = self.add_set("A set", file_name, file).await;
        let page = self.look(&path).await;
        assert_eq!(page.code(), 200, "{}", page.text());
        page.text()
    }
}

/// What stands in each cell of the tables of a page, row by row, heads first. Of a folded one the whole.
fn cells(page: &str) -> Vec<Vec<String>> {
    let rows = page.split("<tr>").skip(1).map(|row| row.split("</tr>").next().unwrap());
    rows.map(|row| row.split("</t").filter_map(cell).collect()).collect()
}

fn cell(text: &str) -> Option<String> {
    let inside = text.rfind("<td").or_else(|| text.rfind("<th")).map(|at| &text[at..])?;
    let inside = inside.rsplit("</summary>").next().unwrap();
    let mut shown = String::new();
    for part in inside.split('<').skip(usize::from(inside.starts_with('<'))) {
        shown.push_str(part.split_once('>').map_or(part, |(_, after)| after));
    }
    Some(shown)
}

fn assert_has(page: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(page.contains(wanted), "no {wanted} in {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn training_sets_are_listed_newest_first_and_every_page_leads_to_them() {
    let board = Board::start().await;
    board.add_set("First", "first.jsonl", b"{}\n{}\n").await;
    let second = board.add_set(HOSTILE, "second.txt", &[b'7'; 1_200]).await;
    let page = board.look("/training-sets").await;
    assert_eq!((page.code(), page.header("cache-control")), (200, "max-age=0, s-maxage=60"));
    let text = page.text();
    assert_has(&text, &["<h1>Training sets</h1>", HOSTILE_SHOWN, "2 training sets"]);
    assert_has(&text, &[&format!("href=\"{second}\""), "href=\"/training-sets\" aria-current=\"page\""]);
    let day = text.rsplit("<td>").next().unwrap().split('<').next().unwrap();
    let expected = [
        ["Name", "Format", "By", "Size", "Lines", "Date"],
        [&format!("{HOSTILE_SHOWN}second.txt"), "Text", "member@example.org", "1.2\u{202f}kB", "1", day],
        ["Firstfirst.jsonl", "JSON Lines", "member@example.org", "6\u{202f}B", "2", day],
    ];
    assert_eq!(cells(&text), expected);
    assert_has(&board.look("/").await.text(), &["<a href=\"/training-sets\">Training sets</a>"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_of_training_sets_goes_on() {
    let board = Board::start().await;
    for at in 0..51 {
        let link = json!({"blob_url": "https://files.example/a.csv", "file_name": "a.csv", "name": format!("Set {at}")});
        assert_eq!(board.member.post(SETS, &link).await.code(), 201);
    }
    let text = board.look("/training-sets").await.text();
    assert_has(&text, &["50 of 51 training sets", "Set 50", "elsewhere, not checked"]);
    let next = text.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let second = board.look(&next.replace("&#38;", "&")).await.text();
    assert_has(&second, &["1 of 51 training sets", "<bdi>Set 0</bdi>", "To the start"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_training_sets_the_page_teaches() {
    let board = Board::start().await;
    let text = board.look("/training-sets").await.text();
    let teaches = [
        "curl https://board.example/api/v1/training-sets \\",
        "-F file=@data.jsonl",
        "https://files.example/data.jsonl",
    ];
    assert_has(&text, &teaches);
    assert!(!text.contains("<table"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_set_has_a_page_with_what_is_known_of_it() {
    let board = Board::start().await;
    let path = board.add_set("Ünits", "ü 1.csv", b"a,b\n1,2\n").await;
    let text = board.look(&path).await.text();
    let stored = board.anonymous.get(&format!("/api/v1{path}")).await.json();
    let href = format!("href=\"{}\"", stored["blob_url"].as_str().unwrap());
    assert_has(&text, &["<h1><bdi>Ünits</bdi></h1>", "About Ünits", "CSV, 2 lines, 8\u{202f}B.", &href]);
    assert_has(&text, &["Download <bdi>ü 1.csv</bdi>", stored["sha256"].as_str().unwrap(), "text/csv"]);
    assert_has(&text, &["by member@example.org", "All of it: 2 lines."]);
    let canonical = format!("<link rel=\"canonical\" href=\"https://board.example{path}\">");
    assert_has(&text, &[&canonical, "aria-current=\"page\">Training sets"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_json_are_a_table_with_a_column_per_key() {
    let board = Board::start().await;
    let lines = "{\"prompt\": \"1 + 1\", \"tags\": [\"sum\", {\"a\": 1}]}\n".repeat(19)
        + "{\"prompt\": \"two\\nlines\", \"score\": 0.50, \"ok\": null}\n"
        + &"{}\n".repeat(30);
    let text = board.preview("data.jsonl", lines.as_bytes()).await;
    assert_has(&text, &["The first 20 of 50 lines."]);
    let table = cells(&text);
    assert_eq!(table.len(), 21);
    assert_eq!(table[0], ["Line", "prompt", "tags", "score", "ok"]);
    assert_eq!(table[1], ["1", "1 + 1", "[&#34;sum&#34;,{&#34;a&#34;:1}]", "—", "—"]);
    assert_eq!(table[20], ["20", "two\nlines", "—", "0.50", "null"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_by_commas_and_by_tabs_are_a_table_below_their_names() {
    let board = Board::start().await;
    let csv = "id,text\r\n1,\"He said \"\"no, never\"\"\nand left\"\r\n2,x\r\n3,\r\n";
    let text = board.preview("data.csv", csv.as_bytes()).await;
    let expected = [
        ["Line", "id", "text"],
        ["2", "1", "He said &#34;no, never&#34;\nand left"],
        ["4", "2", "x"],
        ["5", "3", ""],
    ];
    assert_eq!(cells(&text), expected);
    let text = board.preview("data.TSV", b"a\tb\n1,5\t2\n").await;
    assert_eq!(cells(&text), [["Line", "a", "b"], ["2", "1,5", "2"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_table_is_shown_as_it_is_or_not_at_all() {
    let board = Board::start().await;
    for name in ["a.txt", "a.xml", "a.yaml", "a.yml"] {
        let text = board.preview(name, format!("<a>\n  {HOSTILE}</a>").as_bytes()).await;
        assert_has(&text, &["shown as they are written.", &format!("<code>&#60;a&#62;\n  {HOSTILE_SHOWN}")]);
    }
    for (name, file, words) in [
        ("a.jsonl", "\"nothing\"\n", "no whole JSON object"),
        ("a.json", "[1]", "shown as they are written."),
        ("a.csv", "", "The file is empty."),
    ] {
        let text = board.preview(name, file.as_bytes()).await;
        assert!(text.contains(words) && !text.contains("<table"), "{text}");
    }
    let link = json!({"blob_url": "https://files.example/a.csv", "file_name": "a.csv", "name": "Elsewhere"});
    let made = board.member.post(SETS, &link).await;
    let text = board.look(made.header("location").trim_start_matches("/api/v1")).await.text();
    assert_has(
        &text,
        &["href=\"https://files.example/a.csv\"", "never fetched", "was not checked", "</small> CSV. <a"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_files_are_shown_as_the_text_they_are() {
    let board = Board::start().await;
    let lines = [
        json!({HOSTILE: HOSTILE, "\u{202e}key": "\u{202e}evil"}).to_string(),
        json!(HOSTILE).to_string(),
        format!("{}{}", "[[[".repeat(250), "]]]".repeat(250)),
        json!({"a": "x".repeat(1_000_000)}).to_string(),
    ];
    let text = board.preview("a.jsonl", lines.join("\n").as_bytes()).await;
    assert_has(&text, &["The first 3 of 4 lines, and a part of the next.", "<bdi>\u{202e}evil</bdi>"]);
    let table = cells(&text);
    assert_eq!(table[1], ["1", HOSTILE_SHOWN, "\u{202e}evil"]);
    assert_eq!(table[2], ["2", &format!("JSON, but not an object&#34;{HOSTILE_SHOWN}&#34;")]);
    assert!(table[3][1] == lines[2] && table[4][1].starts_with("{&#34;a&#34;:&#34;xxx"));
    assert_has(&text, &["All 1,500 characters", ">the preview ends within this line</b>"]);
    assert!(text.len() < 40_000, "{} bytes", text.len());

    let wide = format!("{}\n1{}\n", vec![HOSTILE; 200].join(","), ",1".repeat(199));
    let text = board.preview("a.csv", wide.as_bytes()).await;
    assert_has(&text, &["The first 100 of 200 columns.", HOSTILE_SHOWN]);
    let text = board.preview("a.csv", format!("\"{}\"\n", "a,\n".repeat(9_000)).as_bytes()).await;
    assert_has(&text, &["The names of its columns are not all in it"]);
    let text = board.preview("a.csv", b"a,b\n\xff\x1b,\"").await;
    assert_eq!(cells(&text)[1], ["2", "\u{fffd}\u{1b}", ""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_set_that_is_not_there_or_not_any_more_is_the_usual_page() {
    let board = Board::start().await;
    let path = board.add_set("Gone", "a.csv", b"a\n").await;
    assert_eq!(board.look(&path).await.code(), 200);
    assert_eq!(board.member.delete(&format!("/api/v1{path}")).await.code(), 200);
    for path in [path.as_str(), "/training-sets/nobody"] {
        let page = board.look(path).await;
        assert_eq!(page.code(), 404);
        assert_has(&page.text(), &["Nothing here", "no such training set"]);
    }
    assert!(!board.look("/training-sets").await.text().contains("Gone"));
    assert_eq!(board.look("/training-sets?cursor=1.2.3").await.code(), 400);
}
