//! A model's standing as a small image for a README: score, uncertainty and rank, and nothing that a page's
//! content policy could object to.

use actix_web::web::Data;
use askama::Template;

use super::{Entry, export};
use crate::app::App;
use crate::domain::id::ModelId;
use crate::domain::leaderboard::Scope;
use crate::error::{Error, Result};
use crate::http::api::wire::IdParam;
use crate::http::pages::score;
use crate::http::{Answered, Id, Reads, View};
use crate::leaderboard::{self, Leaderboard};
use crate::store::{self, Tx};

/// What stands to the left.
const LABEL: &str = "Evalboard";
/// How wide a letter is on average, and the space around a text, in pixels.
const LETTER: usize = 7;
const AROUND: usize = 12;

#[derive(Template)]
#[template(path = "badge.svg")]
struct Badge {
    /// Whose it is, for those who hear it.
    model: String,
    label: &'static str,
    message: String,
    /// Widths of both parts, in pixels.
    left: usize,
    right: usize,
}

impl Badge {
    fn new(model: String, message: String) -> Self {
        let width = |text: &str| text.chars().count() * LETTER + AROUND;
        Self { model, label: LABEL, left: width(LABEL), right: width(&message), message }
    }

    fn width(&self) -> usize {
        self.left + self.right
    }

    fn middle_of_left(&self) -> usize {
        self.left / 2
    }

    fn middle_of_right(&self) -> usize {
        self.left + self.right / 2
    }
}

/// A model's score and rank as an SVG image.
#[utoipa::path(get, path = "/api/v1/leaderboard/badge/{id}.svg", tag = "Leaderboard", params(IdParam), responses((status = 200, description = "Such as: 82.1 (80.5–83.7), rank 1–3", body = String, content_type = "image/svg+xml")))]
pub async fn badge(Id(id): Id<ModelId>, reads: Reads, app: Data<App>) -> Answered {
    let kept = app.leaderboard.clone();
    let _turn = kept.turn(&Scope::default()).await?;
    reads.answer(leaderboard::TOPICS, move |tx| view(tx, &kept, &id)).await
}

fn view(tx: &mut Tx<'_>, kept: &Leaderboard, id: &ModelId) -> Result<View> {
    let model = store::models::get(tx, id)?;
    let mut board = kept.board(tx, &Scope::default())?;
    let place = board.rows.iter().position(|row| row.model.key == model.key);
    let entry = place.map(|place| board.rows.swap_remove(place)).map(|row| Entry::new(row, &board));
    let badge = Badge::new(model.card.name, message(entry.as_ref()));
    Ok(View::bytes("image/svg+xml", badge.render().map_err(Error::internal)?))
}

/// `82.1 (80.5–83.7), rank 1–3`.
fn message(entry: Option<&Entry>) -> String {
    let Some((entry, score)) = entry.and_then(|entry| Some((entry, entry.avg_score?))) else {
        return "not measured yet".to_owned();
    };
    let interval = super::interval(entry.ci_low, entry.ci_high);
    let points = score::in_words((score, interval));
    let standing = match entry.rank {
        Some(_) => format!("rank {}", export::rank(entry)),
        None => format!("{} of {} evals", entry.coverage.measured, entry.coverage.suite),
    };
    format!("{points}, {standing}")
}
