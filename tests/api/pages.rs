use std::path::Path;

use evalboard::http::pages::asset;
use reqwest::Method;
use serde_json::json;

use crate::support::seed::{self, SeedEval, SeedModel, StoredEval, StoredModel, eval, model};
use crate::support::{Board, Reply};

const HOSTILE: &str = "<script>alert(1)</script>";
const HOSTILE_SHOWN: &str = "&#60;script&#62;alert(1)&#60;/script&#62;";
const ARABIC: &str = "نموذج اللغة العربية";

impl Board {
    async fn page(&self, path: &str) -> Reply {
        self.anonymous.ask(Method::GET, path).header("accept", "text/html").send().await
    }

    /// A board as it might be found: ranked models, some below the line, a provisional column, odd names.
    async fn seeded() -> Self {
        let board = Self::start().await;
        board.measure(models(), evals()).await;
        board
    }

    /// Stores models and evals, and a finished run of all of them.
    async fn measure(
        &self,
        models: Vec<SeedModel>,
        evals: Vec<SeedEval>,
    ) -> (Vec<StoredModel>, Vec<StoredEval>) {
        let (app, user) = (&self.house.app, seed::owner(&self.house.app).await);
        let models = seed::models(app, &user, models).await;
        let evals = seed::evals(app, &user, evals).await;
        seed::run(app, &user, &models, &evals, usize::MAX).await;
        (models, evals)
    }
}

fn models() -> Vec<SeedModel> {
    let official = |mut model: SeedModel| {
        model.card.is_official = true;
        model
    };
    let open = |mut model: SeedModel| {
        model.card.open_weights = Some(true);
        model
    };
    let part = |evals, model: SeedModel| SeedModel { evals, ..model };
    let quick = |latency_ms, model: SeedModel| SeedModel { latency_ms, ..model };
    vec![
        official(quick(1_180, model("Claude Sonnet 4.6", "anthropic", 0.93, Some(3.0)))),
        official(quick(1_620, model("GPT-5.2", "openai", 0.92, Some(2.5)))),
        official(model("Gemini 3 Pro", "google", 0.885, Some(1.25))),
        open(quick(2_310, model("Qwen3-235B-A22B-Instruct", "together", 0.84, Some(0.2)))),
        open(quick(2_900, model("DeepSeek V3.2", "deepseek", 0.835, Some(0.28)))),
        quick(1_410, model("Mistral Large 3", "mistral", 0.82, Some(2.0))),
        open(quick(610, model("Llama 4 Maverick", "groq", 0.77, Some(0.2)))),
        model(HOSTILE, "<img src=x>", 0.7, None),
        model(ARABIC, "محلي", 0.66, Some(0.1)),
        model(&"Wide".repeat(25), "a-provider-with-a-rather-long-name", 0.6, None),
        quick(0, model("Keyword baseline", "builtin", 0.36, Some(0.0))),
        quick(0, model("Random choice", "builtin", 0.2, Some(0.0))),
        part(4, quick(1_900, model("Grok 4.1", "xai", 0.9, Some(3.0)))),
        part(1, open(model("Phi-5 mini", "ollama", 0.5, None))),
    ]
}

fn evals() -> Vec<SeedEval> {
    vec![
        eval("Arithmetic", "reasoning", 200, 0.05),
        eval("Capitals", "knowledge", 120, 0.03),
        eval("Code review", "code", 80, -0.03),
        eval("Instruction following", "language", 150, 0.0),
        eval("Reasoning", "reasoning", 100, -0.05),
        eval("Support & <b>service</b>", "language", 60, 0.0),
    ]
}

/// Keeps a page for whoever wants to look at it, where the environment says.
fn keep(name: &str, page: &Reply) {
    let Some(folder) = std::env::var_os("EVALBOARD_TEST_PAGES_DIR") else { return };
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).unwrap();
    let mut local = page.text();
    for file in ["app.css", "docs.css", "docs.mjs", "icon.svg"] {
        std::fs::copy(Path::new("static").join(file), folder.join(file)).unwrap();
        local = local.replace(asset(file), file);
    }
    std::fs::write(folder.join(name), local).unwrap();
}

/// What holds for every page.
fn assert_sound(page: &Reply) {
    let text = page.text();
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(!text.contains("style="), "the content policy forbids inline styles");
    assert!(!text.contains("<script>"), "the content policy forbids inline scripts");
    assert!(!text.contains("<img src=x>") && !text.contains("<b>service"), "outside text is escaped");
    for wanted in ["<title>", "lang=\"en\"", "class=\"skip\"", asset("app.css")] {
        assert!(text.contains(wanted), "{wanted}");
    }
}

