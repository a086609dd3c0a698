//! What a run left out since whoever started it may not run it, and who pays for the rest.

use crate::domain::sharing::{LeftOut, Payer};
use crate::http::pages::fact::Fact;
use crate::http::pages::links;
use crate::service::lending::Paid;

/// Models that are named for each kind of payer.
const MAX_PAID_NAMES: usize = 10;

/// A model or an eval that the run left out.
pub(super) struct Skipped {
    pub(super) noun: &'static str,
    pub(super) name: String,
    pub(super) href: String,
    pub(super) reason: String,
}

/// Shows what a run left out.
pub(super) fn skipped(left_out: &LeftOut) -> Skipped {
    let id = left_out.id.clone();
    let href = if left_out.noun == "eval" { links::eval(&id.into()) } else { links::model(&id.into()) };
    Skipped { noun: left_out.noun, name: left_out.name.clone(), href, reason: left_out.reason.clone() }
}

/// Who pays for what it calls, a line for each kind of payer.
pub(super) fn payers(paid: Vec<Paid>) -> Vec<Fact> {
    let (mut operator, mut owners, mut nobody) = (Vec::new(), Vec::new(), Vec::new());
    for Paid { name, is_grader, payer } in paid {
        let name = if is_grader { format!("{name} (grader)") } else { name };
        match payer {
            Payer::Operator => operator.push(name),
            Payer::Owner(owner) => owners.push(format!("{name}: {owner}")),
            Payer::Nobody => nobody.push(name),
        }
    }
    let lines = [("Operator pays", operator), ("Owner pays", owners), ("Nobody pays", nobody)];
    let shown = lines.into_iter().filter(|(_, names)| !names.is_empty());
    shown.map(|(title, names)| Fact::new(title, listed(&names))).collect()
}

/// The first few names, and how many more there are.
fn listed(names: &[String]) -> String {
    let shown = names.iter().take(MAX_PAID_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MAX_PAID_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
