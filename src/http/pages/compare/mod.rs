//! Two models side by side: who is ahead and how sure that is, eval by eval, and the items they differ on.
//!
//! Without two models to compare, it is the form that asks for them.

mod figures;
mod items;
mod picker;
pub(super) mod plot;

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use self::figures::{Contest, Detail, Grid, Taken};
use self::items::Differing;
use self::picker::Picker;
use super::page::{self, Meta};
use super::{format, links};
use crate::domain::compare::{self, Side};
use crate::domain::id::{EvalId, ModelId};
use crate::domain::leaderboard::read_pool;
use crate::domain::models::Model;
use crate::domain::page::Page;
use crate::domain::pairs::{Pair, Wanted, Which};
use crate::domain::users::Caller;
use crate::domain::veil::Veil;
use crate::error::{Error, Result};
use crate::http::{Answered, Reads, Site, View};
use crate::service::pairs::{self, Found};
use crate::store::{Topic, Tx};

/// All that the page is made from.
const TOPICS: &[Topic] = &[Topic::Board, Topic::Models, Topic::Evals, Topic::Results];
/// Differing items of one page.
const ITEMS: u32 = 10;

/// The query parameters: which two models, and which of the items they differ on.
#[derive(Debug, Clone, Deserialize)]
pub struct Params {
    a: Option<String>,
    b: Option<String>,
    eval: Option<String>,
    only: Option<Which>,
    pool: Option<String>,
    cursor: Option<String>,
}

impl Params {
    /// The models that are named; a form sends an empty text for one that is not.
    fn models(&self) -> [Option<ModelId>; 2] {
        [&self.a, &self.b].map(|id| id.clone().filter(|id| !id.is_empty()).map(ModelId::from))
    }

    fn is_pooled(&self) -> Result<bool> {
        self.pool.as_deref().map_or(Ok(false), read_pool)
    }

    fn wanted(&self) -> Wanted {
        let eval = self.eval.clone().filter(|id| !id.is_empty());
        Wanted { eval: eval.map(EvalId::from), ahead: self.only }
    }
}

#[derive(Template)]
#[template(path = "compare_pick.html", whitespace = "minimize")]
struct PickPage {
    meta: Meta,
    /// Why there is nothing to compare yet.
    note: &'static str,
    picker: Picker,
}

#[derive(Template)]
#[template(path = "compare.html", whitespace = "minimize")]
struct ComparePage {
    meta: Meta,
    a: Name,
    b: Name,
    sentence: String,
    /// Which results the scores are over, and a link to the other choice.
    pooling: Pooling,
    picker: Picker,
    /// None when they share no items.
    body: Option<Body>,
}

/// Which results the scores are over.
struct Pooling {
    /// How many of them at most, where they are pooled.
    pooled: Option<String>,
    /// The comparison with the other choice.
    href: String,
}

impl Pooling {
    fn of(found: &Found) -> Self {
        let pooled = found.is_pooled.then(|| format::counted(found.pair.most_pooled(), "run"));
        Self { pooled, href: links::compare_pooled(&found.a.id, &found.b.id, !found.is_pooled) }
    }
}

/// A model by name.
struct Name {
    name: String,
    href: String,
}

/// What there is to say about two models that share items.
struct Body {
    contest: Contest,
    grid: Option<Grid>,
    taken: [Taken; 2],
    details: Vec<Detail>,
    differing: Differing,
}

/// Answers `GET /compare`.
pub(super) async fn show(reads: Reads<Params>, site: Data<Site>) -> Answered {
    let params = reads.params.clone();
    let part = page::part(&reads.list(), ITEMS, params.cursor.as_deref())?;
    let (caller, public_url) = (reads.caller().clone(), site.public_url.clone());
    let endpoints = reads.endpoints()?;
    reads
        .answer(TOPICS, move |tx| {
            let veil = endpoints.veil(tx)?;
            view(tx, &params, part, (&caller, &veil), &public_url)
        })
        .await
}

