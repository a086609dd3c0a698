//! Models with API keys of their own: run by their owners, by admins, and by others only where they are shared.

use evalboard::store::Tx;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::field::{Field, samples, until};
use crate::support::provider::{Act, Gate, Script};
use crate::support::steps::{assert_has, text, with};
use crate::support::{Client, Reply};

const RUNS: &str = "/api/v1/runs";

impl Field {
    /// The id of a model with a key of its own that `client` registers.
    async fn keyed(&self, client: &Client, name: &str, script: Script, more: Value) -> String {
        self.provider.script(name, script);
        let body =
            json!({"name": name, "inference_uri": self.provider.uri(name), "api_key": format!("sk-{name}")});
        text(&client.made("/api/v1/models", &with(body, more)).await, "id").to_owned()
    }

    /// The id of an eval of the member's with so many questions.
    async fn asks(&self, count: usize) -> String {
        let rows = samples(count, |at| (format!("say {at}"), format!("say {at}")));
        self.eval("say", "exact", json!({"samples": rows})).await
    }

    async fn shared(&self, client: &Client, model: &str, edit: Value) -> Reply {
        client.patch(&format!("/api/v1/models/{model}"), &edit).await
    }

    async fn again(&self, run: &str) -> Reply {
        self.board.member.ask(Method::POST, &format!("{RUNS}/{run}/retry")).send().await
    }

    /// The next day begins: what was borrowed today was borrowed yesterday.
    async fn day_after(&self) {
        let command = |tx: &mut Tx<'_>| tx.execute("UPDATE borrowed_calls SET day = day - 1", &[]).map(drop);
        self.board.house.app.store.write(command).await.unwrap();
    }

    fn calls(&self, model: &str) -> usize {
        self.provider.asked(model).len()
    }

    /// The errors of the cases of a run's only result.
    async fn errors(&self, run: &Value) -> Vec<String> {
        let results = self.results(run).await;
        let cases = self.cases(&results[0]).await;
        cases.iter().filter_map(|case| case["error"].as_str()).map(str::to_owned).collect()
    }
}

fn said(reply: &Reply) -> String {
    text(&reply.json(), "error").to_owned()
}

