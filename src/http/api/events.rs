//! A run as it goes, told as server-sent events to whoever follows it.
//!
//! It only watches: the stream looks at the store whenever something was written, and may end and be taken up
//! again at any time. What it tells can be asked for as well.

use std::time::Duration;

use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use tokio::time::{Instant, sleep};
use utoipa::ToSchema;

use super::runs::Run;
use super::wire::IdParam;
use crate::domain::id::RunId;
use crate::domain::runs;
use crate::domain::time::Millis;
use crate::domain::users::Caller;
use crate::domain::veil::Veil;
use crate::error::{Error, Result};
use crate::http::front::HeadOnly;
use crate::http::limits::Payer;
use crate::http::streams::Place;
use crate::http::{Answered, Id, Site};
use crate::service::endpoints::Endpoints;
use crate::store::progress::{self, News, Wait};
use crate::store::{self, Generation, Topic, Tx};

/// All that events are made from.
const TOPICS: &[Topic] = &[Topic::Runs, Topic::Results];
/// How often to look whether something was written.
const TICK: Duration = Duration::from_millis(250);
/// How often to say that the stream is alive: proxies close what is silent, and who has left is only noticed
/// when something is sent to him.
const SILENCE: Duration = Duration::from_secs(5);
/// What a client is to wait before it comes back, in milliseconds.
const COME_BACK: u32 = 2_000;
/// Cases, of whatever run, that one look goes through: their events take less than what a connection may hold.
const STRIDE: i64 = 200;
/// Lines of what is waited for.
const MOST_WAITS: u32 = 20;
/// The place up to which a client has followed.
const LAST_EVENT_ID: &str = "last-event-id";

/// A case that was recorded.
#[derive(Serialize, ToSchema)]
pub struct CaseEvent {
    id: String,
    result_id: String,
    model_id: String,
    eval_id: String,
    sample_id: String,
    epoch: i64,
    /// scored, unscored or error.
    state: &'static str,
    /// 0 to 1; null where there is none.
    score: Option<f64>,
    reason: Option<String>,
    /// The error's code.
    error: Option<String>,
}

impl From<News> for CaseEvent {
    fn from(news: News) -> Self {
        Self {
            id: news.case.into(),
            result_id: news.result.into(),
            model_id: news.model.into(),
            eval_id: news.eval.into(),
            sample_id: news.sample,
            epoch: news.epoch,
            state: news.state.as_str(),
            score: news.score,
            reason: news.reason,
            error: news.error,
        }
    }
}

/// Cases of a model that wait before they are asked again.
#[derive(Serialize, ToSchema, PartialEq, Eq)]
pub struct Waiting {
    model_id: String,
    model_name: String,
    /// How many cases wait.
    cases: i64,
    /// When the first of them may be asked again.
    until: i64,
    /// What went wrong the last time.
    why: Option<String>,
}

impl Waiting {
    fn new(wait: Wait, veil: &Veil) -> Self {
        Self {
            model_id: wait.model.into(),
            model_name: wait.model_name,
            cases: wait.cases,
            until: wait.until.0,
            why: wait.why.map(|why| veil.text(why)),
        }
    }
}

/// Follows a run as server-sent events until it is over: `progress` (the run, at first and whenever it moved),
/// `case` (one that was recorded), `waiting` (all that waits, whenever that changed), and `done` (the run, at
/// its end). Every event has an id: send the last one as `Last-Event-ID` to get the cases since, or 0 for all.
#[utoipa::path(get, path = "/api/v1/runs/{id}/events", tag = "Runs", params(IdParam, ("Last-Event-ID" = Option<i64>, Header, description = "The id of the last event that was received")), responses((status = 200, description = "Events; the data of each is JSON on one line", content_type = "text/event-stream", body = String)))]
pub async fn follow(Id(id): Id<RunId>, caller: Caller, request: HttpRequest, site: Data<Site>) -> Answered {
    let after = resumed(request.headers())?;
    let endpoints = Endpoints::of(&site.app, &caller);
    let (run, newest) = {
        let id = id.clone();
        site.app.store.read(move |tx| Ok((store::runs::get(tx, &id)?, progress::newest(tx)?))).await?
    };
    let mut response = HttpResponse::Ok();
    // Proxies that collect an answer before they pass it on would hold it back for ever.
    response.insert_header((CONTENT_TYPE, "text/event-stream")).insert_header(("x-accel-buffering", "no"));
    if request.extensions().get::<HeadOnly>().is_some() {
        return Ok(response.finish());
    }
    let address = site.client_address(request.peer_addr(), request.headers());
    let place = site.streams.open(Payer::of_caller(&caller, address))?;
    let feed = Feed {
        site,
        endpoints,
        run,
        reached: after.unwrap_or(newest),
        told: Told::default(),
        seen: None,
        is_over: false,
        place,
    };
    Ok(response.streaming(stream::unfold(feed, async |mut feed| {
        let events = feed.next().await?;
        Some((Ok::<_, Error>(events), feed))
    })))
}

