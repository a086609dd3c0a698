//! What is under way counts against budgets and caps: the calls that a provider is paid for, whatever is asked at once.

use std::time::Duration;

use evalboard::domain::spending::Day;
use evalboard::domain::time::Millis;
use evalboard::store::Tx;
use evalboard::values;
use serde_json::{Value, json};

use super::leases::another_machine;
use crate::support::field::{Field, samples, until};
use crate::support::provider::{Act, Gate, Script};
use crate::support::steps::{assert_has, text, with};

/// Long enough for all calls that may be made at once to be under way together.
const THINKING: Duration = Duration::from_millis(40);

/// Ten tokens of input and five of output for $0.012, and no more than that.
fn tight() -> Value {
    json!({"input_price": 400.0, "output_price": 1_600.0, "parameters": {"max_tokens": 5}})
}

/// The same price for a model that may write a thousand times as much.
fn loose() -> Value {
    json!({"input_price": 400.0, "output_price": 1_600.0, "parameters": {"max_tokens": 5_000}})
}

fn echo() -> Script {
    Script::answers(str::to_owned).thinking(THINKING)
}

impl Field {
    async fn paid_by_operator(&self, name: &str, script: Script, more: Value) -> String {
        self.provider.script(name, script);
        let body = json!({"name": name, "inference_uri": format!("house/{name}")});
        text(&self.board.admin.made("/api/v1/models", &with(body, more)).await, "id").to_owned()
    }

    async fn many(&self, name: &str, count: usize) -> String {
        let rows = samples(count, |at| (format!("{name} {at}"), format!("{name} {at}")));
        self.eval(name, "exact", json!({"samples": rows})).await
    }

    fn paid(&self, model: &str) -> usize {
        self.provider.asked(model).len()
    }

