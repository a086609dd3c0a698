//! What members may spend on the operator's keys in a day, and a run of a model that is just being registered.

use std::process::Command;
use std::time::Duration;

use evalboard::store::Tx;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::field::{Field, samples, until};
use crate::support::provider::{Act, Gate, Script};
use crate::support::steps::{assert_has, sums, text, with};
use crate::support::{Board, Reply};

/// Longer than a case takes to be recorded, so that the call after the one that reaches a cap is broken off.
const THINKING: Duration = Duration::from_millis(300);

/// A dollar for the ten tokens of a question.
fn a_dollar_a_case() -> Value {
    json!({"input_price": 100_000.0, "output_price": 0.0, "max_concurrency": 1})
}

impl Field {
    /// Registers a model that the operator pays, as only an admin may. Answers its id.
    async fn house_model(&self, name: &str, script: Script, more: Value) -> String {
        self.paid_model(&format!("house/{name}"), script, more).await
    }

    async fn paid_model(&self, uri: &str, script: Script, more: Value) -> String {
        let (_, name) = uri.split_once('/').unwrap();
        self.provider.script(name, script.thinking(THINKING));
        let body = json!({"name": name, "inference_uri": uri});
        text(&self.board.admin.made("/api/v1/models", &with(body, more)).await, "id").to_owned()
    }

    async fn questions(&self, name: &str, count: usize) -> String {
        let rows = samples(count, |at| (format!("{name} {at}"), format!("{name} {at}")));
        self.eval(name, "exact", json!({"samples": rows})).await
    }