/// The place that a client names which comes back.
fn resumed(headers: &HeaderMap) -> Result<Option<progress::Place>> {
    let Some(given) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let place = given.to_str().ok().and_then(|text| text.parse().ok()).filter(|place: &i64| *place >= 0);
    let message = "Last-Event-ID must be the id of an event of this stream, or 0";
    place.map(|place| Some(progress::Place(place))).ok_or_else(|| Error::invalid("Last-Event-ID", message))
}

/// One who follows.
struct Feed {
    site: Data<Site>,
    endpoints: Endpoints,
    run: runs::Run,
    reached: progress::Place,
    told: Told,
    /// What had been written when we last looked.
    seen: Option<Generation>,
    is_over: bool,
    place: Place,
}

/// What was told last, so that nothing is told twice.
#[derive(Default)]
struct Told {
    run: Option<runs::Run>,
    waiting: Vec<Waiting>,
}

/// What one look at the store shows.
struct Look {
    run: runs::Run,
    waiting: Vec<Waiting>,
    news: Vec<News>,
    reached: progress::Place,
    newest: progress::Place,
}

impl Look {
    fn take(tx: &mut Tx<'_>, id: &RunId, after: progress::Place, endpoints: &Endpoints) -> Result<Self> {
        let veil = endpoints.veil(tx)?;
        let run = veil.run(store::runs::get(tx, id)?);
        let (news, reached) = progress::news(tx, run.key, after, STRIDE)?;
        let waits = progress::waits(tx, run.key, Millis::now(), MOST_WAITS)?;
        let waiting = if run.state.is_open() { waits } else { Vec::new() };
        let waiting = waiting.into_iter().map(|wait| Waiting::new(wait, &veil)).collect();
        Ok(Self { run, waiting, news, reached, newest: progress::newest(tx)? })
    }
}

impl Feed {
    /// The next events, as bytes; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        let since = Instant::now();
        loop {
            let generation = self.site.app.store.generation(TOPICS);
            if self.seen != Some(generation) {
                let events = self.look(generation).await;
                if !events.is_empty() {
                    return Some(events.into());
                }
            }
            if self.is_over {
                return None;
            }
            if since.elapsed() >= SILENCE {
                return Some(Bytes::from_static(b": still here\n\n"));
            }
            tokio::select! {
                () = sleep(TICK) => {}
                () = self.place.closed() => return None,
            }
        }
    }

    /// What there is to tell since the last look.
    async fn look(&mut self, generation: Generation) -> String {
        let (id, after, endpoints) = (self.run.id.clone(), self.reached, self.endpoints.clone());
        match self.site.app.store.read(move |tx| Look::take(tx, &id, after, &endpoints)).await {
            Ok(look) => {
                // What is more than one look's worth is told at once, not at the next write.
                self.seen = (look.reached >= look.newest).then_some(generation);
                self.tell(look)
            }
            Err(cause) => {
                // The client comes back by itself, and is then told what is wrong.
                tracing::warn!(run = %self.run.id, error = ?cause, "a run can no longer be followed");
                self.is_over = true;
                String::new()
            }
        }
    }

    fn tell(&mut self, look: Look) -> String {
        let mut events = Events::default();
        if self.told.run.is_none() {
            events.retry();
        }
        for news in look.news {
            events.add(news.place, "case", &CaseEvent::from(news));
        }
        if self.told.run.as_ref() != Some(&look.run) {
            events.add(look.reached, "progress", &Run::from(look.run.clone()));
        }
        if self.told.waiting != look.waiting {
            events.add(look.reached, "waiting", &look.waiting);
        }
        if !look.run.state.is_open() && look.reached >= look.newest {
            events.add(look.reached, "done", &Run::from(look.run.clone()));
            self.is_over = true;
        }
        self.told = Told { run: Some(look.run), waiting: look.waiting };
        self.reached = look.reached;
        events.text
    }
}

/// Events in the form in which they are sent (WHATWG HTML, 9.2 Server-sent events).
#[derive(Default)]
struct Events {
    text: String,
}

impl Events {
    fn retry(&mut self) {
        self.text.push_str(&format!("retry: {COME_BACK}\n\n"));
    }

    /// Adds an event; who has it has followed up to `place`. JSON has no line breaks, so its data is one line.
    fn add(&mut self, place: progress::Place, name: &str, data: &impl Serialize) {
        match serde_json::to_string(data) {
            Ok(data) => {
                self.text.push_str(&format!("id: {}\nevent: {name}\ndata: {data}\n\n", place.0));
            }
            Err(cause) => tracing::error!(error = %cause, "an event cannot be told"),
        }
    }
}
