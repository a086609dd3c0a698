//! A run as those who follow it see it: every case once, what it waits for, and its end.

use std::sync::Arc;
use std::time::Duration;

use evalboard::server::Server;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::field::{Field, samples};
use crate::support::provider::{Act, Script};
use crate::support::steps::{capital, column, sums, text};
use crate::support::{Board, Client, House, PATIENCE};

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    id: String,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// An open stream.
pub(crate) struct Stream {
    response: reqwest::Response,
    buffer: String,
}

impl Stream {
    /// Follows a run, from behind the event `after` if one is named.
    pub(crate) async fn open(client: &Client, run: &str, after: Option<&str>) -> Self {
        let request = client.ask(Method::GET, &format!("/api/v1/runs/{run}/events"));
        let request = request.header("accept-encoding", "gzip, br");
        let request = match after {
            Some(id) => request.header("last-event-id", id),
            None => request,
        };
        let response = request.open().await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(!response.headers().contains_key("content-encoding"));
        Self { response, buffer: String::new() }
    }

    /// The next event; none at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                if let Some(event) = read(&block) {
                    return Some(event);
                }
                continue;
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await.expect("no event came").unwrap()?;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Everything to the end.
    async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    /// The next event of that name.
    pub(crate) async fn until(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("the stream ended without {name}"));
            if event.name == name {
                return event;
            }
        }
    }
}

/// An event from its lines; none for what only keeps the stream open.
fn read(block: &str) -> Option<Event> {
    let field = |name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
    };
    let name = field("event").to_owned();
    if name.is_empty() {
        return None;
    }
    Some(Event { id: field("id").to_owned(), name, data: serde_json::from_str(field("data")).unwrap() })
}

fn named<'e>(events: &'e [Event], name: &str) -> Vec<&'e Event> {
    events.iter().filter(|event| event.name == name).collect()
}

fn cases(events: &[Event]) -> Vec<String> {
    named(events, "case").iter().map(|event| text(&event.data, "id").to_owned()).collect()
}

