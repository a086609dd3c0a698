//! A provider of models that does what its script says: over real HTTP, well or badly.

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Json};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use flate2::{Compression, write::GzEncoder};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Tokens that every answer reports: input and output.
pub(crate) const USAGE: (i64, i64) = (10, 5);

/// One request, as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) model: String,
    pub(crate) messages: Vec<Value>,
    /// Names in lower case.
    pub(crate) headers: HashMap<String, String>,
    /// 1, 2, ... within its model.
    pub(crate) nth: usize,
    pub(crate) at: Instant,
    /// Requests to its model that are under way, itself included.
    pub(crate) at_once: usize,
    /// Whether a JSON schema came along.
    pub(crate) has_schema: bool,
    /// All of it.
    pub(crate) body: Value,
}

impl Asked {
    /// The last message's text.
    pub(crate) fn prompt(&self) -> &str {
        self.messages.last().and_then(|message| message["content"].as_str()).unwrap_or_default()
    }
}

/// What a model does with one request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Answers.
    Say(String),
    /// Answers with this message, whatever it is.
    Message(Value),
    /// Answers with a status, and perhaps `Retry-After` in seconds.
    Status(u16, Option<u32>),
    /// Answers 429 with this `Retry-After`, whatever it is.
    Limited(&'static str),
    /// Answers 200 with these bytes.
    Body(Vec<u8>),
    /// Answers with this status, this content type and this body.
    Raw(u16, &'static str, String),
    /// Answers 200 with these bytes, which claim to be gzip.
    Gzip(Vec<u8>),
    /// Begins to answer, then closes the connection.
    BreakOff,
    /// Never answers.
    Hang,
    /// Sends the caller elsewhere.
    Redirect,
    /// Answers once the gate is open.
    Wait(Gate, String),
}

impl Act {
    /// An answer of five megabytes.
    pub(crate) fn huge() -> Self {
        Self::Say("x".repeat(5 * 1024 * 1024))
    }

    /// A few kilobytes that unpack to sixteen megabytes.
    pub(crate) fn bomb() -> Self {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        let text = chat(&json!({"content": "x".repeat(16 * 1024 * 1024)})).to_string();
        packer.write_all(text.as_bytes()).unwrap();
        Self::Gzip(packer.finish().unwrap())
    }

    /// Answers with this status and this JSON.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Raw(status, "application/json", body.to_string())
    }

    /// Answers that, with a finish reason and counts of tokens.
    pub(crate) fn completion(content: &Value, finish: &str, usage: (i64, i64)) -> Self {
        let message = json!({"role": "assistant", "content": content});
        let choice = json!({"index": 0, "message": message, "finish_reason": finish});
        let usage = json!({"prompt_tokens": usage.0, "completion_tokens": usage.1});
        Self::json(200, &json!({"choices": [choice], "usage": usage}))
    }

    /// A grader's verdict in the form it is asked for.
    pub(crate) fn verdict(score: f64) -> Self {
        Self::Say(json!({"reasoning": "as the rubric says", "score": score}).to_string())
    }
}

/// Holds answers back until it is opened.
#[derive(Clone)]
pub(crate) struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    async fn pass(&self) {
        let mut state = self.0.subscribe();
        drop(state.wait_for(|open| *open).await);
    }
}

type Plan = dyn Fn(&Asked) -> Act + Send + Sync;

/// What a model does with its requests, and how long it thinks first.
#[derive(Clone)]
pub(crate) struct Script {
    plan: Arc<Plan>,
    latency: Duration,
    /// Whether it decides before it thinks, and refuses without thinking.
    is_prompt: bool,
}

impl Script {
    /// Decides on each request by itself.
    pub(crate) fn by(plan: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        Self { plan: Arc::new(plan), latency: Duration::ZERO, is_prompt: false }
    }

    /// Does always the same.
    pub(crate) fn always(act: Act) -> Self {
        Self::by(move |_| act.clone())
    }

    /// Says always the same.
    pub(crate) fn says(text: &str) -> Self {
        Self::always(Act::Say(text.to_owned()))
    }

