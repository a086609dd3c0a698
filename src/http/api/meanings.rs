//! What a field means, said once: an edit's and an answer's fields mean what the same fields of a new thing do.
//!
//! Only what has no words of its own gets them.

use std::collections::BTreeMap;

use utoipa::Modify;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{OpenApi, RefOr};

/// Schemas, and the one that explains their fields.
const EXPLAINED: [(&str, &str); 7] = [
    ("ModelEdit", "NewModel"),
    ("Model", "NewModel"),
    ("EvalEdit", "NewEval"),
    ("Eval", "NewEval"),
    ("ArtifactChange", "NewArtifact"),
    ("Run", "NewRun"),
    ("ScheduleEdit", "NewSchedule"),
];

/// Fills in the words.
pub(super) struct Meanings;

impl Modify for Meanings {
    fn modify(&self, document: &mut OpenApi) {
        let schemas = &mut document.components.get_or_insert_default().schemas;
        for (name, source) in EXPLAINED {
            let words: BTreeMap<String, String> = schemas.get_mut(source).map(said).unwrap_or_default();
            for (field, property) in schemas.get_mut(name).into_iter().flat_map(properties) {
                if let Some(place) = description(property)
                    && place.is_none()
                {
                    *place = words.get(field).cloned();
                }
            }
        }
    }
}

/// What the fields of `schema` mean, by name.
fn said(schema: &mut RefOr<Schema>) -> BTreeMap<String, String> {
    let fields = properties(schema);
    fields.filter_map(|(field, property)| Some((field.clone(), description(property)?.clone()?))).collect()
}

fn properties(schema: &mut RefOr<Schema>) -> impl Iterator<Item = (&String, &mut RefOr<Schema>)> {
    let object = match schema {
        RefOr::T(Schema::Object(object)) => Some(object),
        _ => None,
    };
    object.into_iter().flat_map(|object| &mut object.properties)
}

/// Where a schema says what it means. One that only refers to another is explained there.
fn description(schema: &mut RefOr<Schema>) -> Option<&mut Option<String>> {
    match schema {
        RefOr::T(Schema::Object(object)) => Some(&mut object.description),
        RefOr::T(Schema::Array(array)) => Some(&mut array.description),
        RefOr::T(Schema::OneOf(one_of)) => Some(&mut one_of.description),
        _ => None,
    }
}
