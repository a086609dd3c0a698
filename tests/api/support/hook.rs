//! Somebody's webhook: a real HTTP server that keeps what it is sent and answers as its test says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::Value;

/// What it answers to its first call, its second ...; the last answer stays.
type Answers = Vec<(u16, String)>;

/// One call, as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    pub(crate) body: String,
    /// Names in lower case.
    pub(crate) headers: HashMap<String, String>,
}

impl Called {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Default)]
struct State {
    answers: Mutex<Answers>,
    calls: Mutex<Vec<Called>>,
}

/// The running webhook.
pub(crate) struct Hook {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

impl Hook {
    /// A webhook on a port of its own that gives these answers, each a status and a body; status 0 is no
    /// answer at all.
    pub(crate) fn answering(answers: &[(u16, &str)]) -> Self {
        let state = Arc::new(State::default());
        let hook = Self { address: serve(Arc::clone(&state)), state };
        hook.answer(answers);
        hook
    }

    /// From now on it gives these answers, and forgets its calls.
    pub(crate) fn answer(&self, answers: &[(u16, &str)]) {
        let answers = answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        *self.state.answers.lock().unwrap() = answers;
        self.state.calls.lock().unwrap().clear();
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/score", self.address)
    }

    pub(crate) fn calls(&self) -> Vec<Called> {
        self.state.calls.lock().unwrap().clone()
    }
}

fn serve(state: Arc<State>) -> SocketAddr {
    let data = Data::from(state);
    let server =
        HttpServer::new(move || App::new().app_data(data.clone()).route("/score", web::post().to(score)))
            .workers(1)
            .disable_signals()
            .shutdown_timeout(0)
            .bind("127.0.0.1:0")
            .unwrap();
    let address = server.addrs()[0];
    tokio::spawn(server.run());
    address
}

async fn score(state: Data<State>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let header =
        |(name, value): (&actix_web::http::header::HeaderName, &actix_web::http::header::HeaderValue)| {
            (name.as_str().to_owned(), value.to_str().unwrap().to_owned())
        };
    let headers = request.headers().iter().map(header).collect();
    let called = Called { body: String::from_utf8(body.to_vec()).unwrap(), headers };
    let nth = {
        let mut calls = state.calls.lock().unwrap();
        calls.push(called);
        calls.len()
    };
    let (status, body) = {
        let answers = state.answers.lock().unwrap();
        answers[(nth - 1).min(answers.len() - 1)].clone()
    };
    if status == 0 {
        tokio::time::sleep(Duration::from_secs(600)).await;
    }
    let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap());
    if status == 307 {
        response.insert_header(("location", "http://127.0.0.1:1/"));
    }
    response.body(body)
}
