//! A training set from a browser: a form with the file, which is streamed to disk as it comes.
//!
//! It works without scripts; with them, it shows how much has been sent.

use actix_web::web::Data;
use askama::Template;

use super::{Me, Wrong, meta, send};
use crate::app::App;
use crate::domain::id::TrainingSetId;
use crate::domain::training_sets::{Card, FileType, TrainingSet};
use crate::domain::users::User;
use crate::error::{Error, Result};
use crate::http::form::Form;
use crate::http::headers::see_other;
use crate::http::pages::page::Meta;
use crate::http::pages::{format, links};
use crate::http::{Answered, PostedFile, SignedIn, Site, Write};
use crate::service::files::{Incoming, Label};
use crate::service::once::{Answer, Once};
use crate::service::training_sets as service;

#[derive(Template)]
#[template(path = "settings_training_sets.html", whitespace = "minimize")]
struct UploadPage {
    meta: Meta,
    me: Me,
    wrong: Option<Wrong>,
    /// The endings of names that are taken, as browsers want them.
    endings: String,
    /// The largest file that is taken.
    most: String,
}

/// Answers `GET /settings/training-sets`.
pub(in super::super) async fn show(me: SignedIn<Write>, site: Data<Site>) -> Answered {
    send(&page(&site, Me::of(&me), None), None)
}

/// Answers `POST /settings/training-sets`: leads to the page of what was added.
pub(in super::super) async fn create(
    me: SignedIn<Write>,
    PostedFile(form): PostedFile,
    app: Data<App>,
    site: Data<Site>,
) -> Answered {
    match added(&app, &me.user, form).await {
        Ok(id) => Ok(see_other(&links::training_set(&id))),
        Err(error) => {
            let page = page(&site, Me::of(&me), Some(Wrong::of(error)?));
            send(&page, page.wrong.as_ref())
        }
    }
}

fn page(site: &Site, me: Me, wrong: Option<Wrong>) -> UploadPage {
    let most = i64::try_from(site.app.config.max_upload_bytes).unwrap_or(i64::MAX);
    UploadPage {
        meta: meta(&site.public_url, links::UPLOAD, "Add a training set"),
        me,
        wrong,
        endings: FileType::ALL.map(|known| format!(".{}", known.as_str())).join(","),
        most: format::limit(most),
    }
}

async fn added(app: &App, user: &User, form: Form) -> Result<TrainingSetId> {
    let begin = async |name: &str, content_type: Option<&str>| {
        // Before it is sent, not after.
        FileType::of(name, "file")?;
        Incoming::begin(app, user.key, Label::new(name, content_type, "file")?).await
    };
    let filled = form.read(&["name", "description"], begin).await?;
    let said = |name: &str| Ok::<_, Error>(filled.field(name, None)?.unwrap_or_default());
    let card = Card { name: said("name")?, description: said("description")? }.check()?;
    let (source, _) = filled.finish(user).await?;
    let [name, ..] = source.identity();
    let file_type = FileType::of(name, "file")?;
    let render = |set: &TrainingSet| Answer::ok(&set.id.as_str());
    let answer =
        service::create(app, user.clone(), card, (source, file_type), Once::unasked(user.key), render)
            .await?;
    let id: String = serde_json::from_slice(&answer.body).map_err(Error::internal)?;
    Ok(TrainingSetId::from(id))
}
