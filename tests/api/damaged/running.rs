//! Damage that comes while a server runs.

use serde_json::json;

use super::support::{Folder, damage, expect_damaged, expect_words, page_of};
use crate::support::field::{Field, samples, text, until};
use crate::support::provider::{Act, Gate, Script};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_damaged_while_served_is_noticed_by_readiness() {
    let folder = Folder::with_board().await;
    let server = folder.start().await;
    assert_eq!(server.get("/readyz").await.0, 200);
    damage(&folder.database(), page_of(&folder.database(), "models", "leaf", 0));
    expect_damaged(&server).await;
    server.stop().await;
    assert!(folder.check().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_a_read_meets_refuses_all_writes() {
    let folder = Folder::with_board().await;
    let server = folder.start().await;
    let (_, evals) = server.get("/api/v1/evals").await;
    // Nothing else reads these before they are asked for.
    damage(&folder.database(), page_of(&folder.database(), "samples", "leaf", 0));
    let (status, refused) = server.get(&format!("/api/v1/evals/{}/samples", text(&evals[0]["id"]))).await;
    assert_eq!((status, &refused["code"]), (503, &json!("damaged")), "{refused}");
    expect_words(refused["error"].as_str().unwrap());
    let training_set = json!({"name": "t", "format": "jsonl", "url": "https://example.org/t.jsonl"});
    let (status, refused) = server.post("/api/v1/training-sets", &training_set).await;
    assert_eq!((status, &refused["code"]), (503, &json!("damaged")), "{refused}");
    expect_damaged(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_removed_while_served_takes_no_more_writes() {
    let folder = Folder::with_board().await;
    let server = folder.start().await;
    assert_eq!(server.post_model("before").await.0, 201);
    std::fs::rename(folder.database(), folder.path().join("moved")).unwrap();
    let refused = until("a refusal", async || {
        let (status, answer) = server.post_model("after").await;
        (status == 503).then_some(answer)
    });
    let refused = refused.await;
    assert_eq!(refused["code"], "damaged", "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_model_is_called_once_nothing_can_be_stored() {
    let field = Field::start().await;
    let gate = Gate::closed();
    let waiting = gate.clone();
    field.provider.script("m", Script::by(move |_| Act::Wait(waiting.clone(), "4".to_owned())));
    let model = json!({"name": "m", "inference_uri": field.provider.uri("m")});
    let model = field.board.member.post("/api/v1/models", &model).await.json();
    let rows = samples(400, |at| (format!("2+2? {at}"), "4".to_owned()));
    let eval = json!({"name": "sum", "prompt": "{{input}}", "eval_type": "exact", "samples": rows});
    let eval = field.board.member.post("/api/v1/evals", &eval).await.json();
    let run = json!({"eval_ids": [eval["id"]], "model_ids": [text(&model["id"])]});
    assert_eq!(field.board.member.post("/api/v1/runs", &run).await.code(), 202);
    until("calls", async || (!field.provider.asked("m").is_empty()).then_some(())).await;

    let folder = field.board.house.path();
    std::fs::rename(folder.join("evalboard.db"), folder.join("moved")).unwrap();
    let in_flight = async || field.board.house.app.engine.in_flight();
    until("the work to end", async || {
        let is_damaged = field.board.house.app.store.condition().is_damaged();
        (is_damaged && in_flight().await == 0).then_some(())
    })
    .await;
    let calls = field.provider.asked("m").len();
    gate.open();
    for _ in 0..20 {
        field.board.house.app.engine.wake();
        tokio::task::yield_now().await;
        assert_eq!((field.provider.asked("m").len(), in_flight().await), (calls, 0));
        assert_eq!(field.board.anonymous.get("/api/v1/status").await.json()["data"]["status"], "damaged");
    }
    assert!(calls < 400, "{calls}");
}
