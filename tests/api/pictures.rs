//! What is shown of a page where a link to it is posted: a picture of its own, or the board's.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use crate::support::steps::{sums, text};
use crate::support::{Board, PUBLIC_URL, Reply};

const BOARD: &str = "/preview/board.png";
/// Names that would break a drawing, if anything could: markup, entities, letters that our font lacks, from right to
/// left, emoji, what is no letter, and no end.
const HOSTILE: [&str; 7] = [
    "</text><script>alert(1)</script>",
    "&amp; &#0; ]]> <!-- \" '",
    "نموذج اللغة العربية",
    "通义千问 3",
    "🚀🚀🚀",
    "Z\u{335}\u{336}algo\u{fffe}",
    "WideWideWideWideWideWideWideWideWideWideWideWideWideWideWideWideWideWideWideWideWideWideWideWideWide",
];

/// Models of those names and one eval, finished.
struct Site {
    board: Board,
    models: Vec<String>,
    eval: String,
}

impl Site {
    async fn new() -> Self {
        let board = Board::busy().await;
        let mut models = Vec::new();
        for name in HOSTILE {
            let model = json!({"name": name, "inference_uri": "builtin:calculator"});
            models.push(text(&board.member.made("/api/v1/models", &model).await, "id").to_owned());
        }
        let mut eval = sums();
        eval["name"] = json!("<b>Sums</b> & 算術");
        let eval = board.member.eval(&eval).await;
        board.member.run(&json!({})).await;
        Self { board, models, eval }
    }

    async fn page(&self, path: &str) -> String {
        let page = self.board.anonymous.ask(Method::GET, path).header("accept", "text/html").send().await;
        assert_eq!(page.code(), 200, "{path}: {}", page.text());
        page.text()
    }

    async fn picture(&self, path: &str) -> Reply {
        let picture = self.board.anonymous.get(path).await;
        assert_picture(path, &picture);
        picture
    }

    /// Every kind of page.
    async fn pages(&self) -> Vec<String> {
        let read = async |path: &str| self.board.anonymous.read(path).await;
        let run = text(&read("/api/v1/runs").await[0], "id").to_owned();
        let result = text(&read(&format!("/api/v1/runs/{run}/results")).await[0], "id").to_owned();
        let case = text(&read(&format!("/api/v1/results/{result}/cases")).await[0], "id").to_owned();
        let fixed = [
            "/",
            "/?q=nobody",
            "/costs",
            "/compare",
            "/evals",
            "/runs",
            "/schedules",
            "/training-sets",
            "/docs",
        ];
        let mut pages: Vec<String> = fixed.map(str::to_owned).into();
        pages.extend(self.models.iter().map(|id| format!("/models/{id}")));
        pages.extend([format!("/evals/{}", self.eval), format!("/runs/{run}")]);
        pages.extend([format!("/results/{result}"), format!("/cases/{case}"), self.pair("/compare")]);
        pages
    }

    /// The address of the first two models compared.
    fn pair(&self, path: &str) -> String {
        format!("{path}?a={}&b={}", self.models[0], self.models[1])
    }
}

/// A PNG of the size that pages say it has.
fn assert_picture(path: &str, picture: &Reply) {
    assert_eq!((picture.code(), picture.header("content-type")), (200, "image/png"), "{path}");
    let body = &picture.body;
    assert_eq!(&body[..8], b"\x89PNG\r\n\x1a\n", "{path}");
    let number = |at: usize| u32::from_be_bytes(body[at..at + 4].try_into().unwrap());
    assert_eq!((number(16), number(20)), (1200, 630), "{path}");
}

/// The content of a page's `<meta>` of that name.
fn said<'p>(page: &'p str, name: &str) -> &'p str {
    let begin = format!("\"{name}\" content=\"");
    let rest = page.split(&begin).nth(1).unwrap_or_else(|| panic!("no {name}: {page}"));
    rest.split('"').next().unwrap()
}

/// Where a page's picture is, below the address that the outside knows.
fn pictured(page: &str) -> String {
    let address = said(page, "og:image").replace("&#38;", "&");
    address.strip_prefix(PUBLIC_URL).unwrap_or_else(|| panic!("{address}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_names_a_picture_that_anybody_can_see() {
    let site = Site::new().await;
    let mut pictures = BTreeSet::new();
    for path in site.pages().await {
        let page = site.page(&path).await;
        let large = ["1200", "630", "summary_large_image"];
        assert_eq!(
            ["og:image:width", "og:image:height", "twitter:card"].map(|name| said(&page, name)),
            large
        );
        assert!(!said(&page, "og:image:alt").is_empty(), "{path}");
        pictures.insert(pictured(&page));
    }
    let own = site.models.iter().map(|id| format!("/preview/models/{id}.png"));
    let others =
        [BOARD.to_owned(), format!("/preview/evals/{}.png", site.eval), site.pair("/preview/compare.png")];
    assert_eq!(pictures, own.chain(others).collect());
    for path in &pictures {
        site.picture(path).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_drawn_once_and_again_when_what_it_shows_has_changed() {
    let site = Site::new().await;
    let first = site.picture(BOARD).await;
    assert_eq!(first.header("cache-control"), "public, max-age=60");
    let asked = site.board.anonymous.ask(Method::GET, BOARD).header("if-none-match", first.header("etag"));
    let again = asked.send().await;
    assert_eq!((again.code(), again.body.len()), (304, 0));
    assert_eq!(site.picture(BOARD).await.body, first.body);
    let renamed = format!("/api/v1/models/{}", site.models[0]);
    let reply =
        site.board.member.ask(Method::PATCH, &renamed).json(&json!({"name": "Another name"})).send().await;
    assert_eq!(reply.code(), 200, "{}", reply.text());
    assert_ne!(site.picture(BOARD).await.body, first.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_not_has_no_picture() {
    let site = Site::new().await;
    let gone = &site.models[0];
    assert_eq!(site.board.member.delete(&format!("/api/v1/models/{gone}")).await.code(), 200);
    let [known, other] = [&site.models[1], &site.models[2]];
    for (path, status) in [
        (format!("/preview/models/{gone}.png"), 404),
        ("/preview/models/nobody.png".to_owned(), 404),
        ("/preview/evals/nothing.png".to_owned(), 404),
        (format!("/preview/compare.png?a={known}&b={gone}"), 404),
        (format!("/preview/compare.png?a={known}&b=nobody"), 404),
        (format!("/preview/compare.png?a={known}&b={known}"), 400),
        (format!("/preview/compare.png?a={known}"), 400),
        ("/preview/compare.png".to_owned(), 400),
        ("/preview/nothing.png".to_owned(), 404),
        (format!("/preview/compare.png?a={known}&b={other}"), 200),
    ] {
        assert_eq!(site.board.anonymous.get(&path).await.code(), status, "{path}");
    }
    let page = site.page(&format!("/models/{gone}")).await;
    assert_eq!(pictured(&page), BOARD, "a model that was withdrawn is shown with the board's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_without_results_has_pictures_too() {
    let board = Board::start().await;
    let ids = [board.member.model("builtin:echo").await, board.member.model("builtin:calculator").await];
    let eval = board.member.eval(&sums()).await;
    let own = [format!("/preview/models/{}.png", ids[0]), format!("/preview/evals/{eval}.png")];
    let pair = format!("/preview/compare.png?a={}&b={}", ids[0], ids[1]);
    for path in own.iter().chain([&pair, &BOARD.to_owned()]) {
        assert_picture(path, &board.anonymous.get(path).await);
    }
}