    async fn spent(&self) -> f64 {
        self.board.member.read("/api/v1/me").await["spent_usd"].as_f64().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_pays_at_most_one_call_above_its_budget() {
    let field = Field::start().await;
    field.model("paid", echo(), tight()).await;
    field.many("say", 300).await;
    let id = field.trigger(json!({"budget_usd": 0.6})).await;
    let run = field.ended(&id).await;

    assert_has(&run, json!({"status": "cancelled", "budget_usd": 0.6}));
    assert!(text(&run, "error").contains("the budget of $0.60 was reached"), "{run}");
    let paid = field.paid("paid");
    assert!((50..=51).contains(&paid), "{paid} calls of $0.012");
    assert!(field.provider.most_at_once("paid") > 5, "calls are made at once while there is room");
}

#[tokio::test(flavor = "multi_thread")]
async fn estimates_above_the_budget_spend_all_of_it() {
    let field = Field::start().await;
    field.model("paid", Script::answers(str::to_owned), loose()).await;
    field.many("say", 100).await;
    let id = field.trigger(json!({"budget_usd": 0.6})).await;
    let run = field.ended(&id).await;
    assert_has(&run, json!({"status": "cancelled"}));
    let paid = field.paid("paid");
    assert!((50..=51).contains(&paid), "{paid} calls of $0.012");
    let done = run["case_done"].as_u64().unwrap();
    assert_eq!(done, u64::try_from(paid).unwrap(), "what was paid is recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_cost_more_than_their_estimate_are_learnt() {
    let field = Field::start().await;
    // Twenty dollars for what is thought to cost less than one.
    let dear = Script::by(|asked| Act::completion(&json!(asked.prompt()), "stop", (20_000, 1)));
    let prices = json!({"input_price": 1_000.0, "output_price": 0.0, "parameters": {"max_tokens": 1}});
    field.model("paid", dear.thinking(THINKING), prices).await;
    field.many("say", 60).await;
    let id = field.trigger(json!({"budget_usd": 100})).await;
    assert_has(&field.ended(&id).await, json!({"status": "cancelled", "cost_usd": 100.0}));
    assert!(field.paid("paid") <= 6, "{} calls of $20", field.paid("paid"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_pay_at_most_one_call_above_a_daily_cap() {
    let field = Field::operated(&["--member-daily-usd", "0.6"]).await;
    field.paid_by_operator("paid", echo(), tight()).await;
    let first = field.many("first", 200).await;
    let second = field.many("second", 200).await;
    let one = field.trigger(json!({"eval_ids": [first]})).await;
    let other = field.trigger(json!({"eval_ids": [second]})).await;
    for id in [one, other] {
        let run = field.ended(&id).await;
        assert_has(&run, json!({"status": "cancelled"}));
        assert!(text(&run, "error").contains("cap of $0.60 for today is spent"), "{run}");
    }
    let paid = field.paid("paid");
    assert!((50..=51).contains(&paid), "{paid} calls of $0.012");
}

#[tokio::test(flavor = "multi_thread")]
async fn models_of_one_run_share_its_budget() {
    let field = Field::start().await;
    for name in ["one", "two", "three"] {
        field.model(name, echo(), with(tight(), json!({"api_key": name}))).await;
    }
    field.many("say", 100).await;
    let id = field.trigger(json!({"budget_usd": 0.6})).await;
    assert_has(&field.ended(&id).await, json!({"status": "cancelled"}));
    let paid = field.provider.count();
    assert!((50..=53).contains(&paid), "{paid} calls of $0.012, to three endpoints");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_graders_are_reserved_with_their_case() {
    let field = Field::operated(&["--member-daily-usd", "0.6"]).await;
    let verdict = Script::always(Act::verdict(1.0)).thinking(THINKING);
    let judge = json!({"is_active": false, "input_price": 400.0, "output_price": 1_600.0});
    let judge = field.paid_by_operator("judge", verdict, judge).await;
    field.model("own", echo(), json!({})).await;
    let rows = samples(120, |at| (format!("say {at}"), "it".to_owned()));
    let criteria = json!({"rubric": "Right?", "grader": judge});
    field.eval("judged", "rubric", json!({"samples": rows, "eval_criteria": criteria})).await;
    let run = field.run_all().await;

    assert_has(&run, json!({"status": "cancelled"}));
    let (graded, asked) = (field.paid("judge"), field.paid("own"));
    assert!((50..=51).contains(&graded), "{graded} gradings of $0.012");
    assert!(asked <= graded + 1, "{asked} answers for {graded} gradings: none is paid for and thrown away");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_releases_what_its_calls_held() {
    let field = Field::operated(&["--member-daily-usd", "1"]).await;
    let gate = Gate::closed();
    let script = Script::by({
        let gate = gate.clone();
        move |asked| match asked.prompt() {
            prompt if prompt.starts_with("held") => Act::Wait(gate.clone(), prompt.to_owned()),
            prompt => Act::Say(prompt.to_owned()),
        }
    });
    field.paid_by_operator("paid", script, loose()).await;
    let held = field.many("held", 30).await;
    let quick = field.many("quick", 10).await;
    let stuck = field.trigger(json!({"eval_ids": [held]})).await;
    until("a call that holds the cap", async || (field.paid("paid") == 1).then_some(())).await;
    let waiting = field.trigger(json!({"eval_ids": [quick]})).await;
    until("cases that wait", async || (field.board.house.app.engine.in_flight() > 5).then_some(())).await;
    assert_eq!(field.paid("paid"), 1, "the estimate of the one call fills the cap");

    let cancelled = field.board.member.post(&format!("/api/v1/runs/{stuck}/cancel"), &json!({})).await;
    assert_eq!(cancelled.code(), 200, "{}", cancelled.text());
    assert_has(&field.ended(&waiting).await, json!({"status": "completed", "case_done": 10}));
    assert!((field.spent().await - 0.12).abs() < 1e-9, "{}", field.spent().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_that_waits_for_a_cap_holds_up_no_other_run() {
    let field = Field::operated(&["--member-daily-usd", "1"]).await;
    let gate = Gate::closed();
    let script = Script::by({
        let gate = gate.clone();
        move |asked| match asked.prompt() {
            prompt if prompt.starts_with("held") => Act::Wait(gate.clone(), prompt.to_owned()),
            prompt => Act::Say(prompt.to_owned()),
        }
    });
    field.paid_by_operator("paid", script, loose()).await;
    let held = field.many("held", 2_000).await;
    let quick = field.many("quick", 300).await;
    let stuck = field.trigger(json!({"eval_ids": [held]})).await;
    until("a call that holds the cap", async || (field.paid("paid") == 1).then_some(())).await;
    let free = field.board.admin.post("/api/v1/runs", &json!({"eval_ids": [quick]})).await.json();
    let free = field.ended(text(&free, "id")).await;
    assert_has(&free, json!({"status": "completed", "case_done": 300}));
    assert_eq!(field.paid("paid"), 301, "nothing more of the other run was asked");
    assert!(field.board.house.app.engine.in_flight() < 200, "no more of it is leased while it waits");
    gate.open();
    let stuck = field.ended(&stuck).await;
    assert!(text(&stuck, "error").contains("cap of $1.00 for today is spent"), "{stuck}");
}

#[tokio::test(flavor = "multi_thread")]
async fn process_that_dies_leaves_nothing_reserved() {
    let field = Field::start().await;
    let never = Gate::closed();
    let script = Script::by(move |asked| match asked.nth {
        1 => Act::Wait(never.clone(), String::new()),
        _ => Act::Say(asked.prompt().to_owned()),
    });
    field.model("paid", script, loose()).await;
    field.many("say", 20).await;
    let id = field.trigger(json!({"budget_usd": 1})).await;
    until("a call that holds the budget", async || (field.paid("paid") == 1).then_some(())).await;
    // Its start takes over what is leased, as after a kill.
    let next = another_machine(&field.board).await;
    let run = field.ended(&id).await;
    assert_has(&run, json!({"status": "completed", "case_done": 20, "case_errors": 0}));
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_whose_cap_is_spent_before_it_begins_calls_nothing() {
    let field = Field::operated(&["--member-daily-usd", "1"]).await;
    field.paid_by_operator("paid", echo(), tight()).await;
    field.many("say", 20).await;
    let app = &field.board.house.app;
    app.engine.stop().await;
    let id = field.trigger(json!({})).await;
    let spend = |tx: &mut Tx<'_>| {
        tx.execute("UPDATE users SET daily_usd = 1.0", &[])?;
        let owner = "(SELECT triggered_by FROM runs)";
        let today = Day::of(Millis::now()).0;
        let row = format!("INSERT INTO spending (user_id, day, usd) VALUES ({owner}, ?1, 1.0)");
        tx.execute(&row, values![today]).map(drop)
    };
    app.store.write(spend).await.unwrap();
    let next = another_machine(&field.board).await;
    let run = field.ended(&id).await;
    assert_has(&run, json!({"status": "cancelled", "case_done": 0}));
    assert!(text(&run, "error").contains("cap of $1.00 for today is spent"), "{run}");
    assert_eq!(field.provider.count(), 0);
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_fail_hold_nothing() {
    let field = Field::start().await;
    let script = Script::by(|asked| match asked.nth % 3 {
        0 => Act::Say(asked.prompt().to_owned()),
        1 => Act::Status(503, None),
        _ => Act::Status(404, None),
    });
    let one_at_once = with(loose(), json!({"max_concurrency": 1}));
    field.model("paid", script, one_at_once).await;
    field.many("say", 12).await;
    let id = field.trigger(json!({"budget_usd": 5})).await;
    let run = field.ended(&id).await;
    assert_has(&run, json!({"status": "completed", "case_done": 12}));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_with_budgets_of_their_own_share_a_daily_cap() {
    let field = Field::operated(&["--member-daily-usd", "1.2"]).await;
    let verdict = Script::always(Act::verdict(1.0));
    let judge = json!({"is_active": false, "input_price": 400.0, "output_price": 1_600.0});
    let judge = field.paid_by_operator("judge", verdict, judge).await;
    field.paid_by_operator("paid", Script::says("it"), tight()).await;
    let criteria = json!({"rubric": "Right?", "grader": judge});
    let mut runs = Vec::new();
    for name in ["first", "second", "third"] {
        let rows = samples(60, |at| (format!("{name} {at}"), "it".to_owned()));
        let eval = field.eval(name, "rubric", json!({"samples": rows, "eval_criteria": criteria})).await;
        runs.push(field.trigger(json!({"eval_ids": [eval], "budget_usd": 0.6})).await);
    }
    for id in runs {
        let run = field.ended(&id).await;
        assert_has(&run, json!({"status": "cancelled"}));
        assert!(run["cost_usd"].as_f64().unwrap() < 0.6 + 0.025, "{run}");
    }
    let paid = field.provider.count();
    assert!((100..=102).contains(&paid), "{paid} calls of $0.012 to two endpoints");
}