    /// Says what `answer` makes of the prompt.
    pub(crate) fn answers(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::by(move |asked| Act::Say(answer(asked.prompt())))
    }

    /// Does the first `count` times one thing, then another.
    pub(crate) fn first(count: usize, act: Act, then: Act) -> Self {
        Self::by(move |asked| if asked.nth <= count { act.clone() } else { then.clone() })
    }

    /// Answers after that long, and refuses at once.
    pub(crate) fn after(self, latency: Duration) -> Self {
        Self { latency, is_prompt: true, ..self }
    }

    /// Thinks that long before each answer.
    pub(crate) fn thinking(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }
}

#[derive(Default)]
struct Ledger {
    scripts: HashMap<String, Script>,
    asked: Vec<Asked>,
    in_flight: HashMap<String, usize>,
    most: HashMap<String, usize>,
}

/// What the server and its test share.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Ledger>>);

/// The running provider.
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    shared: Shared,
}

impl Provider {
    /// A provider on a port of its own, whose models are unknown until they have a script.
    pub(crate) fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// The same at an address of which the port was free a moment ago.
    pub(crate) fn start_at(address: SocketAddr) -> Self {
        let shared = Shared::default();
        let state = Data::new(shared.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(state.clone())
                .app_data(web::JsonConfig::default().limit(64 * 1024 * 1024))
                .route("/v1/chat/completions", web::post().to(chat_completions))
                .route("/anthropic/messages", web::post().to(messages))
        })
        .workers(1)
        .disable_signals()
        .shutdown_timeout(0)
        .bind(address)
        .unwrap();
        let address = server.addrs()[0];
        tokio::spawn(server.run());
        Self { address, shared }
    }

    /// Gives a model its script.
    pub(crate) fn script(&self, model: &str, script: Script) {
        self.ledger().scripts.insert(model.to_owned(), script);
    }

    /// Where a model is called in the chat-completions form.
    pub(crate) fn uri(&self, model: &str) -> String {
        format!("openai-compatible:http://{}/v1#{model}", self.address)
    }

    /// What the operator sets to reach it as Anthropic.
    pub(crate) fn anthropic_base_url(&self) -> String {
        format!("http://{}/anthropic", self.address)
    }

    /// Every request to a model so far, in the order they came in.
    pub(crate) fn asked(&self, model: &str) -> Vec<Asked> {
        self.ledger().asked.iter().filter(|asked| asked.model == model).cloned().collect()
    }

    /// How many requests came in so far.
    pub(crate) fn count(&self) -> usize {
        self.ledger().asked.len()
    }

    /// The most requests to a model that were under way at once.
    pub(crate) fn most_at_once(&self, model: &str) -> usize {
        self.ledger().most.get(model).copied().unwrap_or(0)
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.shared.0.lock().unwrap()
    }
}

/// A request under way.
struct Visit {
    shared: Shared,
    model: String,
}

impl Visit {
    /// Writes the request down; none when the model is unknown.
    fn begin(shared: &Shared, request: &HttpRequest, body: &Value) -> Option<(Self, Asked, Script)> {
        let mut ledger = shared.0.lock().unwrap();
        let model = body["model"].as_str()?.to_owned();
        let script = ledger.scripts.get(&model)?.clone();
        let nth = 1 + ledger.asked.iter().filter(|asked| asked.model == model).count();
        let now = ledger.in_flight.entry(model.clone()).or_default();
        *now += 1;
        let now = *now;
        let asked = Asked { nth, at_once: now, ..read(request, body, &model) };
        ledger.asked.push(asked.clone());
        let most = ledger.most.entry(model.clone()).or_default();
        *most = now.max(*most);
        Some((Self { shared: shared.clone(), model }, asked, script))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Ok(mut ledger) = self.shared.0.lock()
            && let Some(now) = ledger.in_flight.get_mut(&self.model)
        {
            *now -= 1;
        }
    }
}

