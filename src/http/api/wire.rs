//! Small types that the wire forms of several nouns share. No noun's own fields stand here.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

/// That something was done which has no answer of its own.
#[derive(Serialize, ToSchema)]
pub struct Done {
    /// Always true; what failed is an error.
    success: bool,
}

impl Done {
    /// It was done.
    pub const DONE: Self = Self { success: true };
}

/// Which part of a list is asked for. Only the description: the query is read elsewhere.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only the description of the query")]
pub struct PageParams {
    /// Rows at most, 1-1000. A page ends with fewer once the texts in its rows pass 4 MB; its `Link` header leads on.
    #[param(minimum = 1, maximum = 1000, default = 1000)]
    limit: Option<u32>,
    /// From the `Link` header of the page before: it counts in the same list with the same filters.
    cursor: Option<String>,
}

/// The id in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only the description of the path")]
pub struct IdParam {
    /// As the lists show it.
    id: String,
}

/// Why something is taken away.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Why {
    /// Why, for the ledger: at most 500 characters.
    pub reason: Option<String>,
}

/// Beginnings by which a spreadsheet takes a text for a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The text as a cell of a file for spreadsheets, with an apostrophe before what one would compute.
#[must_use]
pub fn plain_cell(text: &str) -> String {
    if text.starts_with(FORMULA) { format!("'{text}") } else { text.to_owned() }
}

/// Reads a field that may be absent, null or set: absent is `None` by `#[serde(default)]`, null is
/// `Some(None)`.
///
/// # Errors
/// The deserialiser's.
pub fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    field: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// Puts what was given in place of what was there.
pub fn set<T: Clone>(present: &mut T, given: &Option<T>) {
    if let Some(given) = given {
        present.clone_from(given);
    }
}
