use std::path::Path;

use serde_json::{Value, json};

use crate::support::Board;
use crate::support::steps::{ELSEWHERE, assert_has, capital, column, sums, text, with};

const CANARY: &str = "sk-canary-7f3a9d21";
const MODELS: &str = "/api/v1/models";

/// A model that is called elsewhere with a key of its own.
fn keyed() -> Value {
    json!({"name": "Elsewhere", "inference_uri": ELSEWHERE, "api_key": CANARY, "is_active": false})
}

/// Every byte that the database has written.
fn database(folder: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let ours = files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("evalboard.db"));
    ours.flat_map(|path| std::fs::read(path).unwrap()).collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_shows_all_that_was_said_of_it() {
    let board = Board::idle().await;
    let said = json!({
        "name": "Everything", "inference_uri": ELSEWHERE, "description": "All of it.", "is_active": false,
        "parameters": {"temperature": 0.5, "max_tokens": 100, "stop": ["END"], "system_prompt": "Be brief.",
                       "seed": 7, "stream": true, "top_p": 0.9, "reasoning_effort": "low"},
        "provider": "Elsewhere Inc.", "url": "https://example.org/card", "license": "MIT", "open_weights": true,
        "max_concurrency": 3, "timeout_ms": 5000, "input_price": 0.5, "output_price": 1.5,
        "cached_input_price": 0.1, "cache_write_price": 0.625,
    });
    let made = board.member.made(MODELS, &said).await;
    for (field, value) in said.as_object().unwrap() {
        assert_eq!(&made[field], value, "{field}");
    }
    assert_has(&made, json!({"has_api_key": false, "is_official": false}));
    assert_eq!(board.other.read(&format!("{MODELS}/{}", text(&made, "id"))).await, made);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_change_does_not_name_stays_and_null_takes_away() {
    let board = Board::idle().await;
    let made = board.member.made(MODELS, &with(keyed(), json!({"license": "MIT", "timeout_ms": 5000}))).await;
    let path = format!("{MODELS}/{}", text(&made, "id"));
    let changed = board.member.changed(&path, &json!({"name": "Renamed", "license": null})).await;
    let expected = with(
        made.clone(),
        json!({"name": "Renamed", "license": null, "updated_at": changed["updated_at"].clone()}),
    );
    assert_eq!(changed, expected);
    assert_eq!(board.other.read(&path).await, changed);
    assert!(changed["updated_at"].as_i64() >= made["updated_at"].as_i64());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_decides_the_answers_makes_another_revision_and_taking_it_back_brings_the_old_one() {
    let board = Board::idle().await;
    let id = board.member.model("builtin:random?seed=1").await;
    let path = format!("{MODELS}/{id}");
    let first = board.member.read(&path).await["revision"].clone();
    for (edit, is_another) in [
        (json!({"name": "Dice", "description": "Throws them."}), false),
        (json!({"input_price": 1.0, "max_concurrency": 2, "license": "MIT"}), false),
        (json!({"parameters": {"temperature": 0.3}}), true),
        (json!({"parameters": {}}), false),
        (json!({"parameters": {"system_prompt": "Guess."}}), true),
        (json!({"parameters": {}, "inference_uri": "builtin:random?seed=2"}), true),
        (json!({"inference_uri": "builtin:random?seed=1"}), false),
    ] {
        let changed = board.member.changed(&path, &edit).await;
        assert_eq!(changed["revision"] != first, is_another, "{edit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_kept_in_its_one_spelling() {
    let board = Board::idle().await;
    for (typed, kept) in [
        ("HTTPS://93.184.216.34:443/v1/../v2/chat", "https://93.184.216.34/v2/chat"),
        ("https://1572395042/v1/chat", ELSEWHERE),
        ("OpenAI-Compatible:https://0x5db8d822/v1#m", "openai-compatible:https://93.184.216.34/v1#m"),
        ("builtin:constant?answer=a%20b", "builtin:constant?answer=a+b"),
    ] {
        let made = board.member.made(MODELS, &json!({"name": "A", "inference_uri": typed})).await;
        assert_eq!(made["inference_uri"], kept, "{typed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_in_and_never_comes_out() {
    let board = Board::busy().await;
    let id = text(&board.member.made(MODELS, &keyed()).await, "id").to_owned();
    board.member.model("builtin:echo").await;
    let eval = board.member.eval(&capital()).await;
    let run = board.member.run(&json!({})).await;
    let run = text(&run, "id");
    let results = board.member.read(&format!("/api/v1/runs/{run}/results")).await;
    let result = text(&results[0], "id");
    let cases = board.member.read(&format!("/api/v1/results/{result}/cases")).await;
    let reads = [
        MODELS.to_owned(),
        format!("{MODELS}/{id}"),
        format!("{MODELS}/{id}/results"),
        "/api/v1/evals".to_owned(),
        format!("/api/v1/evals/{eval}"),
        format!("/api/v1/evals/{eval}/samples"),
        "/api/v1/runs".to_owned(),
        format!("/api/v1/runs/{run}"),
        format!("/api/v1/runs/{run}/results"),
        format!("/api/v1/results/{result}"),
        format!("/api/v1/results/{result}/cases"),
        format!("/api/v1/cases/{}", text(&cases[0], "id")),
        "/api/v1/leaderboard".to_owned(),
        "/api/v1/status".to_owned(),
        "/api/v1/openapi.json".to_owned(),
        "/healthz".to_owned(),
        "/readyz".to_owned(),
    ];
    for client in [&board.anonymous, &board.member, &board.other, &board.admin] {
        for path in &reads {
            let reply = client.get(path).await;
            assert_eq!(reply.code(), 200, "{path}");
            assert!(!reply.text().contains(CANARY), "{path}");
        }
    }
    assert_eq!(board.anonymous.read(&format!("{MODELS}/{id}")).await["has_api_key"], true);
    let written = database(board.house.path());
    assert!(holds(&written, "Elsewhere"), "the search looks at the wrong files");
    assert!(!holds(&written, CANARY));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_not_repeated_in_the_answer() {
    let board = Board::idle().await;
    for body in [
        with(keyed(), json!({"inference_uri": "https://127.0.0.1/v1"})),
        with(keyed(), json!({"inference_uri": "builtin:echo"})),
        with(keyed(), json!({"api_key": format!("{CANARY} with spaces")})),
        with(keyed(), json!({"api_key": [CANARY]})),
    ] {
        let refused = board.member.post(MODELS, &body).await;
        assert_eq!(refused.code(), 400, "{}", refused.text());
        assert!(!refused.text().contains(CANARY), "{}", refused.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stays_with_the_scheme_host_and_port_it_was_given_for() {
    let board = Board::idle().await;
    for (edit, keeps) in [
        (json!({"name": "Renamed"}), true),
        (json!({"inference_uri": "https://93.184.216.34:443/v2/other"}), true),
        (json!({"inference_uri": "openai-compatible:https://93.184.216.34/v1#m"}), true),
        (json!({"inference_uri": "https://93.184.216.34:8443/v1/chat"}), false),
        (json!({"inference_uri": "https://93.184.216.35/v1/chat"}), false),
        (json!({"inference_uri": "https://93.184.216.35/v1/chat", "api_key": "sk-another-one"}), true),
        (json!({"inference_uri": "builtin:echo"}), false),
        (json!({"api_key": null}), false),
    ] {
        let id = text(&board.member.made(MODELS, &keyed()).await, "id").to_owned();
        let changed = board.member.changed(&format!("{MODELS}/{id}"), &edit).await;
        assert_eq!(changed["has_api_key"], keeps, "{edit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_admin_makes_a_model_official() {
    let board = Board::idle().await;
    let official = json!({"name": "A", "inference_uri": "builtin:echo", "is_official": true});
    let refused = board.member.post(MODELS, &official).await;
    refused.assert_refused(403, "code", "forbidden");
    assert_eq!(board.admin.made(MODELS, &official).await["is_official"], true);
    let path = format!("{MODELS}/{}", board.member.model("builtin:echo").await);
    let promote = json!({"is_official": true});
    assert_eq!(board.member.patch(&path, &promote).await.code(), 403);
    assert_eq!(board.anonymous.read(&path).await["is_official"], false);
    assert_eq!(board.admin.changed(&path, &promote).await["is_official"], true);
    assert_eq!(board.member.changed(&path, &json!({"name": "B"})).await["is_official"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_official_model_stays_official_only_as_what_the_admin_saw() {
    let board = Board::idle().await;
    let path = format!("{MODELS}/{}", board.member.model("builtin:echo").await);
    board.admin.changed(&path, &json!({"is_official": true})).await;
    let elsewhere = json!({"inference_uri": "builtin:random"});
    assert_eq!(board.member.patch(&path, &elsewhere).await.code(), 403);
    let demoted = json!({"inference_uri": "builtin:random", "is_official": false});
    assert_eq!(board.member.changed(&path, &demoted).await["is_official"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_pays_for_needs_an_admin() {
    let board = Board::idle().await;
    let unpaid = json!({"name": "A", "inference_uri": "anthropic/claude-sonnet-4-6"});
    for (client, body, status) in [
        (&board.member, unpaid.clone(), 403),
        (&board.member, with(unpaid.clone(), json!({"api_key": CANARY})), 201),
        (&board.admin, unpaid, 201),
    ] {
        let reply = client.post(MODELS, &body).await;
        assert_eq!(reply.code(), status, "{body}: {}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_model_gone_and_its_results_stay_readable() {
    let board = Board::busy().await;
    let id = board.member.model("builtin:calculator").await;
    board.member.eval(&sums()).await;
    let run = board.member.run(&json!({})).await;
    let results = format!("/api/v1/runs/{}/results", text(&run, "id"));
    let before = board.anonymous.read(&results).await;
    let path = format!("{MODELS}/{id}");
    assert_eq!(board.member.delete(&path).await.json(), json!({"success": true}));
    for gone in [path.clone(), format!("{path}/results")] {
        assert_eq!(board.anonymous.get(&gone).await.code(), 404, "{gone}");
    }
    assert_eq!(board.member.delete(&path).await.code(), 404);
    assert_eq!(board.member.patch(&path, &json!({"name": "B"})).await.code(), 404);
    assert_eq!(board.anonymous.read(MODELS).await, json!([]));
    assert_eq!(board.anonymous.read("/api/v1/leaderboard").await, json!([]));
    assert_eq!(board.anonymous.read(&results).await, before);
    let result = text(&before[0], "id");
    assert_eq!(board.anonymous.read(&format!("/api/v1/results/{result}")).await["model_id"], id);
    let cases = board.anonymous.read(&format!("/api/v1/results/{result}/cases")).await;
    assert_eq!(column(&cases, "sample_id"), ["two", "four", "six"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inactive_model_is_listed_and_neither_run_nor_ranked() {
    let board = Board::busy().await;
    let resting = board.member.model("builtin:calculator").await;
    board.member.eval(&sums()).await;
    board.member.run(&json!({})).await;
    board.member.changed(&format!("{MODELS}/{resting}"), &json!({"is_active": false})).await;
    assert_eq!(board.anonymous.read("/api/v1/leaderboard").await, json!([]));
    let working = board.member.model("builtin:echo").await;
    let run = board.member.run(&json!({})).await;
    assert_eq!(run["total_models"], 1);
    assert_eq!(column(&board.anonymous.read(MODELS).await, "id"), [working, resting.clone()]);
    let named = board.member.post("/api/v1/runs", &json!({"model_ids": [resting]})).await;
    named.assert_refused(400, "field", "model_ids[0]");
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_paged_newest_first() {
    let board = Board::idle().await;
    let mut made = Vec::new();
    for seed in 0..5 {
        made.push(board.member.model(&format!("builtin:random?seed={seed}")).await);
    }
    made.reverse();
    assert_eq!(board.anonymous.pages(MODELS, 2).await, made);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_results_of_a_model_are_paged_newest_first() {
    let board = Board::busy().await;
    let id = board.member.model("builtin:calculator").await;
    board.member.eval(&sums()).await;
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(text(&board.member.run(&json!({})).await, "id").to_owned());
    }
    let path = format!("{MODELS}/{id}/results");
    runs.reverse();
    let results = board.anonymous.read(&path).await;
    assert_eq!(column(&results, "eval_run_id"), runs);
    assert_eq!(board.anonymous.pages(&path, 2).await, column(&results, "id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_holds_a_copy_is_told_of_each_write_at_once() {
    let board = Board::idle().await;
    let list = board.anonymous.holding(MODELS).await;
    let id = board.member.model("builtin:echo").await;
    let list = list.renewed().await;
    let path = format!("{MODELS}/{id}");
    let one = board.anonymous.holding(&path).await;
    board.member.changed(&path, &json!({"name": "Renamed"})).await;
    let (list, one) = (list.renewed().await, one.renewed().await);
    assert_eq!(board.anonymous.read(&path).await["name"], "Renamed");
    board.member.delete(&path).await;
    list.renewed().await;
    one.gone().await;
}
