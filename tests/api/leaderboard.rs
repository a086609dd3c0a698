use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use serde_json::{Value, json};

use crate::support::Board;
use crate::support::steps::{assert_has, capital, column, sums, text, with};

const BOARD: &str = "/api/v1/leaderboard";

/// Three models: the first is right on every sum, the second on one, the third on none.
const THREE: [&str; 3] = ["builtin:calculator", "builtin:constant?answer=2", "builtin:echo"];

/// A board on which [`THREE`] have been run over [`sums`], with the ids of the models and the eval.
async fn ranked() -> (Board, Vec<String>, String) {
    let board = Board::busy().await;
    let mut models = Vec::new();
    for uri in THREE {
        models.push(board.member.model(uri).await);
    }
    let eval = board.member.eval(&sums()).await;
    board.member.run(&json!({})).await;
    (board, models, eval)
}

fn only(model: &str, eval: &str) -> Value {
    json!({"model_ids": [model], "eval_ids": [eval]})
}

fn ranks(rows: &Value) -> Vec<Option<i64>> {
    rows.as_array().unwrap().iter().map(|row| row["rank"].as_i64()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_better_mean_stands_first_with_its_interval() {
    let (board, models, eval) = ranked().await;
    let rows = board.anonymous.read(BOARD).await;
    assert_eq!(column(&rows, "model_id"), models);
    assert_eq!(ranks(&rows), [Some(1), Some(2), Some(3)]);
    for (row, score) in rows.as_array().unwrap().iter().zip([1.0, 1.0 / 3.0, 0.0]) {
        let expected = json!({
            "eval_count": 1, "coverage": {"measured": 1, "suite": 1}, "n_items": 3, "errors": 0, "runs": 1,
            "ci_method": "wilson", "ci_level": 0.95, "cost_usd": 0.0, "cost_per_solved": (score > 0.0).then_some(0.0),
            "is_official": false, "provider": "builtin",
        });
        assert_has(row, expected);
        assert!((row["avg_score"].as_f64().unwrap() - score).abs() < 1e-12, "{row}");
        assert_eq!(row["scores"][&eval]["provisional"], false);
        let result = format!("/api/v1/results/{}", text(&row["scores"][&eval], "result_id"));
        assert_has(
            &board.anonymous.read(&result).await,
            json!({"model_id": row["model_id"], "eval_id": eval, "score": row["avg_score"]}),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_means_stand_in_the_order_of_their_names() {
    let board = Board::busy().await;
    for name in ["Cosine", "Axiom", "Beta"] {
        board.member.made("/api/v1/models", &json!({"name": name, "inference_uri": "builtin:echo"})).await;
    }
    board.member.eval(&sums()).await;
    board.member.run(&json!({})).await;
    let rows = board.anonymous.read(BOARD).await;
    assert_eq!(column(&rows, "model_name"), ["Axiom", "Beta", "Cosine"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weight_is_a_share_of_the_mean() {
    let board = Board::busy().await;
    board.member.model("builtin:calculator").await;
    let heavy = board.member.eval(&with(sums(), json!({"weight": 3.0}))).await;
    board.member.eval(&capital()).await;
    board.member.run(&json!({})).await;
    assert_has(&board.anonymous.read(BOARD).await[0], json!({"avg_score": 0.75, "eval_count": 2}));
    board.member.changed(&format!("/api/v1/evals/{heavy}"), &json!({"weight": 1.0})).await;
    assert_eq!(board.anonymous.read(BOARD).await[0]["avg_score"], 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_hide_rows_and_leave_the_ranks_as_they_are() {
    let (board, models, _) = ranked().await;
    let second = format!("/api/v1/models/{}", models[1]);
    let edit = json!({"is_official": true, "open_weights": true, "provider": "Acme", "name": "Second Best"});
    board.admin.changed(&second, &edit).await;
    for (query, shown) in [
        ("official=true", vec![2]),
        ("official=false", vec![1, 3]),
        ("open_weights=true", vec![2]),
        ("open_weights=false", vec![1, 3]),
        ("provider=Acme", vec![2]),
        ("provider=builtin", vec![1, 3]),
        ("provider=acme", vec![]),
        ("q=second", vec![2]),
        ("q=BUILTIN", vec![1, 3]),
        ("q=nobody", vec![]),
        ("official=false&q=echo", vec![3]),
        ("utm_source=x", vec![1, 2, 3]),
    ] {
        let rows = board.anonymous.read(&format!("{BOARD}?{query}")).await;
        let shown: Vec<_> = shown.into_iter().map(Some).collect();
        assert_eq!(ranks(&rows), shown, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_rank_anew() {
    let (board, models, sums_id) = ranked().await;
    let question =
        json!({"category": "Echoes", "name": "Echo", "prompt": "Say Paris.", "expected_behavior": "Paris"});
    let echoes = board.member.eval(&with(capital(), question)).await;
    board.member.changed(&format!("/api/v1/evals/{sums_id}"), &json!({"category": "Maths"})).await;
    board.member.run(&json!({"eval_ids": [echoes]})).await;
    let (best_at_sums, best_at_echoes) = (&models[0], &models[2]);
    for (query, eval, best) in [
        (format!("eval_id={sums_id}"), &sums_id, best_at_sums),
        (format!("eval_id={echoes}"), &echoes, best_at_echoes),
        ("category=Maths".to_owned(), &sums_id, best_at_sums),
        ("category=Echoes".to_owned(), &echoes, best_at_echoes),
    ] {
        let rows = board.anonymous.read(&format!("{BOARD}?{query}")).await;
        assert_eq!(rows.as_array().unwrap().len(), 3, "{query}");
        assert_has(&rows[0], json!({"model_id": best, "rank": 1, "avg_score": 1.0, "eval_count": 1}));
        let scores = rows[0]["scores"].as_object().unwrap();
        assert_eq!(scores.keys().collect::<Vec<_>>(), [eval], "{query}");
    }
    assert_eq!(board.anonymous.read(&format!("{BOARD}?category=None")).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eval_joins_when_half_of_the_ranked_models_have_it_and_counts_for_nothing_before() {
    let (board, models, _) = ranked().await;
    let before = board.anonymous.read(BOARD).await;
    let late = board.member.eval(&capital()).await;
    assert_eq!(board.anonymous.read(BOARD).await, before);
    board.member.run(&only(&models[0], &late)).await;
    let rows = board.anonymous.read(BOARD).await;
    assert_eq!((column(&rows, "model_id"), ranks(&rows)), (models.clone(), vec![Some(1), Some(2), Some(3)]));
    assert_has(&rows[0], json!({"avg_score": 1.0, "coverage": {"measured": 1, "suite": 1}}));
    assert_has(&rows[0]["scores"][&late], json!({"score": 0.0, "provisional": true}));
    board.member.run(&only(&models[1], &late)).await;
    let rows = board.anonymous.read(BOARD).await;
    assert_eq!((column(&rows, "model_id"), ranks(&rows)), (models.clone(), vec![Some(1), Some(2), None]));
    assert_has(&rows[0], json!({"avg_score": 0.5, "coverage": {"measured": 2, "suite": 2}}));
    assert_has(&rows[2], json!({"rank": null, "coverage": {"measured": 1, "suite": 2}, "eval_count": 1}));
    assert_eq!(rows[0]["scores"][&late]["provisional"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_model_stands_below_the_line_until_it_has_the_whole_suite() {
    let (board, models, eval) = ranked().await;
    let second = board.member.eval(&capital()).await;
    board.member.run(&json!({"eval_ids": [second]})).await;
    let new = board.member.model("builtin:constant?answer=Paris").await;
    assert_eq!(board.anonymous.read(BOARD).await.as_array().unwrap().len(), 3);
    board.member.run(&only(&new, &second)).await;
    let rows = board.anonymous.read(BOARD).await;
    assert_eq!(column(&rows, "model_id"), [&models[..], std::slice::from_ref(&new)].concat());
    assert_has(&rows[3], json!({"rank": null, "avg_score": 1.0, "coverage": {"measured": 1, "suite": 2}}));
    board.member.run(&only(&new, &eval)).await;
    let rows = board.anonymous.read(BOARD).await;
    assert_eq!(ranks(&rows).into_iter().flatten().count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_eval_counts_as_it_was_until_half_have_the_new_version() {
    let (board, models, eval) = ranked().await;
    let before = board.anonymous.read(BOARD).await;
    let harder =
        json!({"eval_criteria": {"location": "begin"}, "prompt": "{{input}} and 5 is the question."});
    board.member.changed(&format!("/api/v1/evals/{eval}"), &harder).await;
    assert_eq!(board.anonymous.read(BOARD).await, before);
    let result = |rows: &Value, model: &str| {
        let row = rows.as_array().unwrap().iter().find(|row| row["model_id"] == *model).unwrap().clone();
        text(&row["scores"][&eval], "result_id").to_owned()
    };
    let version = async |rows: &Value, model: &str| {
        let path = format!("/api/v1/results/{}", result(rows, model));
        board.anonymous.read(&path).await["eval_version"].as_i64().unwrap()
    };
    board.member.run(&only(&models[0], &eval)).await;
    let rows = board.anonymous.read(BOARD).await;
    assert_eq!((column(&rows, "model_id"), ranks(&rows)), (models.clone(), vec![Some(1), Some(2), Some(3)]));
    assert_eq!(version(&rows, &models[0]).await, 1);
    board.member.run(&only(&models[1], &eval)).await;
    let rows = board.anonymous.read(BOARD).await;
    for model in &models[..2] {
        assert_eq!(version(&rows, model).await, 2);
    }
    assert!(!column(&rows, "model_id").contains(&models[2]), "{rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eval_that_rests_leaves_the_board_and_comes_back() {
    let (board, _, eval) = ranked().await;
    let before = board.anonymous.read(BOARD).await;
    let path = format!("/api/v1/evals/{eval}");
    board.member.changed(&path, &json!({"is_active": false})).await;
    assert_eq!(board.anonymous.read(BOARD).await, json!([]));
    board.member.changed(&path, &json!({"is_active": true})).await;
    assert_eq!(board.anonymous.read(BOARD).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_present_revision_of_a_model_is_shown() {
    let (board, models, _) = ranked().await;
    let before = board.anonymous.read(BOARD).await;
    let path = format!("/api/v1/models/{}", models[0]);
    board.member.changed(&path, &json!({"parameters": {"seed": 1}})).await;
    assert_eq!(column(&board.anonymous.read(BOARD).await, "model_id"), models[1..]);
    board.member.changed(&path, &json!({"parameters": {}})).await;
    assert_eq!(board.anonymous.read(BOARD).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_result_is_shown_and_not_the_best() {
    let (board, models, eval) = ranked().await;
    for runs in 2..=3 {
        let run = board.member.run(&only(&models[0], &eval)).await;
        let results = board.anonymous.read(&format!("/api/v1/runs/{}/results", text(&run, "id"))).await;
        let row = board.anonymous.read(BOARD).await[0].clone();
        assert_has(&row, json!({"model_id": models[0], "runs": runs}));
        assert_eq!(row["scores"][&eval]["result_id"], results[0]["id"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_in_a_hundred_may_be_missing_and_count_as_wrong_and_three_may_not() {
    let board = Board::busy().await;
    let samples: Vec<Value> =
        (0..100).map(|at| json!({"input": format!("{at} + 1"), "target": (at + 1).to_string()})).collect();
    board.member.eval(&with(sums(), json!({"samples": samples}))).await;
    let two_fail = board.member.model("builtin:flaky?error_rate=0.02&seed=0").await;
    let three_fail = board.member.model("builtin:flaky?error_rate=0.03&seed=0").await;
    let run = board.member.run(&json!({})).await;
    assert_has(&run, json!({"case_errors": 5, "completed_count": 2, "status": "completed"}));
    for (model, expected) in [
        (&two_fail, json!({"state": "complete", "score": 0.98, "error_count": 2, "score_low": 0.98})),
        (
            &three_fail,
            json!({"state": "incomplete", "score": null, "error_count": 3, "score_low": 0.97,
                             "score_high": 1.0, "ci_low": null, "error": "3 of 100 failed: provider_unavailable"}),
        ),
    ] {
        let results = board.anonymous.read(&format!("/api/v1/models/{model}/results")).await;
        assert_has(&results[0], expected);
    }
    let rows = board.anonymous.read(BOARD).await;
    assert_eq!(column(&rows, "model_id"), [two_fail, three_fail]);
    assert_has(&rows[1], json!({"rank": null, "avg_score": null}));
    assert_has(&rows[0], json!({"rank": 1, "errors": 2, "avg_score": 0.98}));
}

/// A provider on this machine that says 2 to everything until it is told to refuse its callers.
struct Provider {
    port: u16,
    refuses: Arc<AtomicBool>,
}

impl Provider {
    fn start() -> Self {
        let refuses = Arc::new(AtomicBool::new(false));
        let shared = Data::from(Arc::clone(&refuses));
        let answer = |refuses: Data<AtomicBool>| async move {
            if refuses.load(Ordering::SeqCst) {
                return HttpResponse::Unauthorized().finish();
            }
            let message = json!({"role": "assistant", "content": "2"});
            HttpResponse::Ok().json(json!({
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11},
            }))
        };
        let app = move || App::new().app_data(shared.clone()).default_service(web::to(answer));
        let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0").unwrap();
        let port = server.addrs()[0].port();
        tokio::spawn(server.disable_signals().run());
        Self { port, refuses }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_result_never_takes_the_place_of_a_complete_one() {
    let provider = Provider::start();
    let allowed = format!("127.0.0.1:{}", provider.port);
    let board = Board::running(&["--egress-allow", &allowed]).await;
    let uri = format!("openai-compatible:http://{allowed}/v1#m");
    let priced = json!({"name": "Local", "inference_uri": uri, "input_price": 1.0, "output_price": 10.0});
    board.member.made("/api/v1/models", &priced).await;
    board.member.eval(&sums()).await;
    assert_has(&board.member.run(&json!({})).await, json!({"status": "completed"}));
    let before = board.anonymous.read(BOARD).await;
    assert_has(&before[0], json!({"model_name": "Local", "runs": 1}));
    assert!((before[0]["cost_usd"].as_f64().unwrap() - 60e-6).abs() < 1e-12, "{before}");
    provider.refuses.store(true, Ordering::SeqCst);
    let failed = board.member.run(&json!({})).await;
    assert_has(&failed, json!({"status": "failed", "case_errors": 3}));
    let results = board.anonymous.read(&format!("/api/v1/runs/{}/results", text(&failed, "id"))).await;
    assert_has(&results[0], json!({"state": "incomplete", "error": "3 of 3 failed: provider_auth"}));
    assert_eq!(board.anonymous.read(BOARD).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_holds_a_copy_is_told_of_each_write_at_once() {
    let (board, models, eval) = ranked().await;
    let copy = board.anonymous.holding(BOARD).await;
    let scoped = board.anonymous.holding(&format!("{BOARD}?eval_id={eval}")).await;
    board.member.changed(&format!("/api/v1/models/{}", models[0]), &json!({"name": "Renamed"})).await;
    let (copy, scoped) = (copy.renewed().await, scoped.renewed().await);
    board.member.run(&json!({})).await;
    let (copy, scoped) = (copy.renewed().await, scoped.renewed().await);
    board.member.delete(&format!("/api/v1/models/{}", models[1])).await;
    let (copy, _) = (copy.renewed().await, scoped.renewed().await);
    board.member.delete(&format!("/api/v1/evals/{eval}")).await;
    copy.renewed().await;
    assert_eq!(board.anonymous.get(BOARD).await.text(), "[]");
}