/// The positions of `names` in the page are in that order.
fn assert_order(text: &str, names: &[&str]) {
    let places: Vec<usize> = names
        .iter()
        .map(|name| text.find(&format!("<bdi>{name}</bdi>")).unwrap_or_else(|| panic!("no {name}")))
        .collect();
    assert!(places.is_sorted(), "{names:?} at {places:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_board_shows_who_stands_where_and_escapes_what_came_from_outside() {
    let board = Board::seeded().await;
    let page = board.page("/").await;
    keep("board.html", &page);
    let chart = board.page("/costs").await;
    keep("costs.html", &chart);
    assert_sound(&chart);
    let drawn = chart.text();
    // Ten ranked models have a known cost; two of the twelve have none, two more are not ranked.
    assert_eq!(drawn.matches("<title>").count(), 11, "{drawn}");
    assert!(drawn.contains("2 models are left out: what an answer costs is unknown."));
    assert!(drawn.contains("class=\"edge\"") && drawn.contains("class=\"near\""));
    assert!(page.text().contains("id=\"score-and-cost\""));
    assert_eq!(page.code(), 200, "{}", page.text());
    assert_sound(&page);
    let text = page.text();
    assert_order(
        &text,
        &[
            "Claude Sonnet 4.6",
            "Gemini 3 Pro",
            "Mistral Large 3",
            HOSTILE_SHOWN,
            ARABIC,
            "Random choice",
            "Grok 4.1",
        ],
    );
    assert!(text.contains("4 of 6 evals") && text.contains("1 of 6 evals"));
    assert!(text.contains("12 models ranked on 6 evals, 710 items."));
    assert!(text.contains("<link rel=\"canonical\" href=\"https://board.example/\">"));
    assert_eq!(text.matches("aria-sort=").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eval_that_few_models_have_is_a_provisional_column() {
    let board = Board::start().await;
    let (models, evals) = board.measure(models(), evals()).await;
    let (app, user) = (&board.house.app, seed::owner(&board.house.app).await);
    let late = vec![eval("Brand new eval with a name that goes on", "knowledge", 40, 0.0)];
    let late = seed::evals(app, &user, late).await;
    seed::run(app, &user, &models[..3], &late, usize::MAX).await;
    seed::run(app, &user, &models, &evals[..2], 312).await;
    let page = board.page("/").await;
    keep("provisional.html", &page);
    assert_sound(&page);
    assert!(page.text().contains(">provisional</small>"));
    assert!(page.text().contains("class=\"provisional\""));
    assert!(page.text().contains("ranked on 6 evals"));
    assert!(page.text().contains("Run in progress: 312 of 4,"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sort_moves_rows_and_not_ranks() {
    let board = Board::seeded().await;
    let page = board.page("/?sort=cost").await;
    keep("sorted.html", &page);
    assert_sound(&page);
    let text = page.text();
    assert_order(
        &text,
        &["Keyword baseline", "Qwen3-235B-A22B-Instruct", "Claude Sonnet 4.6", HOSTILE_SHOWN, "Grok 4.1"],
    );
    assert_eq!(text.matches("aria-sort=\"ascending\"").count(), 1);
    assert!(text.contains("href=\"/?sort=cost&#38;order=desc\""));
    let first = text.split("<tbody>").nth(1).unwrap();
    assert!(first.trim_start().starts_with("<tr><td>11"), "ranks stay: {first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_says_how_many_rows_it_hides() {
    let board = Board::seeded().await;
    let official = board.page("/?official=true").await;
    keep("official.html", &official);
    assert!(official.text().contains("11 of 14 models hidden"));
    let whole = board.page("/").await.text();
    let row = whole.split("<tr").find(|row| row.contains("Qwen3")).unwrap();
    let rank = &row[row.find("<td>").unwrap()..=row.find("</td>").unwrap()];
    let found = board.page("/?q=qwen").await.text();
    assert!(found.contains("13 of 14 models hidden") && found.contains(rank), "it keeps its rank: {rank}");
    let nobody = board.page("/?q=%3Cscript%3Ealert(2)").await;
    keep("nobody.html", &nobody);
    assert_sound(&nobody);
    assert!(nobody.text().contains("No models match"));
    let category = board.page("/?category=code").await.text();
    assert!(category.contains("ranked on 1 eval, 80 items") && !category.contains("hidden,"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_makes_no_sense_is_told_what_would() {
    let board = Board::seeded().await;
    for (query, words) in [
        ("sort=luck", "score, model, cost, latency, errors, runs, date"),
        ("order=up", "asc"),
        ("official=maybe", "true or false"),
        ("category=none", "code, knowledge, language, reasoning"),
    ] {
        let refused = board.page(&format!("/?{query}")).await;
        keep("refused.html", &refused);
        assert_eq!(refused.code(), 400, "{query}");
        assert_sound(&refused);
        assert!(refused.text().contains(words), "{query}: {}", refused.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_board_teaches() {
    let board = Board::start().await;
    let page = board.page("/").await;
    keep("empty.html", &page);
    assert_sound(&page);
    assert!(page.text().contains("curl https://board.example/api/v1/models"));
    assert!(page.text().contains("Every model on every eval"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_lists_every_route() {
    let board = Board::start().await;
    let page = board.page("/docs").await;
    keep("docs.html", &page);
    assert_sound(&page);
    let text = page.text();
    assert!(text.contains("/api/v1/openapi.json"));
    assert!(text.contains("curl -X POST https://board.example/api/v1/models"));
    assert!(
        text.contains("https://board.example/api/v1/models/{id}/artifacts \\\n  -H")
            && text.contains("-F file=@weights.bin")
    );
    // What only a script can use is not there without one.
    assert!(text.contains("<form class=\"key\" hidden>") && text.contains("<template id=\"try\">"));
    assert!(text.contains(&format!("<script type=\"module\" src=\"{}\">", asset("docs.mjs"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_models_on_six_evals_are_a_small_page() {
    let board = Board::start().await;
    let models =
        (0..100).map(|at| model(&format!("A model with a name {at}"), "provider", 0.5, Some(1.0))).collect();
    let evals = (0..6).map(|at| eval(&format!("Eval number {at}"), "all", 3, 0.0)).collect();
    board.measure(models, evals).await;
    let page = board.page("/").await;
    keep("hundred.html", &page);
    assert!(page.body.len() < 100 * 1024, "{} bytes", page.body.len());
    assert!(page.text().contains("<a href=\"/costs\">"), "the chart of so many has a page of its own");
    let chart = board.page("/costs").await;
    assert_sound(&chart);
    // All but those that lack a measurement and are not ranked.
    assert_eq!(chart.text().matches("<tr><th scope=\"row\">").count(), 93);
    assert!(chart.text().contains("7 models are left out"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_page_says_what_happened_and_where_to_go() {
    let board = Board::start().await;
    let page = board.page("/nothing").await;
    keep("missing.html", &page);
    assert_sound(&page);
    assert!(page.text().contains(page.header("x-request-id")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_has_a_page_with_its_scores_and_its_past() {
    let board = Board::start().await;
    let (models, _) = board.measure(models(), evals()).await;
    let (best, hostile) = (&models[0].id, &models[7].id);
    let page = board.page(&format!("/models/{best}")).await;
    keep("model.html", &page);
    assert_sound(&page);
    let text = page.text();
    for wanted in
        ["Rank 1", " of 12: ", "over 6 evals.", "6 results", "openrouter/anthropic/model", "$3.00 in"]
    {
        assert!(text.contains(wanted), "{wanted}");
    }
    let page = board.page(&format!("/models/{hostile}")).await;
    assert_sound(&page);
    assert!(page.text().contains(&format!("<bdi>{HOSTILE_SHOWN}</bdi>")));
    assert_eq!(board.page("/models/nobody").await.code(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_was_deleted_says_so_and_keeps_its_results() {
    let board = Board::start().await;
    let (models, _) = board.measure(models(), evals()[..2].to_vec()).await;
    let path = format!("/models/{}", models[1].id);
    assert_eq!(board.member.delete(&format!("/api/v1{path}")).await.code(), 200);
    let page = board.page(&path).await;
    keep("withdrawn.html", &page);
    assert_sound(&page);
    assert!(page.text().contains("Withdrawn on ") && page.text().contains("2 results"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eval_has_a_page_with_a_ranking_of_its_own() {
    let board = Board::start().await;
    let (_, evals) = board.measure(models(), evals()).await;
    let list = board.page("/evals").await;
    keep("evals.html", &list);
    assert_sound(&list);
    let page = board.page(&format!("/evals/{}", evals[1].id)).await;
    keep("eval.html", &page);
    assert_sound(&page);
    let text = page.text();
    assert_order(&text, &["Claude Sonnet 4.6", "Gemini 3 Pro", ARABIC, "Random choice"]);
    assert!(text.contains("120 samples, scored by exact.") && text.contains("50 of 120 samples"));
    let next = text.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let second = board.page(&next.replace("&#38;", "&")).await;
    assert!(second.text().contains("item-50") && second.text().contains("To the start"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_eval_withholds_is_on_no_page_but_its_owners() {
    let board = Board::start().await;
    let mut hidden = eval("Hidden", "secret", 60, 0.0);
    hidden.card.hidden_targets = true;
    let (_, evals) = board.measure(models()[..3].to_vec(), vec![hidden]).await;
    let page = format!("/evals/{}", evals[0].id);
    let result = link(&board.page(&page).await.text(), "/results/");
    let case = link(&board.page(&result).await.text(), "/cases/");
    for path in [&page, &result, &case] {
        let (shown, own) = (board.page(path).await, board.member.get(path).await);
        assert_sound(&shown);
        assert!(shown.text().contains("withheld"), "{path}");
        assert!(!shown.text().contains("Target<") && !shown.text().contains("What a good answer"), "{path}");
        assert!(own.text().contains("Target<") && !own.text().contains("withheld"), "{path}");
        assert_eq!(own.header("cache-control"), "no-store");
    }
    assert!(!board.page(&case).await.text().contains("Extracted answer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_has_a_page_with_how_far_it_is_and_what_failed() {
    let board = Board::start().await;
    let (models, evals) = board.measure(models(), evals()).await;
    let user = seed::owner(&board.house.app).await;
    let open = seed::run(&board.house.app, &user, &models, &evals[..3], 1_312).await;
    let list = board.page("/runs").await;
    keep("runs.html", &list);
    assert_sound(&list);
    assert!(list.text().contains(">running</b>") && list.text().contains(">completed</b>"));
    assert_eq!(list.header("cache-control"), "no-cache");
    let page = board.page(&format!("/runs/{open}")).await;
    keep("run.html", &page);
    assert_sound(&page);
    let text = page.text();
    let follow = format!("data-follow=\"/api/v1/runs/{open}/events\"");
    for wanted in ["1,312 of ", "Reload", "provider_timeout", "Raise the model", "waiting", &follow] {
        assert!(text.contains(wanted), "{wanted}");
    }
    assert!(text.contains("<script type=\"module\" src=\"/static/run."));
    assert_eq!(board.member.post(&format!("/api/v1/runs/{open}/cancel"), &json!({})).await.code(), 200);
    let over = board.page(&format!("/runs/{open}")).await.text();
    assert!(!over.contains("data-follow") && !over.contains("<script") && !over.contains("Reload"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_leads_to_its_cases_and_a_case_to_the_ones_beside_it() {
    let board = Board::start().await;
    let (_, evals) = board.measure(models(), evals()).await;
    let last = board.page(&format!("/evals/{}", evals[0].id)).await.text();
    let result = link(last.split("Mistral").nth(1).unwrap(), "/results/");
    let page = board.page(&result).await;
    keep("result.html", &page);
    assert_sound(&page);
    assert!(page.text().contains("points over 200 items.") && page.text().contains("50 of 200 cases"));
    let wrong = board.page(&format!("{result}?state=wrong")).await;
    assert_sound(&wrong);
    assert!(!wrong.text().contains(">correct</b>") && wrong.text().contains(">incorrect</b>"));
    let case = link(&wrong.text(), "/cases/");
    assert!(case.ends_with("?state=wrong"));
    let first = board.page(&case).await;
    keep("case.html", &first);
    assert_sound(&first);
    let text = first.text();
    assert!(text.contains("<span>First</span>") && text.contains("&#60;script&#62;alert(1)"));
    let next = text.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let second = board.page(next).await.text();
    assert!(second.contains(&format!("rel=\"prev\" href=\"{case}\"")) && second.contains(">incorrect</b>"));
    assert_eq!(board.page(&format!("{result}?state=odd")).await.code(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_lists_teach() {
    let board = Board::start().await;
    for (path, words) in [("/evals", "curl https://board.example/api/v1/evals"), ("/runs", "curl -X POST")] {
        let page = board.page(path).await;
        keep(&format!("empty-{}.html", &path[1..]), &page);
        assert_sound(&page);
        assert!(page.text().contains(words), "{path}");
    }
}

/// The first link of a page that begins so.
fn link(text: &str, beginning: &str) -> String {
    let at = text.find(&format!("href=\"{beginning}")).unwrap_or_else(|| panic!("no {beginning} in {text}"));
    text[at..].split('"').nth(1).unwrap().replace("&#38;", "&")
}
