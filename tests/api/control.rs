//! What people do with runs beside starting and stopping them: ask again what failed, plan, and hold a budget.

mod budgets;
mod plans;
mod queues;
mod rescores;
mod retries;
mod scorer_updates;

use reqwest::Method;
use serde_json::Value;

use crate::support::field::Field;
use crate::support::{Client, Reply};

/// Does something with a run.
async fn act(client: &Client, run: &str, what: &str) -> Reply {
    client.ask(Method::POST, &format!("/api/v1/runs/{run}/{what}")).send().await
}

/// What `client`'s deed answered, which must have been accepted.
async fn accepted(field: &Field, run: &str, what: &str) -> Value {
    let reply = act(&field.board.member, run, what).await;
    assert_eq!(reply.code(), 202, "{}", reply.text());
    reply.json()
}
