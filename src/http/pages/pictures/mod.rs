//! What is shown of a page where a link to it is posted: the board, a model, an eval, two models, each as a picture.
//! Whoever unfurls links takes no SVG, so that what a template draws is made into a PNG.
//!
//! A picture says nothing that its page does not.

mod draw;
mod duel;
mod letters;
mod profile;
mod ranking;

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

pub use self::draw::SIZE;
use self::duel::Duel;
use self::letters::Letters;
use self::profile::Profile;
use self::ranking::Ranking;
use crate::domain::id::{EvalId, ModelId};
use crate::domain::leaderboard::Scope;
use crate::error::{Error, Result};
use crate::http::{Answered, Id, Reads, Site, View};
use crate::leaderboard;
use crate::service::pairs;
use crate::store::{self, Topic, Tx};

/// What two models are compared by.
const PAIRED: &[Topic] = &[Topic::Board, Topic::Models, Topic::Evals, Topic::Results];

/// What stands above every picture: the page's title, and whose board it is.
struct Head {
    title: String,
    host: String,
}

/// The query parameters of a comparison.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Two {
    a: Option<String>,
    b: Option<String>,
}

impl Head {
    /// The head of the site at `public_url`.
    fn new(title: &str, public_url: &str) -> Self {
        let host = public_url.split_once("://").map_or(public_url, |(_, host)| host);
        let host = Letters::regular(28.0).fit(host, 380.0);
        // The title takes what the host leaves: both stand between the mark and the right edge.
        let room = 1_020.0 - Letters::regular(28.0).width(&host);
        Self { title: Letters::bold(50.0).fit(title, room), host }
    }
}

/// Answers `GET /preview/board.png`.
pub(super) async fn board(reads: Reads, site: Data<Site>) -> Answered {
    let (public_url, kept) = (site.public_url.clone(), site.app.leaderboard.clone());
    let turn = kept.turn(&Scope::default()).await?;
    let read = move |tx: &mut Tx<'_>| {
        let _turn = turn;
        Ok(Ranking::of_board(&kept.board(tx, &Scope::default())?, &public_url))
    };
    reads.answer_apart(leaderboard::TOPICS, read, |ranking| picture(&ranking)).await
}

/// Answers `GET /preview/models/{id}.png`.
pub(super) async fn model(Id(id): Id<ModelId>, reads: Reads, site: Data<Site>) -> Answered {
    let (public_url, kept) = (site.public_url.clone(), site.app.leaderboard.clone());
    let endpoints = reads.endpoints()?;
    let turn = kept.turn(&Scope::default()).await?;
    let read = move |tx: &mut Tx<'_>| {
        let _turn = turn;
        let model = endpoints.veil(tx)?.model(store::models::get(tx, &id)?);
        Ok(Profile::of(&model, &kept.board(tx, &Scope::default())?, &public_url))
    };
    reads.answer_apart(leaderboard::TOPICS, read, |profile| picture(&profile)).await
}

/// Answers `GET /preview/evals/{id}.png`.
pub(super) async fn eval(Id(id): Id<EvalId>, reads: Reads, site: Data<Site>) -> Answered {
    let (public_url, kept) = (site.public_url.clone(), site.app.leaderboard.clone());
    let scope = Scope { eval: Some(id.clone()), ..Scope::default() };
    let turn = kept.turn(&scope).await?;
    let read = move |tx: &mut Tx<'_>| {
        let _turn = turn;
        let eval = store::evals::get(tx, &id)?;
        Ok(Ranking::of_eval(&eval, &kept.board(tx, &scope)?, &public_url))
    };
    reads.answer_apart(leaderboard::TOPICS, read, |ranking| picture(&ranking)).await
}

/// Answers `GET /preview/compare.png`.
pub(super) async fn compare(reads: Reads<Two>, site: Data<Site>) -> Answered {
    let named = |id: &Option<String>, field: &str| {
        let missing = || Error::invalid(field, format!("{field} must name a model"));
        id.clone().filter(|id| !id.is_empty()).map(ModelId::from).ok_or_else(missing)
    };
    let (a, b) = (named(&reads.params.a, "a")?, named(&reads.params.b, "b")?);
    let public_url = site.public_url.clone();
    let read = move |tx: &mut Tx<'_>| {
        for id in [&a, &b] {
            store::models::get(tx, id)?;
        }
        Ok(Duel::of(&pairs::find(tx, &a, &b, None, false)?, &public_url))
    };
    reads.answer_apart(PAIRED, read, |duel| picture(&duel)).await
}

/// The picture that a template draws.
fn picture(drawing: &impl Template) -> Result<View> {
    let svg = drawing.render().map_err(Error::internal)?;
    Ok(View::bytes("image/png", draw::png(&svg)?))
}
