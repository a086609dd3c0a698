//! The form that asks for two models.

use super::super::links;
use crate::domain::id::ModelId;
use crate::domain::leaderboard::{self, Scope};
use crate::domain::models::Model;
use crate::domain::veil::Veil;
use crate::error::{Error, Result};
use crate::store::{self, Tx};

/// Two lists of models to choose from, and the way to the same two the other way round.
pub(super) struct Picker {
    pub(super) a: Vec<Choice>,
    pub(super) b: Vec<Choice>,
    pub(super) swap: Option<String>,
    /// Whether the next two are compared over all complete runs too.
    pub(super) is_pooled: bool,
}

/// A model to choose.
pub(super) struct Choice {
    pub(super) id: String,
    /// Its name, and who serves it.
    pub(super) label: String,
    pub(super) is_chosen: bool,
}

impl Picker {
    /// The models on the board, best first, and those chosen that are not on it.
    pub(super) fn read(
        tx: &mut Tx<'_>,
        chosen: [Option<&Model>; 2],
        is_pooled: bool,
        veil: &Veil,
    ) -> Result<Self> {
        let (models, cells) = (store::board::models(tx)?, store::board::cells(tx)?);
        let board = veil.board(leaderboard::rank(models, cells, Vec::new(), &Scope::default()));
        let mut listed: Vec<(ModelId, String)> = board
            .rows
            .into_iter()
            .map(|row| (row.model.id, label(&row.model.name, row.model.provider.as_deref())))
            .collect();
        for model in chosen.into_iter().flatten() {
            if !listed.iter().any(|(id, _)| *id == model.id) {
                let provider = veil.provider(model.card.provider.clone());
                listed.push((model.id.clone(), label(&model.card.name, provider.as_deref())));
            }
        }
        let [a, b] = chosen.map(|chosen| choices(&listed, chosen));
        let swap = match chosen {
            [Some(a), Some(b)] if a.id != b.id => Some(links::compare_pooled(&b.id, &a.id, is_pooled)),
            _ => None,
        };
        Ok(Self { a, b, swap, is_pooled })
    }

    /// Whether there are two to choose.
    pub(super) const fn has_two(&self) -> bool {
        self.a.len() > 1
    }
}

fn choices(listed: &[(ModelId, String)], chosen: Option<&Model>) -> Vec<Choice> {
    let choice = |(id, label): &(ModelId, String)| Choice {
        id: id.to_string(),
        label: label.clone(),
        is_chosen: chosen.is_some_and(|chosen| chosen.id == *id),
    };
    listed.iter().map(choice).collect()
}

fn label(name: &str, provider: Option<&str>) -> String {
    provider.map_or_else(|| name.to_owned(), |provider| format!("{name} ({provider})"))
}

/// The model that the parameter `field` names, if it names one.
pub(super) fn named(tx: &mut Tx<'_>, id: Option<&ModelId>, field: &str) -> Result<Option<Model>> {
    let Some(id) = id else { return Ok(None) };
    match store::models::get(tx, id) {
        Err(Error::NotFound(_)) => Err(Error::invalid(field, format!("{field} names no model"))),
        other => other.map(Some),
    }
}