/// The ids of all cases of a run, as the lists have them.
async fn listed(client: &Client, run: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for result in column(&client.read(&format!("/api/v1/runs/{run}/results")).await, "id") {
        ids.extend(column(&client.read(&format!("/api/v1/results/{result}/cases")).await, "id"));
    }
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_is_told_every_case_once_and_the_end() {
    let board = Board::idle().await;
    board.member.model("builtin:calculator").await;
    board.member.model("builtin:echo").await;
    board.member.eval(&sums()).await;
    board.member.eval(&capital()).await;
    let run = board.member.trigger(&json!({})).await;
    let mut stream = Stream::open(&board.anonymous, &run, None).await;
    let first = stream.next().await.unwrap();
    assert_eq!((first.name.as_str(), &first.data["status"]), ("progress", &json!("queued")));

    board.house.app.engine.start().await.unwrap();
    let events = stream.rest().await;

    let mut told = cases(&events);
    told.sort();
    assert_eq!((told.len(), &told), (8, &listed(&board.anonymous, &run).await));
    let done = events.last().unwrap();
    assert_eq!((done.name.as_str(), named(&events, "done").len()), ("done", 1));
    assert_eq!(done.data, board.anonymous.read(&format!("/api/v1/runs/{run}")).await);
    assert_eq!(done.data["case_done"], 8);
    let places: Vec<i64> = events.iter().map(|event| event.id.parse().unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
    let case = &named(&events, "case")[0].data;
    assert_eq!(case["state"], "scored", "{case}");
    assert!(!text(case, "model_id").is_empty() && !text(case, "sample_id").is_empty(), "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_is_told_what_he_missed_and_no_more() {
    let board = Board::busy().await;
    board.member.model("builtin:calculator").await;
    board.member.eval(&sums()).await;
    let earlier = board.member.run(&json!({})).await;
    let before = {
        let run = text(&earlier, "id");
        let all = Stream::open(&board.anonymous, run, Some("0")).await.rest().await;
        assert_eq!(cases(&all).len(), 3);
        all.last().unwrap().id.clone()
    };
    let run = board.member.run(&json!({})).await;
    let run = text(&run, "id");

    let missed = Stream::open(&board.anonymous, run, Some(&before)).await.rest().await;
    assert_eq!(cases(&missed).len(), 3, "those of the other run are not told: {missed:?}");
    let first = named(&missed, "case")[0].id.clone();
    let rest = Stream::open(&board.anonymous, run, Some(&first)).await.rest().await;
    assert_eq!(cases(&rest), cases(&missed)[1..], "a batch that broke off is taken up where it did");
    let newest = missed.last().unwrap().id.clone();
    let nothing = Stream::open(&board.anonymous, run, Some(&newest)).await.rest().await;
    let names: Vec<&str> = nothing.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["progress", "done"]);
    let late = Stream::open(&board.anonymous, run, None).await.rest().await;
    assert_eq!(cases(&late), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_hears_what_the_run_waits_for_and_so_does_the_page() {
    let field = Field::start().await;
    let busy = Script::first(1, Act::Status(429, Some(3)), Act::Say("say 0".to_owned()));
    let model = field.model("busy", busy, json!({})).await;
    let one = samples(1, |at| (format!("say {at}"), format!("say {at}")));
    field.eval("one", "exact", json!({"samples": one})).await;
    let run = field.trigger(json!({})).await;
    let mut stream = Stream::open(&field.board.anonymous, &run, None).await;

    let waiting = stream.until("waiting").await.data;
    assert_eq!([&waiting[0]["model_id"], &waiting[0]["cases"]], [&json!(model), &json!(1)], "{waiting}");
    assert!(text(&waiting[0], "why").contains("answered 429"), "{waiting}");
    assert!(waiting[0]["until"].as_i64() > field.run(&run).await["started_at"].as_i64());
    let page = field.board.anonymous.get(&format!("/runs/{run}")).await.text();
    assert!(page.contains("Waiting for endpoints") && page.contains("answered 429"), "{page}");

    let events = stream.rest().await;
    assert_eq!(named(&events, "waiting").last().unwrap().data, json!([]), "{events:?}");
    assert_eq!(events.last().unwrap().data["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_followed_is_refused_in_words() {
    let board = Board::idle().await;
    board.member.model("builtin:echo").await;
    board.member.eval(&sums()).await;
    let run = board.member.trigger(&json!({})).await;
    let path = format!("/api/v1/runs/{run}/events");
    for place in ["-1", "x", "1.5", "99999999999999999999"] {
        let asked = board.anonymous.ask(Method::GET, &path).header("last-event-id", place);
        asked.send().await.assert_refused(400, "field", "Last-Event-ID");
    }
    board.anonymous.get("/api/v1/runs/nobody/events").await.assert_refused(404, "code", "not_found");
    let head = board.anonymous.head(&path).await;
    assert_eq!((head.code(), head.header("content-type"), head.body.len()), (200, "text/event-stream", 0));
    assert_eq!(board.anonymous.post(&path, &json!({})).await.code(), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_can_follow_so_often_and_those_who_leave_make_room() {
    let board = Board::idle().await;
    board.member.model("builtin:echo").await;
    board.member.eval(&sums()).await;
    let run = board.member.trigger(&json!({})).await;
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(Stream::open(&board.anonymous, &run, None).await);
    }
    let path = format!("/api/v1/runs/{run}/events");
    let refused = board.anonymous.get(&path).await;
    refused.assert_refused(429, "code", "limited");
    assert_eq!(refused.header("retry-after"), "30");
    drop(streams);
    let deadline = std::time::Instant::now() + PATIENCE;
    while board.anonymous.ask(Method::GET, &path).open().await.status() != 200 {
        assert!(std::time::Instant::now() < deadline, "the places of those who left are never free");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_does_not_wait_for_followers() {
    let house = House::with(&[]);
    let server = Server::build(Arc::clone(&house.app)).unwrap();
    let (address, stopper) = (server.address(), server.stopper());
    let serving = tokio::spawn(server.run());
    let key = house.key("member@example.org", evalboard::domain::users::Role::Member).await;
    let member = Client::new(address, Some(&key));
    member.model("builtin:echo").await;
    member.eval(&sums()).await;
    let run = member.trigger(&json!({})).await;
    let mut stream = Stream::open(&member, &run, None).await;
    assert_eq!(stream.next().await.unwrap().name, "progress");

    timeout(PATIENCE, stopper.drain()).await.expect("it waited for the stream");
    assert_eq!(stream.next().await, None);
    serving.await.unwrap().unwrap();
}