    /// `evalboard user cap` on this board's folder.
    async fn cap(&self, usd: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evalboard"));
        command.args(["user", "cap", "Member@Example.org", usd, "--data-dir"]).arg(self.board.house.path());
        let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// The next day begins: what was spent today was spent yesterday.
    async fn next_day(&self) {
        let command = |tx: &mut Tx<'_>| tx.execute("UPDATE spending SET day = day - 1", &[]).map(drop);
        self.board.house.app.store.write(command).await.unwrap();
    }

    async fn try_run(&self, body: Value) -> Reply {
        self.board.member.post("/api/v1/runs", &body).await
    }

    async fn retry(&self, run: &str) -> Reply {
        self.board.member.ask(Method::POST, &format!("/api/v1/runs/{run}/retry")).send().await
    }

    async fn me(&self) -> Value {
        self.board.member.read("/api/v1/me").await
    }
}

fn said(reply: &Reply) -> String {
    text(&reply.json(), "error").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_spends_up_to_his_cap_and_goes_on_the_next_day() {
    let field = Field::operated(&["--member-daily-usd", "4"]).await;
    let model = field.house_model("paid", Script::answers(str::to_owned), a_dollar_a_case()).await;
    let first = field.questions("first", 2).await;
    let second = field.questions("second", 8).await;
    assert_has(&field.me().await, json!({"role": "member", "daily_usd": 4.0, "spent_usd": 0.0}));

    let id = field.trigger(json!({})).await;
    let run = field.ended(&id).await;
    assert_has(&run, json!({"status": "cancelled", "case_done": 4, "cost_usd": 4.0, "case_total": 10}));
    let why = text(&run, "error");
    assert!(why.starts_with("stopped: its owner's cap of $4.00 for today is spent: $4.00"), "{why}");
    assert!(why.contains("; retry the run after 20") && why.ends_with(" 00:00 UTC"), "{why}");
    let me = field.me().await;
    assert_has(&me, json!({"daily_usd": 4.0, "spent_usd": 4.0}));
    assert_eq!(me["resets_at"].as_i64().unwrap() % 86_400_000, 0, "{me}");
    let held: Vec<String> =
        field.leaderboard().await[0]["scores"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(held, [first.as_str()], "its complete cell counts");

    for refused in [
        field.try_run(json!({})).await,
        field.try_run(json!({"dry_run": true})).await,
        field.retry(&id).await,
        field.board.admin.ask(Method::POST, &format!("/api/v1/runs/{id}/retry")).send().await,
    ] {
        refused.assert_refused(409, "code", "cap_spent");
        let said = said(&refused);
        assert!(
            said.contains("cap of $4.00 for today is spent: $4.00") && said.contains("00:00 UTC"),
            "{said}"
        );
    }
    let page = field.board.anonymous.get(&format!("/runs/{id}")).await.text();
    assert!(
        page.contains("cap of $4.00 for today is spent") && page.contains(&format!("{id}/retry")),
        "{page}"
    );

    field.next_day().await;
    assert_eq!(field.retry(&id).await.code(), 202);
    let run = field.ended(&id).await;
    assert_has(&run, json!({"status": "cancelled", "case_done": 8, "cost_usd": 8.0, "case_total": 10}));
    field.next_day().await;
    let again = field.retry(&id).await;
    assert_has(&again.json(), json!({"status": "running", "error": null, "completed_at": null}));
    let run = field.ended(&id).await;
    assert_has(&run, json!({"status": "completed", "case_done": 10, "completed_count": 2, "error": null}));
    assert_eq!(field.result(&run, &model, &second).await["score"], 1.0);
    assert_eq!(field.result(&run, &model, &first).await["score"], 1.0);
    let twice = "SELECT COUNT(*) - COUNT(DISTINCT result_id || ' ' || sample_id) AS n FROM cases";
    assert_eq!(field.count(twice).await, 0);
    field.retry(&id).await.assert_refused(409, "code", "nothing_to_retry");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_stopped_before_it_was_planned_is_planned_to_its_end() {
    let field = Field::operated(&["--member-daily-usd", "1"]).await;
    field.house_model("paid", Script::answers(str::to_owned), a_dollar_a_case()).await;
    field.questions("first", 2).await;
    field.questions("second", 3).await;
    let id = field.trigger(json!({})).await;
    assert_has(&field.ended(&id).await, json!({"status": "cancelled", "case_done": 1}));
    // As it is when the cap is reached while the second cell has no items yet.
    let unplan = |tx: &mut Tx<'_>| {
        tx.execute("DELETE FROM work_items WHERE eval_id = (SELECT MAX(id) FROM evals)", &[])?;
        tx.execute("UPDATE runs SET planned_at = NULL, plan_cell = 1, plan_sample = 0", &[]).map(drop)
    };
    field.board.house.app.store.write(unplan).await.unwrap();
    field.cap("100").await;
    assert_eq!(field.retry(&id).await.code(), 202);
    let run = field.ended(&id).await;
    assert_has(&run, json!({"status": "completed", "case_done": 5, "completed_count": 2, "case_total": 5}));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_cap_a_member_runs_nothing_that_the_operator_pays() {
    let field = Field::operated(&[]).await;
    let paid = field.house_model("paid", Script::answers(str::to_owned), a_dollar_a_case()).await;
    field.questions("say", 2).await;
    let refused = field.try_run(json!({})).await;
    refused.assert_refused(403, "code", "forbidden");
    assert!(said(&refused).contains("paid is paid by the operator: only an admin"), "{}", said(&refused));
    assert_has(&field.me().await, json!({"daily_usd": null}));

    assert_eq!(
        field.cap("1.50").await,
        "member@example.org may spend $1.50 a day (UTC) on the operator's keys\n"
    );
    assert_has(&field.me().await, json!({"daily_usd": 1.5}));
    let id = field.trigger(json!({"model_ids": [paid]})).await;
    // The case that reaches the cap was its last: there is nothing to stop.
    assert_has(&field.ended(&id).await, json!({"status": "completed", "cost_usd": 2.0, "error": null}));
    assert!(field.cap("none").await.contains("no cap of his own"));
    field.try_run(json!({})).await.assert_refused(403, "code", "forbidden");
    field.cap("0").await;
    field.next_day().await;
    field.try_run(json!({})).await.assert_refused(409, "code", "cap_spent");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runs_of_a_member_stop_together_and_those_of_others_and_on_own_keys_go_on() {
    let field = Field::operated(&["--member-daily-usd", "3"]).await;
    let gate = Gate::closed();
    let held = Script::by({
        let gate = gate.clone();
        move |asked| Act::Wait(gate.clone(), asked.prompt().to_owned())
    });
    let paid = field.house_model("paid", Script::answers(str::to_owned), a_dollar_a_case()).await;
    let slow = field.paid_model("other/slow", held.clone(), a_dollar_a_case()).await;
    let own = field.model("own", held, a_dollar_a_case()).await;
    field.questions("say", 5).await;
    let waiting = field.trigger(json!({"model_ids": [slow]})).await;
    let unpaid = field.trigger(json!({"model_ids": [own]})).await;
    let body = json!({"model_ids": [paid]});
    let admins = field.board.admin.post("/api/v1/runs", &body).await.json();
    assert_has(&field.ended(text(&admins, "id")).await, json!({"status": "completed", "cost_usd": 5.0}));

    let id = field.trigger(body).await;
    assert_has(&field.ended(&id).await, json!({"status": "cancelled", "case_done": 3}));
    let stopped = field.ended(&waiting).await;
    assert_has(&stopped, json!({"status": "cancelled", "case_done": 0}));
    assert!(text(&stopped, "error").contains("cap of $3.00"), "{stopped}");
    gate.open();
    assert_has(&field.ended(&unpaid).await, json!({"status": "completed", "case_done": 5}));
    assert_has(&field.me().await, json!({"spent_usd": 3.0}));
    let open = "SELECT COUNT(*) AS n FROM work_items WHERE state IN ('ready', 'leased')";
    until("no open item", async || (field.count(open).await == 0).then_some(())).await;
    // A run of which no case was asked goes on all the same; what a model took with it is left out.
    field.next_day().await;
    assert_eq!(field.board.admin.delete(&format!("/api/v1/models/{paid}")).await.code(), 200);
    field.retry(&id).await.assert_refused(409, "code", "nothing_to_retry");
    field.cap("100").await;
    assert_eq!(field.retry(&waiting).await.code(), 202);
    assert_has(&field.ended(&waiting).await, json!({"status": "completed", "case_done": 5}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_held_to_a_cap_is_refused_by_name() {
    let field = Field::operated(&["--member-daily-usd", "3"]).await;
    let free = field.model("free", Script::answers(str::to_owned), json!({})).await;
    let unpriced = field.house_model("unpriced", Script::says("4"), json!({"input_price": 1.0})).await;
    let judge = json!({"is_active": false, "output_price": 1.0});
    let judge = field.house_model("judge", Script::always(Act::verdict(1.0)), judge).await;
    let plain = field.questions("say", 1).await;
    let criteria = json!({"rubric": "Right?", "grader": judge});
    let judged = field.eval("judged", "rubric", json!({"prompt": "2+2?", "eval_criteria": criteria})).await;
    for (body, name) in [
        (json!({"model_ids": [unpriced]}), "unpriced"),
        (json!({"model_ids": [free], "eval_ids": [judged]}), "the grader judge"),
    ] {
        let refused = field.try_run(body).await;
        refused.assert_refused(403, "code", "forbidden");
        let said = said(&refused);
        assert!(said.starts_with(name) && said.contains("an input_price and an output_price"), "{said}");
    }
    let id = field.trigger(json!({"model_ids": [free], "eval_ids": [plain]})).await;
    assert_has(&field.ended(&id).await, json!({"status": "completed"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn grader_that_an_eval_names_is_not_paid_for_members_without_a_cap() {
    let field = Field::operated(&[]).await;
    let free = field.model("free", Script::answers(str::to_owned), json!({})).await;
    let judge = with(a_dollar_a_case(), json!({"is_active": false}));
    let judge = field.house_model("judge", Script::always(Act::verdict(1.0)), judge).await;
    field.questions("say", 1).await;
    let criteria = json!({"rubric": "Right?", "grader": judge, "votes": 15});
    let judged = field.eval("judged", "rubric", json!({"prompt": "2+2?", "eval_criteria": criteria})).await;
    let refused = field.try_run(json!({"model_ids": [free], "eval_ids": [judged]})).await;
    refused.assert_refused(403, "code", "forbidden");
    assert!(said(&refused).starts_with("the grader judge is paid by the operator"), "{}", said(&refused));
    let run = field.trigger(json!({"model_ids": [free]})).await;
    let run = field.ended(&run).await;
    assert_has(&run, json!({"status": "completed", "case_total": 1, "completed_count": 1}));
    assert_has(&run["skipped"][0], json!({"id": judged, "code": "not_paid"}));
    assert!(field.provider.asked("judge").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_at_the_same_time_bring_no_model_to_the_operators_key() {
    let field = Field::operated(&[]).await;
    let own = field.provider.uri("own");
    for round in 0..20 {
        let model = json!({"name": format!("m{round}"), "inference_uri": own, "api_key": "k"});
        let model = field.board.member.made("/api/v1/models", &model).await;
        let path = format!("/api/v1/models/{}", text(&model, "id"));
        let (moved, bared) =
            (json!({"inference_uri": "house/big", "api_key": "k"}), json!({"api_key": null}));
        let (moved, bared) =
            tokio::join!(field.board.member.patch(&path, &moved), field.board.member.patch(&path, &bared));
        let model = field.board.anonymous.read(&path).await;
        let is_operators = text(&model, "inference_uri").starts_with("house/");
        assert!(model["has_api_key"] == true || !is_operators, "{model} after {moved:?} and {bared:?}");
        if moved.code() == 409 {
            moved.assert_refused(409, "code", "model_changed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_grading_costs_on_the_operators_keys_counts() {
    let field = Field::operated(&["--member-daily-usd", "2"]).await;
    field.model("own", Script::says("4"), a_dollar_a_case()).await;
    let judge = with(a_dollar_a_case(), json!({"is_active": false}));
    let judge = field.house_model("judge", Script::always(Act::verdict(1.0)), judge).await;
    let rows = samples(5, |at| (format!("2+2? {at}"), "4".to_owned()));
    let criteria = json!({"rubric": "Right?", "grader": judge});
    field.eval("judged", "rubric", json!({"samples": rows, "eval_criteria": criteria})).await;
    let run = field.run_all().await;
    assert_has(&run, json!({"status": "cancelled", "case_done": 2, "cost_usd": 4.0}));
    assert_has(&field.me().await, json!({"spent_usd": 2.0}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cost_that_nobody_knows_stops_a_member_for_the_day() {
    let field = Field::operated(&["--member-daily-usd", "100"]).await;
    let silent = json!({"choices": [{"index": 0, "finish_reason": "stop",
                                     "message": {"role": "assistant", "content": "say 0"}}]});
    let script = Script::always(Act::Body(silent.to_string().into_bytes()));
    field.house_model("silent", script, a_dollar_a_case()).await;
    field.questions("say", 5).await;
    let run = field.run_all().await;
    assert_has(&run, json!({"status": "cancelled", "case_done": 1}));
    assert!(text(&run, "error").contains("what a case cost is not known"), "{run}");
    assert_has(&field.me().await, json!({"spent_usd": null}));
    field.try_run(json!({})).await.assert_refused(409, "code", "cap_spent");
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_tokens_for_a_text_spend_a_cap_like_an_unknown_cost() {
    let field = Field::operated(&["--member-daily-usd", "100"]).await;
    let zeros = Script::always(Act::completion(&json!("yes, and more"), "stop", (0, 0)));
    field.house_model("paid", zeros, a_dollar_a_case()).await;
    field.questions("say", 5).await;
    let run = field.run_all().await;
    assert_has(&run, json!({"status": "cancelled", "case_done": 1}));
    assert!(text(&run, "error").contains("what a case cost is not known"), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_person_stopped_does_not_go_on_by_a_retry() {
    let field = Field::operated(&["--member-daily-usd", "100"]).await;
    let (gate, model) = (Gate::closed(), json!({"input_price": 1.0, "output_price": 1.0}));
    field.house_model("paid", Script::always(Act::Wait(gate.clone(), String::new())), model).await;
    field.questions("say", 5).await;
    let id = field.trigger(json!({})).await;
    field.board.member.ask(Method::POST, &format!("/api/v1/runs/{id}/cancel")).send().await;
    field.retry(&id).await.assert_refused(409, "code", "nothing_to_retry");
    let page = field.board.anonymous.get(&format!("/runs/{id}")).await.text();
    assert!(!page.contains("/retry"), "what cannot be retried is not offered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_that_is_none_is_refused_in_words() {
    let board = Board::idle().await;
    for (usd, words) in [("-1", "US dollars, 0 or more"), ("inf", "US dollars"), ("much", "or none")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evalboard"));
        command.args(["user", "cap", "member@example.org", usd, "--data-dir"]).arg(board.house.path());
        let refused = command.output().unwrap();
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && told.contains(words), "{usd}: {told}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_evalboard"));
    command.args(["user", "cap", "nobody@example.org", "1", "--data-dir"]).arg(board.house.path());
    let refused = command.output().unwrap();
    assert!(String::from_utf8(refused.stderr).unwrap().contains("no such person"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_registered_together_with_its_first_run() {
    let board = Board::busy().await;
    let body = json!({"name": "echo", "inference_uri": "builtin:calculator", "run": true});
    let none = board.member.post("/api/v1/models", &body).await;
    none.assert_refused(400, "field", "run");
    let told = said(&none);
    assert!(told.contains("there is no active eval. Nothing was registered"), "{told}");
    assert_eq!(board.anonymous.read("/api/v1/models").await, json!([]));

    board.member.model("builtin:echo").await;
    board.member.eval(&sums()).await;
    let once = async || {
        let post = board.member.ask(Method::POST, "/api/v1/models").header("idempotency-key", "first");
        post.json(&body).send().await
    };
    let (first, second) = (once().await, once().await);
    assert_eq!((first.code(), first.body == second.body), (201, true), "{}", first.text());
    let run = format!("/api/v1/runs/{}", text(&first.json(), "run_id"));
    let run = until("the end of the run", async || {
        let run = board.anonymous.read(&run).await;
        (run["status"] == "completed").then_some(run)
    })
    .await;
    assert_has(&run, json!({"total_models": 1, "total_evals": 1, "case_done": 3}));
    assert_has(&run, json!({"triggered_by": "member@example.org"}));
    let rows = board.anonymous.read("/api/v1/runs").await;
    assert_eq!(rows.as_array().unwrap().len(), 1, "a repeated POST ran it again");
    let model = board.anonymous.read(&format!("/api/v1/models/{}", text(&first.json(), "id"))).await;
    assert!(model.get("run_id").is_none(), "{model}");
    let plain = json!({"name": "plain", "inference_uri": "builtin:echo", "run": false});
    assert!(board.member.made("/api/v1/models", &plain).await.get("run_id").is_none());
    let inactive = with(body, json!({"is_active": false}));
    board.member.post("/api/v1/models", &inactive).await.assert_refused(400, "field", "run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_run_that_may_not_be_started_keeps_the_model_from_being_registered() {
    let field = Field::operated(&["--member-daily-usd", "0"]).await;
    let judge = with(a_dollar_a_case(), json!({"is_active": false}));
    let judge = field.house_model("judge", Script::always(Act::verdict(1.0)), judge).await;
    let criteria = json!({"rubric": "Right?", "grader": judge});
    field.eval("judged", "rubric", json!({"prompt": "2+2?", "eval_criteria": criteria})).await;
    let body = json!({"name": "echo", "inference_uri": "builtin:echo", "run": true});
    let refused = field.board.member.post("/api/v1/models", &body).await;
    refused.assert_refused(409, "code", "cap_spent");
    assert!(said(&refused).contains("leave run out"), "{}", said(&refused));
    assert_eq!(field.count("SELECT COUNT(*) AS n FROM models").await, 1);
    let paid = json!({"name": "mine", "inference_uri": "house/mine", "run": true});
    field.board.member.post("/api/v1/models", &paid).await.assert_refused(403, "code", "forbidden");
    let made = field.board.admin.made("/api/v1/models", &paid).await;
    assert!(made["run_id"].is_string(), "{made}");
}