fn view(
    tx: &mut Tx<'_>,
    params: &Params,
    part: Page,
    (caller, veil): (&Caller, &Veil),
    public_url: &str,
) -> Result<View> {
    let (a, b) = match params.models() {
        [Some(a), Some(b)] if a != b => (a, b),
        named => return pick(tx, named, params.is_pooled()?, veil, public_url),
    };
    let found = pairs::find(tx, &a, &b, None, params.is_pooled()?)?;
    let wanted = params.wanted();
    if wanted.eval.as_ref().is_some_and(|eval| found.pair.eval(eval).is_none()) {
        return Err(Error::invalid("eval", "eval is none that both models are measured on"));
    }
    let body = body(tx, &found, &wanted, part, caller, params.cursor.as_deref())?;
    let picker = Picker::read(tx, [Some(&found.a), Some(&found.b)], found.is_pooled, veil)?;
    let (name, other) = (&found.a.card.name, &found.b.card.name);
    let title = format!("{name} and {other} compared");
    let (path, picture) = (links::compare(Some(&a), Some(&b)), links::compare_picture(&a, &b));
    let said = sentence(&found, str::to_owned);
    let page = ComparePage {
        meta: Meta::new(public_url, &path, title, said.as_str()).pictured(public_url, &picture, said),
        sentence: sentence(&found, isolated),
        pooling: Pooling::of(&found),
        a: Name::of(&found.a),
        b: Name::of(&found.b),
        picker,
        body,
    };
    page::view(&page)
}

/// The form, for whoever named fewer than two models.
fn pick(
    tx: &mut Tx<'_>,
    named: [Option<ModelId>; 2],
    is_pooled: bool,
    veil: &Veil,
    public_url: &str,
) -> Result<View> {
    let is_twice = matches!(&named, [Some(a), Some(b)] if a == b);
    let [a, b] = named;
    let models = [picker::named(tx, a.as_ref(), "a")?, picker::named(tx, b.as_ref(), "b")?];
    let description = "Choose two models: they are compared on the items that both were asked.";
    page::view(&PickPage {
        meta: Meta::new(public_url, links::COMPARE, "Compare two models", description),
        note: if is_twice { "Pick two different models." } else { description },
        picker: Picker::read(tx, models.each_ref().map(Option::as_ref), is_pooled, veil)?,
    })
}

fn body(
    tx: &mut Tx<'_>,
    found: &Found,
    wanted: &Wanted,
    part: Page,
    caller: &Caller,
    cursor: Option<&str>,
) -> Result<Option<Body>> {
    let pair = &found.pair;
    let Some(comparison) = pair.compare() else { return Ok(None) };
    Ok(Some(Body {
        contest: Contest::of(pair, &comparison)?,
        grid: pair.outcomes().map(Grid::of),
        taken: [taken(&found.a, pair, Which::A), taken(&found.b, pair, Which::B)],
        details: pair.evals().iter().filter_map(Detail::of).collect(),
        differing: Differing::read(tx, found, wanted, part, caller, cursor)?,
    }))
}

fn taken(model: &Model, pair: &Pair, which: Which) -> Taken {
    Taken::of(Name::of(model), pair.spent(which))
}

impl Name {
    fn of(model: &Model) -> Self {
        Self { name: model.card.name.clone(), href: links::model(&model.id) }
    }
}

/// What was found, in words; `show` says how the names are written.
pub(super) fn sentence(found: &Found, show: impl Fn(&str) -> String) -> String {
    let (a, b) = (show(&found.a.card.name), show(&found.b.card.name));
    let cost = |which| found.pair.spent(which).cost_usd;
    let sides = (Side { name: &a, cost: cost(Which::A) }, Side { name: &b, cost: cost(Which::B) });
    compare::sentence(sides.0, sides.1, found.pair.compare().as_ref())
}

/// A name as a run of its own direction within a sentence, as `<bdi>` would make it.
fn isolated(name: &str) -> String {
    format!("\u{2068}{name}\u{2069}")
}
