//! Routes that exist in tests only: one for everything that a handler may do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::web::{Data, ServiceConfig};
use evalboard::app::App;
use evalboard::domain::id::ModelId;
use evalboard::domain::page::{Cursor, Slice};
use evalboard::domain::time::Millis;
use evalboard::error::Error;
use evalboard::http::table::{register, resource};
use evalboard::http::{
    Admin, Answered, ApiError, CachePolicy, Id, JsonBody, OptionalJson, Paging, Reads, Require, View, Write,
};
use evalboard::service::once::Answer;
use evalboard::store::Topic;
use serde::Deserialize;
use serde_json::json;

/// What the routes work on.
#[derive(Clone, Default)]
pub(crate) struct Things {
    pub(crate) names: Arc<Mutex<Vec<String>>>,
    /// How often the list was made.
    pub(crate) made: Arc<AtomicUsize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewThing {
    name: String,
    #[serde(default)]
    size: u8,
}

pub(crate) fn configure(config: &mut ServiceConfig, things: Things) {
    config.app_data(Data::new(things));
    let rows = vec![
        resource("/api/test/things").get(list).post(create),
        resource("/api/test/things/{id}").get(get).delete(delete),
        resource("/api/test/made").get(made),
        resource("/api/test/secrets").post(create_secret),
        resource("/api/test/optional").post(optional),
        resource("/api/test/unfinished").get(unfinished),
        resource("/api/test/broken").get(broken),
        resource("/api/test/panic").get(panics),
        resource("/page").get(page),
    ];
    register(config, rows);
}

async fn list(reads: Reads<Paging>, things: Data<Things>) -> Answered {
    let page = reads.page()?;
    reads
        .answer(&[Topic::Models], move |_| {
            things.made.fetch_add(1, Ordering::SeqCst);
            let names = things.names.lock().unwrap().clone();
            let total = i64::try_from(names.len()).unwrap();
            let after = page.after.map_or(0, |cursor| usize::try_from(cursor.key).unwrap());
            let limit = usize::try_from(page.limit).unwrap();
            let rows: Vec<_> = names.into_iter().enumerate().skip(after).take(limit + 1).collect();
            let position = |row: &(usize, String)| Cursor { sort: 0, key: i64::try_from(row.0 + 1).unwrap() };
            View::list(Slice::cut(rows, page, total, position).map(|(_, name)| name))
        })
        .await
}

async fn get(Id(id): Id<ModelId>, reads: Reads) -> Answered {
    let who = reads.caller().user().map(|user| user.email.clone());
    let answer = move |_: &mut evalboard::store::Tx<'_>| match id.as_str() {
        "missing" => Err(Error::NotFound("thing")),
        id => View::json(&json!({"id": id, "seen_by": who, "text": "x".repeat(5_000)})),
    };
    reads.answer(&[Topic::Models], answer).await
}

async fn made(things: Data<Things>) -> Result<Answer, ApiError> {
    Ok(Answer::ok(&things.made.load(Ordering::SeqCst))?)
}

async fn create(
    user: Require<Write>,
    app: Data<App>,
    things: Data<Things>,
    body: JsonBody<NewThing>,
) -> Result<Answer, ApiError> {
    let (new, once) = body.split(&user);
    let now = Millis::now();
    let command = move |tx: &mut evalboard::store::Tx<'_>| {
        let make = |tx: &mut evalboard::store::Tx<'_>| {
            tx.touch(Topic::Models);
            let mut names = things.names.lock().unwrap();
            names.push(new.name.clone());
            Ok(names.len())
        };
        once.run(tx, now, make, |count| {
            Answer::created("/api/test/things/1".into(), &json!({"count": count, "size": new.size}))
        })
    };
    Ok(app.store.write(command).await?)
}

async fn create_secret(
    user: Require<Write>,
    app: Data<App>,
    body: JsonBody<NewThing>,
) -> Result<Answer, ApiError> {
    let (_, once) = body.split(&user);
    let now = Millis::now();
    let command = move |tx: &mut evalboard::store::Tx<'_>| {
        once.run_secret(tx, now, |_| Ok(()), |()| Answer::ok(&json!({"secret": "canary"})))
    };
    Ok(app.store.write(command).await?)
}

async fn delete(_user: Require<Admin>, Id(_): Id<ModelId>) -> Result<Answer, ApiError> {
    Ok(Answer::ok(&json!({"success": true}))?)
}

async fn optional(_user: Require<Write>, body: OptionalJson<NewThing>) -> Result<Answer, ApiError> {
    Ok(Answer::accepted(None, &body.into_inner().map(|new| new.name))?)
}

async fn unfinished(reads: Reads) -> Answered {
    reads.answer(&[Topic::Runs], |_| Ok(View::json(&1)?.policy(CachePolicy::Revalidate))).await
}

async fn broken() -> Answered {
    Err(Error::internal("canary: cannot open /secret/path").into())
}

async fn panics() -> Answered {
    panic!("a handler of a test")
}

async fn page(reads: Reads) -> Answered {
    reads.answer(&[Topic::Board], |_| Ok(View::html("<p>board</p>".into()))).await
}
