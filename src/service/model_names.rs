//! Names of models: which model a name means, and whose names count.
//!
//! Anybody may register a model under any name, so a name alone gives no right to anything.

use std::collections::HashSet;

use crate::domain::id::{ModelId, UserKey};
use crate::domain::models::Model;
use crate::domain::users::User;
use crate::error::{Error, Result};
use crate::store::model_names::{Namesake, namesakes};
use crate::store::{Tx, models, users};

/// Returns the model that `text` means: the one of that id, else the one of that name that `owner` registered, else an
/// admin's, else an official one. Other people's models are meant by their ids alone.
///
/// # Errors
/// `Conflict` when several models of the same standing have that name.
pub(super) fn find(tx: &mut Tx<'_>, text: &str, owner: Option<UserKey>) -> Result<Option<Model>> {
    match models::get(tx, &ModelId::from(text.to_owned())) {
        Err(Error::NotFound(_)) => {}
        found => return found.map(Some),
    }
    let named = namesakes(tx, text)?;
    if named.is_empty() {
        return Ok(None);
    }
    let admins: HashSet<UserKey> = users::admins(tx)?.into_iter().collect();
    let own = |model: &Namesake| Some(model.owner) == owner;
    let admins_own = |model: &Namesake| admins.contains(&model.owner);
    let official = |model: &Namesake| model.is_official;
    let standings: [&dyn Fn(&Namesake) -> bool; 3] = [&own, &admins_own, &official];
    for has_standing in standings {
        let mut meant = named.iter().filter(|model| has_standing(model));
        match (meant.next(), meant.next()) {
            (None, _) => {}
            (Some(model), None) => return models::get(tx, &model.id).map(Some),
            (Some(_), Some(_)) => {
                let message = format!("several models are named {text}: name the one you mean by its id");
                return Err(Error::Conflict { code: "ambiguous_grader", message });
            }
        }
    }
    Ok(None)
}

/// Refuses a member another name for an official model when an admin's or another official model has it: what such a
/// name means is not theirs to change.
///
/// # Errors
/// `Conflict` naming the field.
pub(super) fn refuse_taken(tx: &mut Tx<'_>, user: &User, (before, after): (&Model, &str)) -> Result<()> {
    if user.is_admin() || !before.card.is_official || before.card.name == after {
        return Ok(());
    }
    let admins: HashSet<UserKey> = users::admins(tx)?.into_iter().collect();
    let others = namesakes(tx, after)?.into_iter().filter(|model| model.key != before.key);
    if others.into_iter().any(|model| model.is_official || admins.contains(&model.owner)) {
        let message =
            format!("name: another official model is named {after}: choose another name, or ask an admin");
        return Err(Error::Conflict { code: "name_taken", message });
    }
    Ok(())
}
