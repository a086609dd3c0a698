//! Who may do what: every operation of the API's own document and every page, asked by everybody, against one table each.
//! What a token, a key that may only read and a browser's session may do follows from what their person may.

mod pages;

use std::collections::BTreeSet;

use evalboard::http::pages::asset;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::steps::{ELSEWHERE, capital, sums, text};
use crate::support::{Board, Client, Reply};

const MEMBER: &str = "member@example.org";
const ADMIN: &str = "admin@example.org";

/// What an operation is asked with.
enum Body {
    Nothing,
    Json(Value),
    Lines(&'static str),
    Form(&'static str),
}

/// An operation with the status for each caller, in the order of [`callers`]. What its path names belongs to
/// the member and is new for each caller.
struct Row {
    operation: &'static str,
    body: Body,
    statuses: [u16; 4],
}

/// Where tokens are made: it changes nothing, and takes no bearer.
const TOKEN_ROW: &str = "POST /oauth2/token";

/// Anybody reads.
const PUBLIC: [u16; 4] = [200; 4];

fn callers(board: &Board) -> [(&'static str, &Client); 4] {
    [
        ("anonymous", &board.anonymous),
        ("the owner", &board.member),
        ("another member", &board.other),
        ("an admin", &board.admin),
    ]
}

/// Where in [`callers`] somebody stands.
const ANONYMOUS: usize = 0;
const OWNER: usize = 1;
const ANY_ADMIN: usize = 3;

/// Everybody else, with what he may do: what the caller at that place may, and whether he may only read of it.
async fn others(board: &Board) -> Vec<(&'static str, Client, usize, bool)> {
    let anonymous = || board.anonymous.clone();
    let member = board.with_token_of(&board.member, "write").await;
    let admin = board.with_token_of(&board.admin, "write").await;
    let reading = board.with_token_of(&board.member, "read").await;
    let made = board.member.made("/api/v1/keys", &json!({"name": "Reader", "scope": "read"})).await;
    let reader = Client::bearing(board.address, Some(text(&made, "key")));
    let by_header = made["key"].as_str().unwrap().to_owned();
    vec![
        ("a member's token", member, OWNER, false),
        ("an admin's token", admin, ANY_ADMIN, false),
        ("a key that may only read", reader, OWNER, true),
        ("a token that may only read", reading, OWNER, true),
        (
            "a member's session",
            anonymous().with_cookie(&board.session(MEMBER).await.cookie()),
            ANONYMOUS,
            false,
        ),
        (
            "an admin's session",
            anonymous().with_cookie(&board.session(ADMIN).await.cookie()),
            ANONYMOUS,
            false,
        ),
        (
            "a session beside a key that may only read",
            Client::bearing(board.address, Some(&by_header))
                .with_cookie(&board.session(ADMIN).await.cookie()),
            OWNER,
            true,
        ),
    ]
}

impl Row {
    /// The status for who may do what the caller at `place` may, or only read of it.
    fn expected(&self, place: usize, only_reads: bool) -> u16 {
        let is_write = !self.operation.starts_with("GET") && self.operation != TOKEN_ROW;
        if only_reads && is_write { 403 } else { self.statuses[place] }
    }
}

fn row(operation: &'static str, body: Body, statuses: [u16; 4]) -> Row {
    Row { operation, body, statuses }
}

fn read(operation: &'static str) -> Row {
    row(operation, Body::Nothing, PUBLIC)
}

/// Every operation there is.
fn table() -> Vec<Row> {
    use Body::{Form, Json, Lines, Nothing};
    let by_anyone_with_a_key = |status| [401, status, status, status];
    let by_admin = |status| [401, 403, 403, status];
    let by_owner_and_admin = [401, 200, 403, 200];
    let by_owner_and_admin_made = [401, 201, 403, 201];
    let model = json!({"name": "New", "inference_uri": ELSEWHERE, "api_key": "sk-new"});
    let official = json!({"is_official": false, "name": "Renamed"});
    let sample = r#"{"input": "1 + 1", "target": "2"}"#;
    vec![
        read("GET /healthz"),
        read("GET /readyz"),
        read("GET /api/v1/status"),
        read("GET /api/v1/openapi.json"),
        read("GET /api/v1/models"),
        row("POST /api/v1/models", Json(model), by_anyone_with_a_key(201)),
        read("GET /api/v1/models/{id}"),
        row("PATCH /api/v1/models/{id}", Json(official), by_owner_and_admin),
        row("DELETE /api/v1/models/{id}", Nothing, by_owner_and_admin),
        read("GET /api/v1/models/{id}/results"),
        row("POST /api/v1/models/{id}/check", Nothing, by_owner_and_admin),
        read("GET /api/v1/models/{id}/artifacts"),
        row("POST /api/v1/models/{id}/artifacts", Json(artifact()), by_owner_and_admin_made),
        row("POST /api/v1/models/{id}/artifacts/request-upload", Json(upload()), by_owner_and_admin),
        read("GET /api/v1/models/{id}/artifacts/{artifact_id}"),
        row(
            "PATCH /api/v1/models/{id}/artifacts/{artifact_id}",
            Json(json!({"name": "Renamed"})),
            by_owner_and_admin,
        ),
        row("DELETE /api/v1/models/{id}/artifacts/{artifact_id}", Nothing, by_owner_and_admin),
        read("GET /api/v1/training-sets"),
        row("POST /api/v1/training-sets", Json(training_set()), by_anyone_with_a_key(201)),
        row("POST /api/v1/training-sets/request-upload", Json(upload()), by_anyone_with_a_key(200)),
        read("GET /api/v1/training-sets/{id}"),
        row("DELETE /api/v1/training-sets/{id}", Nothing, by_owner_and_admin),
        read("GET /api/v1/evals"),
        row("POST /api/v1/evals", Json(capital()), by_anyone_with_a_key(201)),
        read("GET /api/v1/evals/{id}"),
        row("PATCH /api/v1/evals/{id}", Json(json!({"name": "Renamed"})), by_owner_and_admin),
        row("DELETE /api/v1/evals/{id}", Nothing, by_owner_and_admin),
        read("GET /api/v1/evals/{id}/health"),
        read("GET /api/v1/evals/{id}/samples"),
        row("PUT /api/v1/evals/{id}/samples", Lines(sample), by_owner_and_admin),
        read("GET /api/v1/runs"),
        row("POST /api/v1/runs", Nothing, by_anyone_with_a_key(202)),
        read("GET /api/v1/runs/{id}"),
        row("POST /api/v1/runs/{id}/cancel", Nothing, by_owner_and_admin),
        // A run that was just triggered is open: there is nothing to retry or rescore in it yet.
        row("POST /api/v1/runs/{id}/retry", Nothing, [401, 409, 403, 409]),
        row("POST /api/v1/runs/{id}/rescore", Nothing, [401, 409, 403, 409]),
        read("GET /api/v1/runs/{id}/events"),
        read("GET /api/v1/runs/{id}/results"),
        read("GET /api/v1/results/{id}"),
        read("GET /api/v1/results/{id}/cases"),
        read("GET /api/v1/cases/{id}"),
        // The member owns the model as well as the eval. It is taken back with a reason, which none gives here.
        row("POST /api/v1/cases/{id}/overrule", Json(verdict()), [401, 403, 403, 200]),
        row("DELETE /api/v1/cases/{id}/overrule", Nothing, [401, 403, 403, 400]),
        read("GET /api/v1/ledger"),
        read("GET /api/v1/leaderboard"),
        row("GET /api/v1/me", Nothing, by_anyone_with_a_key(200)),
        row("GET /api/v1/keys", Nothing, by_anyone_with_a_key(200)),
        row("POST /api/v1/keys", Json(json!({"name": "CI"})), by_anyone_with_a_key(201)),
        row("DELETE /api/v1/keys/{id}", Nothing, by_owner_and_admin),
        // A key is a client's secret there, and proves nothing as a bearer.
        row(TOKEN_ROW, Form("grant_type=client_credentials"), [401; 4]),
        read("GET /api/v1/schedules"),
        row("POST /api/v1/schedules", Json(schedule()), by_admin(201)),
        read("GET /api/v1/schedules/{id}"),
        row("PATCH /api/v1/schedules/{id}", Json(json!({"is_active": false})), by_admin(200)),
        row("DELETE /api/v1/schedules/{id}", Nothing, by_admin(200)),
        // It is asked with two models; without them it is refused, to everybody alike.
        row("GET /api/v1/leaderboard/compare", Nothing, [400; 4]),
        read("GET /api/v1/leaderboard/badge/{id}.svg"),
        // Whoever holds an upload's token may send its file; a key counts for nothing.
        row("PUT /api/blob", Nothing, [401; 4]),
        row("DELETE /api/blob", Nothing, [401; 4]),
        row("POST /api/blob/mpu", Nothing, [401; 4]),
        row("POST /api/blob/delete", Json(json!({"urls": []})), [401; 4]),
        // It is asked with a file; without one it is refused, to everybody alike.
        row("GET /api/blob", Nothing, [400; 4]),
    ]
}

fn artifact() -> Value {
    json!({"name": "Weights", "artifact_type": "weights", "file_name": "w.bin", "blob_url": "https://files.example/w.bin"})
}

fn training_set() -> Value {
    json!({"name": "Lines", "file_name": "lines.jsonl", "blob_url": "https://files.example/lines.jsonl"})
}

fn verdict() -> Value {
    json!({"correct": false, "reason": "It says so by chance"})
}

fn schedule() -> Value {
    json!({"name": "Nightly", "cron": "0 3 * * *"})
}

fn upload() -> Value {
    json!({"file_name": "lines.jsonl", "content_type": "application/x-ndjson"})
}

/// A board with something of each kind, all of it the member's. Its engine has stopped, so that new runs stay
/// open.
pub(crate) struct Place {
    pub(crate) board: Board,
    result: String,
    case: String,
}

impl Place {
    async fn new() -> Self {
        Self::on(Board::busy().await).await
    }

    /// The same on that board.
    pub(crate) async fn on(board: Board) -> Self {
        board.member.model("builtin:calculator").await;
        board.member.eval(&sums()).await;
        let run = board.member.run(&json!({})).await;
        board.house.app.engine.stop().await;
        let results = board.member.read(&format!("/api/v1/runs/{}/results", text(&run, "id"))).await;
        let result = text(&results[0], "id").to_owned();
        let cases = board.member.read(&format!("/api/v1/results/{result}/cases")).await;
        let case = text(&cases[0], "id").to_owned();
        Self { board, result, case }
    }

    /// The id of something of the member's that lives in the collection at `path`: a new one where it can be
    /// made.
    async fn fresh(&self, path: &str) -> String {
        let member = &self.board.member;
        let (_, collection) = path.rsplit_once('/').unwrap();
        match collection {
            "models" | "badge" => member.model("builtin:echo").await,
            "evals" => member.eval(&sums()).await,
            "artifacts" => text(&member.made(path, &artifact()).await, "id").to_owned(),
            "training-sets" => {
                text(&member.made("/api/v1/training-sets", &training_set()).await, "id").to_owned()
            }
            "schedules" => text(&self.board.admin.made(path, &schedule()).await, "id").to_owned(),
            "runs" => member.trigger(&json!({})).await,
            "keys" | "api-keys" => {
                text(&member.made("/api/v1/keys", &json!({"name": "CI"})).await, "id").to_owned()
            }
            "people" => self.board.other.read("/api/v1/me").await["id"].as_str().unwrap().to_owned(),
            "static" => asset("app.css").rsplit_once('/').unwrap().1.to_owned(),
            "results" => self.result.clone(),
            "cases" => self.case.clone(),
            other => panic!("there is nothing to make in {other} yet: add it here"),
        }
    }

    /// The path with the id of something for each variable part: it lives in what stands before it.
    pub(crate) async fn fill(&self, template: &str) -> String {
        let mut path = String::new();
        for part in template.split('/').skip(1) {
            let next = match part.strip_prefix('{').and_then(|part| part.split_once('}')) {
                Some((_, ending)) => format!("{}{ending}", self.fresh(&path).await),
                None => part.to_owned(),
            };
            path = format!("{path}/{next}");
        }
        if let Some(run) = path.strip_suffix("/events") {
            // An open run is told of for as long as it takes; the answer has to have an end here.
            self.board.member.post(&format!("{run}/cancel"), &json!({})).await;
        }
        path
    }
}

async fn ask(client: &Client, method: &str, path: &str, body: &Body) -> Reply {
    let request = client.ask(method.parse::<Method>().unwrap(), path);
    match body {
        Body::Nothing => request.send().await,
        Body::Json(value) => request.json(value).send().await,
        Body::Lines(lines) => {
            request.header("content-type", "application/x-ndjson").body(*lines).send().await
        }
        Body::Form(fields) => {
            let kind = "application/x-www-form-urlencoded";
            request.header("content-type", kind).body(*fields).send().await
        }
    }
}

/// `METHOD path` of everything in the document.
pub(crate) async fn documented(board: &Board) -> BTreeSet<String> {
    let document = board.anonymous.read("/api/v1/openapi.json").await;
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_has_every_operation_of_the_document_once_and_no_other() {
    let board = Board::idle().await;
    let table = table();
    let listed: BTreeSet<String> = table.iter().map(|row| row.operation.to_owned()).collect();
    assert_eq!(listed, documented(&board).await);
    assert_eq!(listed.len(), table.len(), "an operation is in the table twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_may_do_what_the_table_says_and_nothing_else() {
    let place = Place::new().await;
    let more = others(&place.board).await;
    let mut wrong = Vec::new();
    for row in table() {
        let (method, template) = row.operation.split_once(' ').unwrap();
        let known = callers(&place.board).into_iter().zip(row.statuses);
        let known = known.map(|((name, client), status)| (name, client, status));
        let more = more.iter().map(|(name, client, at, reads)| (*name, client, row.expected(*at, *reads)));
        for (caller, client, expected) in known.chain(more) {
            let path = place.fill(template).await;
            let reply = ask(client, method, &path, &row.body).await;
            if reply.code() != expected {
                wrong.push(format!(
                    "{} by {caller}: {} is not {expected}: {}",
                    row.operation,
                    reply.code(),
                    reply.text()
                ));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_who_may_and_changes_nothing() {
    let place = Place::new().await;
    let board = &place.board;
    for template in ["/api/v1/models/{id}", "/api/v1/evals/{id}", "/api/v1/runs/{id}"] {
        let path = place.fill(template).await;
        let before = board.member.read(&path).await;
        for (client, status, code, fix) in [
            (&board.anonymous, 401, "unauthorized", "Authorization: Bearer"),
            (&board.other, 403, "forbidden", "only the owner"),
        ] {
            for row in table().iter().filter(|row| !row.operation.starts_with("GET")) {
                let (method, operation) = row.operation.split_once(' ').unwrap();
                let Some(rest) = operation.strip_prefix(template).filter(|rest| !rest.contains('{')) else {
                    continue;
                };
                let refused = ask(client, method, &format!("{path}{rest}"), &row.body).await;
                refused.assert_refused(status, "code", code);
                assert!(text(&refused.json(), "error").contains(fix), "{}", refused.text());
            }
        }
        assert_eq!(board.member.read(&path).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_a_key_is_refused_whatever_it_names() {
    let board = Board::idle().await;
    // Where tokens are made, refusals have another shape.
    let writes = |row: &&Row| !row.operation.starts_with("GET") && row.operation != TOKEN_ROW;
    for row in table().iter().filter(writes) {
        let (method, template) = row.operation.split_once(' ').unwrap();
        let path = template.replace("{id}", "nobody").replace("{artifact_id}", "nothing");
        ask(&board.anonymous, method, &path, &row.body).await.assert_refused(401, "code", "unauthorized");
    }
}
