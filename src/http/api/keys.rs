//! One's own API keys. Their text is answered once, when they are made.

use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::{Done, IdParam, PageParams};
use crate::app::App;
use crate::domain::api_keys::{Listed, Scope};
use crate::domain::id::ApiKeyId;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::http::{Answered, ApiError, Id, JsonBody, Known, Paging, Reads, Require, View, Write};
use crate::service::keys::{self as service, Draft, Made};
use crate::service::once::Answer;
use crate::store::{self, Tx};

/// A key, without its text.
#[derive(Serialize, ToSchema)]
pub struct Key {
    id: String,
    /// What its owner calls it.
    name: String,
    /// Its first characters.
    hint: String,
    /// write: it may do all that its owner may. read: it only reads what he may read.
    scope: &'static str,
    /// When it was used last, to the minute; null when it never was.
    last_used_at: Option<i64>,
    /// When it ends; null when it does not.
    expires_at: Option<i64>,
    created_at: i64,
}

impl From<Listed> for Key {
    fn from(key: Listed) -> Self {
        Self {
            id: key.id.into(),
            name: key.name,
            hint: key.hint,
            scope: key.scope.as_str(),
            last_used_at: key.last_used_at.map(|at| at.0),
            expires_at: key.expires_at.map(|at| at.0),
            created_at: key.created_at.0,
        }
    }
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
pub struct MadeKey {
    /// Its text. It is not kept here: this is the only time it is answered.
    key: String,
    #[serde(flatten)]
    listed: Key,
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// 1-100 characters; may repeat.
    #[schema(example = "CI")]
    name: String,
    /// write (unless said otherwise): it may do all that you may. read: it only reads what you may read.
    #[schema(example = "write")]
    scope: Option<String>,
    /// When it ends, in milliseconds since 1970; it does not end unless this is said.
    expires_at: Option<i64>,
}

/// Lists your keys that were not revoked, newest first.
#[utoipa::path(get, path = "/api/v1/keys", tag = "Keys", params(PageParams), security(("key" = [])), responses((status = 200, description = "A page of the list", body = [Key])))]
pub async fn list(user: Require<Known>, reads: Reads<Paging>) -> Answered {
    let (owner, page) = (user.key, reads.page()?);
    let view = move |tx: &mut Tx<'_>| View::list(store::api_keys::list(tx, owner, page)?.map(Key::from));
    // It is made for its owner alone, and never copied: it goes by no topic.
    reads.answer(&[], view).await
}

/// Makes a key of yours. Its text is in this answer and never again.
#[utoipa::path(post, path = "/api/v1/keys", tag = "Keys", request_body = NewKey, security(("key" = [])), responses((status = 201, description = "It was made", body = MadeKey)))]
pub async fn create(
    user: Require<Write>,
    app: Data<App>,
    body: JsonBody<NewKey>,
) -> Result<Answer, ApiError> {
    let (new, once) = body.split(&user);
    let draft = Draft {
        name: new.name,
        scope: new.scope.as_deref().map_or(Ok(Scope::Write), Scope::parse)?,
        expires_at: new.expires_at.map(Millis),
    };
    Ok(service::make_once(&app.store, user.into_user(), &draft, once, made).await?)
}

fn made(made: &Made) -> Result<Answer> {
    let listed = Key::from(made.listed.clone());
    let location = format!("/api/v1/keys/{}", listed.id);
    Answer::created(location, &MadeKey { key: made.key.expose().to_owned(), listed })
}

/// Revokes a key: your own, or an admin anybody's. It ends at once, also when it is the one that asks.
#[utoipa::path(delete, path = "/api/v1/keys/{id}", tag = "Keys", params(IdParam), security(("key" = [])), responses((status = 200, description = "It has ended", body = Done)))]
pub async fn delete(user: Require<Write>, Id(id): Id<ApiKeyId>, app: Data<App>) -> Result<Answer, ApiError> {
    service::revoke(&app.store, user.into_user(), id).await?;
    Ok(Answer::ok(&Done::DONE)?)
}
