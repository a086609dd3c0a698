//! A clock that is set back: what was stored with a later time neither waits for that nor lasts until then.

use evalboard::domain::time::Millis;
use evalboard::service::schedules;
use evalboard::store::Tx;
use serde_json::{Value, json};

use crate::support::Board;
use crate::support::browser::{Browser, between};
use crate::support::field::{Field, until};
use crate::support::provider::{Act, Script};
use crate::support::steps::text;

const YEAR: i64 = 365 * 24 * 3_600_000;

/// Changes rows; answers how many.
async fn change(board: &Board, sql: &'static str) -> usize {
    board.house.app.store.write(move |tx: &mut Tx<'_>| tx.execute(sql, &[])).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn items_do_not_wait_until_the_clock_has_caught_up() {
    let field = Field::start().await;
    let limited = Script::always(Act::Status(429, None));
    let model = field.model("m", limited, json!({})).await;
    let samples = json!([{"input": "a", "target": "x"}, {"input": "b", "target": "x"}]);
    let eval = field.eval("e", "exact", json!({"samples": samples})).await;
    let run = field.trigger(json!({"model_ids": [model], "eval_ids": [eval]})).await;
    // As if they had been given back two hours ahead: both of them, each when it is not under way.
    for sql in [
        "UPDATE work_items SET run_after = run_after + 7200000 WHERE state = 'ready' AND attempt > 0
         AND id = (SELECT MIN(id) FROM work_items)",
        "UPDATE work_items SET run_after = run_after + 7200000 WHERE state = 'ready' AND attempt > 0
         AND id = (SELECT MAX(id) FROM work_items)",
    ] {
        until("an item that waits", async || (change(&field.board, sql).await == 1).then_some(())).await;
    }
    field.provider.script("m", Script::says("x"));
    let ended = field.ended(&run).await;
    assert_eq!((&ended["status"], &ended["case_done"]), (&json!("completed"), &json!(2)), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_a_later_time_have_ended() {
    let (board, mut ada) = Board::set_up().await;
    let code = async |ada: &mut Browser| ada.open("/settings/api-keys").await.code();
    change(&board, "UPDATE sessions SET created_at = created_at + 600000, seen_at = seen_at + 600000").await;
    assert_eq!(code(&mut ada).await, 200, "a small step signs nobody out");
    change(&board, "UPDATE sessions SET created_at = created_at + 7200000, seen_at = seen_at + 7200000")
        .await;
    assert_eq!(code(&mut ada).await, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_a_later_time_do_not_work() {
    let (board, mut ada) = Board::set_up().await;
    let fields = [("email", "bob@example.org"), ("role", "member")];
    let page = ada.fill_and_follow("/settings/people", "/settings/people", &fields).await;
    let token = between(&page.text(), "/setup?token=", "</code>").unwrap();
    let link = format!("/setup?token={token}");
    let mut bob = Browser::new(board.address);
    change(&board, "UPDATE one_time_links SET expires_at = expires_at + 7200000").await;
    assert_eq!(bob.open(&link).await.code(), 200);
    change(&board, "UPDATE one_time_links SET expires_at = expires_at + 31536000000").await;
    assert_eq!(bob.open(&link).await.code(), 404);
}

/// When the only schedule is due.
async fn next_at(board: &Board) -> i64 {
    let list: Value = board.admin.get("/api/v1/schedules").await.json();
    list[0]["next_at"].as_i64().unwrap_or_else(|| panic!("{list}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_of_a_later_time_are_reckoned_again() {
    let board = Board::start().await;
    let made = board.admin.post("/api/v1/schedules", &json!({"name": "Nightly", "cron": "0 3 * * *"})).await;
    assert_eq!(made.code(), 201, "{}", made.text());
    assert!(!text(&made.json(), "id").is_empty());
    let (app, now, right) = (&board.house.app, Millis::now(), next_at(&board).await);
    change(&board, "UPDATE schedules SET next_at = next_at + 7200000").await;
    schedules::fire_due(app, now).await.unwrap();
    assert_eq!(next_at(&board).await, right + 7_200_000, "after a small step no time comes twice");
    change(
        &board,
        "UPDATE schedules SET next_at = next_at + 31536000000, updated_at = updated_at + 31536000000",
    )
    .await;
    schedules::fire_due(app, now).await.unwrap();
    let next = next_at(&board).await;
    assert!(next > now.0 && next < now.0 + YEAR / 365 + 60_000, "{next}");
}