fn same() -> Script {
    Script::answers(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyed_model_is_run_by_its_owner_and_admins_alone() {
    let field = Field::start().await;
    let theirs = field.keyed(&field.board.other, "theirs", same(), json!({})).await;
    let eval = field.asks(2).await;
    let body = json!({"model_ids": [theirs], "eval_ids": [eval]});
    for body in [body.clone(), with(body.clone(), json!({"dry_run": true}))] {
        let refused = field.board.member.post(RUNS, &body).await;
        refused.assert_refused(403, "code", "forbidden");
        let said = said(&refused);
        assert!(said.starts_with("model_ids[0]: theirs is called with its owner's API key"), "{said}");
        assert!(said.contains("ask its owner to set shared"), "{said}");
    }
    let refused = field.board.member.post(RUNS, &json!({})).await;
    refused.assert_refused(403, "code", "forbidden");
    assert!(said(&refused).starts_with("nothing to run: theirs is called"), "{}", said(&refused));
    assert_eq!(field.calls("theirs"), 0);

    field.model("free", same(), json!({})).await;
    let plan = field.board.member.post(RUNS, &json!({"dry_run": true})).await.json();
    let skipped = json!({"kind": "model", "id": theirs, "name": "theirs", "code": "model_not_shared"});
    assert_has(&plan["skipped"][0], skipped.clone());
    let triggered = field.board.member.post(RUNS, &json!({})).await.json();
    assert_has(&triggered["skipped"][0], skipped.clone());
    let run = field.ended(text(&triggered, "id")).await;
    assert_has(&run, json!({"status": "completed", "total_models": 1, "case_done": 2}));
    assert_has(&run["skipped"][0], skipped);
    let page = field.board.anonymous.get(&format!("/runs/{}", text(&run, "id"))).await.text();
    assert!(page.contains(">Skipped</h2>") && page.contains("does not share it"), "{page}");
    assert_eq!(field.calls("theirs"), 0);

    for client in [&field.board.other, &field.board.admin] {
        let run = client.run(&json!({"model_ids": [theirs]})).await;
        assert_has(&run, json!({"status": "completed", "case_errors": 0, "skipped": []}));
    }
    assert_eq!(field.calls("theirs"), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_borrowers_cap_holds_while_many_calls_are_under_way() {
    let field = Field::start().await;
    // One call less than the cap is under way until both runs have begun: a spent cap would refuse the second.
    let gate = Gate::closed();
    let waiting = gate.clone();
    let script = Script::by(move |asked| Act::Wait(waiting.clone(), asked.prompt().to_owned()));
    let more = json!({"shared": true, "shared_daily_calls": 5, "max_concurrency": 4});
    let model = field.keyed(&field.board.other, "lent", script, more).await;
    field.asks(20).await;
    let body = json!({"model_ids": [model]});
    let (one, two) = (field.trigger(body.clone()).await, field.trigger(body.clone()).await);
    gate.open();
    let (first, second) = (field.ended(&one).await, field.ended(&two).await);
    assert_eq!(field.calls("lent"), 5);
    assert_eq!(first["case_errors"].as_i64().unwrap() + second["case_errors"].as_i64().unwrap(), 35);
    let mut errors = field.errors(&first).await;
    errors.extend(field.errors(&second).await);
    assert_eq!((errors.len(), errors.iter().all(|code| code == "shared_cap_reached")), (35, true));
    for refused in [field.board.member.post(RUNS, &body).await, field.again(&one).await] {
        refused.assert_refused(409, "code", "shared_cap_reached");
        assert!(
            said(&refused).contains("5 calls") && said(&refused).contains("00:00 UTC"),
            "{}",
            said(&refused)
        );
    }
    // Its owner borrows nothing, and neither does an admin.
    assert_has(&field.board.other.run(&body).await, json!({"status": "completed", "case_errors": 0}));
    assert_eq!(field.count("SELECT SUM(calls) AS n FROM borrowed_calls").await, 5);

    field.day_after().await;
    assert_eq!(field.again(&one).await.code(), 202);
    field.ended(&one).await;
    assert_eq!(field.calls("lent"), 5 + 20 + 5);
    let raised = field.shared(&field.board.other, &model, json!({"shared_daily_calls": 100})).await;
    assert_eq!(raised.code(), 200, "{}", raised.text());
    assert_eq!(field.again(&one).await.code(), 202);
    assert_has(&field.ended(&one).await, json!({"status": "completed", "case_errors": 0, "case_done": 20}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_borrowers_cap_in_dollars_holds() {
    let field = Field::start().await;
    let more = json!({"shared": true, "shared_daily_usd": 3.0, "input_price": 100_000.0, "output_price": 0.0,
                      "max_concurrency": 1});
    let model = field.keyed(&field.board.other, "lent", same(), more).await;
    field.asks(8).await;
    let run = field.ended(&field.trigger(json!({"model_ids": [model]})).await).await;
    // Ten tokens of a question cost a dollar.
    assert_has(&run, json!({"case_done": 8, "case_errors": 5, "cost_usd": 3.0}));
    assert_eq!(field.calls("lent"), 3);
    assert_eq!(field.errors(&run).await, ["shared_cap_reached"; 5]);
    let refused = field.board.member.post(RUNS, &json!({})).await;
    refused.assert_refused(409, "code", "shared_cap_reached");
    assert!(said(&refused).contains("$3.00"), "{}", said(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_in_dollars_holds_for_runs_begun_before_it() {
    let field = Field::start().await;
    let gate = Gate::closed();
    let script = Script::by({
        let gate = gate.clone();
        move |asked| Act::Wait(gate.clone(), asked.prompt().to_owned())
    });
    let more = json!({"shared": true, "max_concurrency": 1});
    let model = field.keyed(&field.board.other, "lent", script, more).await;
    field.asks(6).await;
    let id = field.trigger(json!({"model_ids": [model]})).await;
    until("the first call", async || (field.calls("lent") == 1).then_some(())).await;
    let edit = json!({"shared_daily_usd": 2.0, "input_price": 100_000.0, "output_price": 0.0});
    assert_eq!(field.shared(&field.board.other, &model, edit).await.code(), 200);
    gate.open();
    let run = field.ended(&id).await;
    // The first call had no price yet; two more cost a dollar each.
    assert_has(&run, json!({"case_done": 6, "case_errors": 3}));
    assert_eq!(
        (field.calls("lent"), field.errors(&run).await),
        (3, vec!["shared_cap_reached".to_owned(); 3])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_refuses_counts_against_no_borrower() {
    let field = Field::start().await;
    let script = Script::first(3, Act::Status(500, None), Act::Say("say 0".to_owned()));
    let more = json!({"shared": true, "shared_daily_calls": 1});
    let model = field.keyed(&field.board.other, "lent", script, more).await;
    field.asks(1).await;
    let run = field.ended(&field.trigger(json!({"model_ids": [model]})).await).await;
    assert_has(&run, json!({"status": "completed", "case_errors": 0}));
    assert_eq!(field.count("SELECT calls AS n FROM borrowed_calls").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_withdrawn_during_a_run_is_called_no_more() {
    let field = Field::start().await;
    let gate = Gate::closed();
    let script = Script::by({
        let gate = gate.clone();
        move |asked| Act::Wait(gate.clone(), asked.prompt().to_owned())
    });
    let more = json!({"shared": true, "max_concurrency": 1});
    let model = field.keyed(&field.board.other, "lent", script, more).await;
    field.asks(3).await;
    let id = field.trigger(json!({"model_ids": [model]})).await;
    until("the first call", async || (field.calls("lent") == 1).then_some(())).await;
    assert_eq!(field.shared(&field.board.other, &model, json!({"shared": false})).await.code(), 200);
    gate.open();
    let run = field.ended(&id).await;
    assert_has(&run, json!({"status": "completed", "case_done": 3, "case_errors": 2}));
    assert_eq!((field.errors(&run).await, field.calls("lent")), (vec!["model_not_shared".to_owned(); 2], 1));
    field.again(&id).await.assert_refused(403, "code", "forbidden");
    let page = field.board.anonymous.get(&format!("/runs/{id}")).await.text();
    assert!(page.contains("model_not_shared") && page.contains("Ask its owner to set shared"), "{page}");

    assert_eq!(field.shared(&field.board.other, &model, json!({"shared": true})).await.code(), 200);
    assert_eq!(field.again(&id).await.code(), 202);
    assert_has(&field.ended(&id).await, json!({"status": "completed", "case_errors": 0}));
    assert_eq!(field.calls("lent"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyed_grader_grades_for_others_only_where_it_is_shared() {
    let field = Field::start().await;
    let more = json!({"is_active": false});
    let verdicts = Script::always(Act::verdict(1.0));
    let grader = field.keyed(&field.board.other, "judge", verdicts, more).await;
    field.model("free", same(), json!({"max_concurrency": 1})).await;
    let rows = samples(4, |at| (format!("say {at}"), String::from("say")));
    let judged = json!({"name": "Judged", "prompt": "{{input}}", "eval_type": "rubric", "samples": rows,
                        "eval_criteria": {"rubric": "Right?", "grader": grader}});
    let refused = field.board.member.post("/api/v1/evals", &judged).await;
    refused.assert_refused(403, "code", "forbidden");
    assert!(said(&refused).starts_with("eval_criteria.grader: judge is called with"), "{}", said(&refused));
    let eval = field.board.other.eval(&judged).await;

    let refused = field.board.member.post(RUNS, &json!({"eval_ids": [eval]})).await;
    refused.assert_refused(403, "code", "forbidden");
    assert!(said(&refused).starts_with("eval_ids[0]: its grader judge is called"), "{}", said(&refused));
    field.asks(1).await;
    let id = field.trigger(json!({})).await;
    let run = field.ended(&id).await;
    assert_has(&run, json!({"status": "completed", "total_evals": 1}));
    assert_has(&run["skipped"][0], json!({"kind": "eval", "id": eval, "code": "model_not_shared"}));
    assert_eq!(field.calls("judge"), 0);

    let lent = json!({"shared": true, "shared_daily_calls": 2});
    assert_eq!(field.shared(&field.board.other, &grader, lent).await.code(), 200);
    let before = field.calls("free");
    let id = field.trigger(json!({"eval_ids": [eval]})).await;
    let run = field.ended(&id).await;
    assert_has(&run, json!({"case_done": 4, "case_errors": 2}));
    assert_eq!(field.calls("judge"), 2);
    assert!(field.calls("free") <= before + 4);
    let rescored = field.board.member.ask(Method::POST, &format!("{RUNS}/{id}/rescore")).send().await;
    rescored.assert_refused(409, "code", "shared_cap_reached");
    field.day_after().await;
    assert_eq!(field.again(&id).await.code(), 202);
    assert_has(&field.ended(&id).await, json!({"status": "completed", "case_errors": 0}));
    assert_eq!(field.calls("judge"), 4);
    assert_eq!(field.shared(&field.board.other, &grader, json!({"shared": false})).await.code(), 200);
    let rescored = field.board.member.ask(Method::POST, &format!("{RUNS}/{id}/rescore")).send().await;
    rescored.assert_refused(403, "code", "forbidden");
    assert!(
        said(&rescored).starts_with("nothing to rescore: its grader judge is called"),
        "{}",
        said(&rescored)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_names_who_pays() {
    let field = Field::operated(&["--member-daily-usd", "100"]).await;
    field.provider.script("judge", Script::always(Act::verdict(1.0)));
    let priced = json!({"input_price": 1.0, "output_price": 1.0});
    let house = json!({"name": "house", "inference_uri": "house/paid"});
    field.board.admin.made("/api/v1/models", &with(house, priced.clone())).await;
    field.keyed(&field.board.member, "own", same(), json!({})).await;
    field.keyed(&field.board.other, "lent", same(), json!({"shared": true})).await;
    field.model("free", same(), json!({})).await;
    let judge = json!({"name": "judge", "inference_uri": "house/judge", "is_active": false});
    let judge = field.board.admin.made("/api/v1/models", &with(judge, priced)).await;
    let criteria = json!({"rubric": "Right?", "grader": judge["id"]});
    let eval = field.eval("judged", "rubric", json!({"prompt": "2+2?", "eval_criteria": criteria})).await;
    let plan = field.board.member.post(RUNS, &json!({"dry_run": true})).await.json();
    let payers: Vec<(&str, &Value)> = plan["models"]
        .as_array()
        .unwrap_or_else(|| panic!("{plan}"))
        .iter()
        .map(|line| (text(line, "paid_by"), &line["payer"]))
        .collect();
    let expected = [
        ("operator", &Value::Null),
        ("owner", &json!("member@example.org")),
        ("owner", &json!("other@example.org")),
        ("nobody", &Value::Null),
    ];
    assert_eq!(payers, expected);
    let graded = json!({"eval_id": eval, "grader": "judge", "paid_by": "operator", "payer": null});
    assert_has(&plan["graders"][0], graded);
    assert_eq!(plan["skipped"], json!([]));
    let id = field.trigger(json!({})).await;
    let page = field.board.anonymous.get(&format!("/runs/{id}")).await.text();
    for words in [
        "Operator pays",
        "house, judge (grader)",
        "own: member@example.org, lent: other@example.org",
        "Nobody pays",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    field.ended(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_shared_by_its_owner_alone_within_limits() {
    let field = Field::start().await;
    let model = field.keyed(&field.board.member, "mine", same(), json!({})).await;
    let path = format!("/api/v1/models/{model}");
    let unset = json!({"shared": false, "shared_daily_calls": 200, "shared_daily_usd": null});
    assert_has(&field.get(&path).await, unset);
    let page = field.board.anonymous.get(&format!("/models/{model}")).await.text();
    assert!(page.contains("not shared: only its owner and admins"), "{page}");
    let refused = field.shared(&field.board.admin, &model, json!({"shared": true})).await;
    refused.assert_refused(403, "code", "forbidden");
    assert!(said(&refused).starts_with("shared: only the model's owner"), "{}", said(&refused));
    for (edit, name) in [
        (json!({"shared_daily_calls": 0}), "shared_daily_calls"),
        (json!({"shared_daily_calls": 1_000_001}), "shared_daily_calls"),
        (json!({"shared_daily_usd": 0}), "shared_daily_usd"),
        (json!({"shared_daily_usd": 1}), "shared_daily_usd"),
    ] {
        field.shared(&field.board.member, &model, edit).await.assert_refused(400, "field", name);
    }
    let edit = json!({"shared": true, "shared_daily_usd": 2.5, "input_price": 1, "output_price": 1});
    assert_eq!(field.shared(&field.board.member, &model, edit).await.code(), 200);
    let page = field.board.anonymous.get(&format!("/models/{model}")).await.text();
    assert!(page.contains("up to 200 calls and $2.50 a day each"), "{page}");
    for (edit, status) in [
        (json!({"shared_daily_usd": null}), 403),
        (json!({"shared_daily_calls": 201}), 403),
        (json!({"shared_daily_calls": 10}), 200),
        (json!({"shared": false}), 200),
    ] {
        assert_eq!(field.shared(&field.board.admin, &model, edit).await.code(), status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_run_skips_evals_whose_grader_is_not_lent() {
    let field = Field::start().await;
    let grader = Script::always(Act::verdict(1.0));
    let grader = field.keyed(&field.board.other, "judge", grader, json!({"is_active": false})).await;
    let judged = json!({"name": "Judged", "prompt": "2+2?", "eval_type": "rubric",
                        "eval_criteria": {"rubric": "Right?", "grader": grader}});
    field.board.other.eval(&judged).await;
    let body = json!({"name": "new", "inference_uri": "builtin:echo", "run": true});
    let refused = field.board.member.post("/api/v1/models", &body).await;
    refused.assert_refused(403, "code", "forbidden");
    assert!(said(&refused).contains("Nothing was registered"), "{}", said(&refused));
    field.asks(1).await;
    let made = field.board.member.made("/api/v1/models", &body).await;
    let run = field.ended(text(&made, "run_id")).await;
    assert_has(&run, json!({"total_evals": 1, "case_done": 1}));
    assert_eq!(text(&run["skipped"][0], "code"), "model_not_shared");
}