fn read(request: &HttpRequest, body: &Value, model: &str) -> Asked {
    let header = |(name, value): (&actix_web::http::header::HeaderName, _)| {
        let value: &actix_web::http::header::HeaderValue = value;
        (name.as_str().to_owned(), value.to_str().unwrap_or_default().to_owned())
    };
    Asked {
        model: model.to_owned(),
        messages: body["messages"].as_array().cloned().unwrap_or_default(),
        headers: request.headers().iter().map(header).collect(),
        nth: 0,
        at: Instant::now(),
        at_once: 0,
        has_schema: body.get("response_format").is_some(),
        body: body.clone(),
    }
}

async fn chat_completions(request: HttpRequest, shared: Data<Shared>, body: Json<Value>) -> HttpResponse {
    serve(&request, &shared, &body, chat).await
}

async fn messages(request: HttpRequest, shared: Data<Shared>, body: Json<Value>) -> HttpResponse {
    serve(&request, &shared, &body, anthropic).await
}

async fn serve(
    request: &HttpRequest,
    shared: &Shared,
    body: &Value,
    shape: fn(&Value) -> Value,
) -> HttpResponse {
    let Some((_visit, asked, script)) = Visit::begin(shared, request, body) else {
        return HttpResponse::NotFound().json(json!({"error": {"message": "no such model"}}));
    };
    if !script.is_prompt {
        tokio::time::sleep(script.latency).await;
        return play((script.plan)(&asked), shape).await;
    }
    let act = (script.plan)(&asked);
    if !matches!(act, Act::Status(..)) {
        tokio::time::sleep(script.latency).await;
    }
    play(act, shape).await
}

async fn play(act: Act, shape: fn(&Value) -> Value) -> HttpResponse {
    match act {
        Act::Say(text) => HttpResponse::Ok().json(shape(&json!({"role": "assistant", "content": text}))),
        Act::Message(message) => HttpResponse::Ok().json(shape(&message)),
        Act::Status(status, retry_after) => refuse(status, retry_after),
        Act::Limited(wait) => HttpResponse::TooManyRequests().insert_header(("retry-after", wait)).finish(),
        Act::Body(bytes) => HttpResponse::Ok().content_type("application/json").body(bytes),
        Act::Raw(status, kind, body) => {
            HttpResponse::build(StatusCode::from_u16(status).unwrap()).content_type(kind).body(body)
        }
        Act::Gzip(bytes) => HttpResponse::Ok().insert_header(("content-encoding", "gzip")).body(bytes),
        Act::BreakOff => break_off(),
        Act::Hang => std::future::pending().await,
        Act::Redirect => HttpResponse::Found().insert_header(("location", "/v1/elsewhere")).finish(),
        Act::Wait(gate, text) => {
            gate.pass().await;
            HttpResponse::Ok().json(shape(&json!({"role": "assistant", "content": text})))
        }
    }
}

fn refuse(status: u16, retry_after: Option<u32>) -> HttpResponse {
    let mut answer = HttpResponse::build(StatusCode::from_u16(status).unwrap());
    if let Some(seconds) = retry_after {
        answer.insert_header(("retry-after", seconds.to_string()));
    }
    answer.json(json!({"error": {"message": "as the script says"}}))
}

fn break_off() -> HttpResponse {
    let pieces =
        [Ok(Bytes::from_static(b"{\"choices\":[")), Err(std::io::Error::other("as the script says"))];
    // A pause before each piece sends what comes before it on its way.
    let pieces = stream::iter(pieces).then(|piece| async {
        tokio::task::yield_now().await;
        piece
    });
    HttpResponse::Ok().body(SizedStream::new(1_000, Box::pin(pieces)))
}

/// A message in the chat-completions form.
fn chat(message: &Value) -> Value {
    json!({
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": USAGE.0, "completion_tokens": USAGE.1, "total_tokens": USAGE.0 + USAGE.1},
    })
}

/// A message in the form of Anthropic's messages.
fn anthropic(message: &Value) -> Value {
    json!({
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": message["content"]}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": USAGE.0, "output_tokens": USAGE.1},
    })
}
