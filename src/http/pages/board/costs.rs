//! The chart of score against cost on a page of its own: there is room for it however many models there are.

use actix_web::web::Data;
use askama::Template;

use super::chart::Chart;
use super::question::{Params, Question};
use super::{TOPICS, ranked};
use crate::domain::time::Millis;
use crate::error::Result;
use crate::http::pages::links;
use crate::http::pages::page::{self, Meta};
use crate::http::{Answered, Reads, Site, View};
use crate::leaderboard::Leaderboard;
use crate::store::Tx;

#[derive(Template)]
#[template(path = "costs.html", whitespace = "minimize")]
struct CostsPage {
    meta: Meta,
    /// The board with the same rows.
    back: String,
    chart: Chart,
}

/// Answers `GET /costs`: the rows are those that the board shows for the same question.
pub(in crate::http::pages) async fn show(reads: Reads<Params>, site: Data<Site>) -> Answered {
    let question = Question::parse(reads.params.clone(), Millis::now())?;
    let (public_url, kept) = (site.public_url.clone(), site.app.leaderboard.clone());
    let _turn = kept.turn(&question.rough_scope()).await?;
    reads.answer(TOPICS, move |tx| view(tx, &kept, &question, &public_url)).await
}

fn view(tx: &mut Tx<'_>, kept: &Leaderboard, question: &Question, public_url: &str) -> Result<View> {
    let rows = ranked(tx, kept, question)?.map(|(board, _)| board.rows).unwrap_or_default();
    let rows: Vec<_> = rows.into_iter().filter(|row| question.admits(row)).collect();
    let description = "Which models cost less for what they score.";
    page::view(&CostsPage {
        meta: Meta::new(public_url, links::COSTS, "Score against cost", description),
        back: question.address(),
        chart: Chart::of(&rows),
    })
}
