//! The named schemas that answers and the fields of bodies are made of. A body's own fields stand with its route.

use std::collections::BTreeSet;

use super::document::{Described, Field, Operation};

/// A named schema.
pub(super) struct Shape {
    pub(super) name: String,
    pub(super) description: String,
    /// What it is when it has no fields.
    pub(super) words: String,
    pub(super) fields: Vec<Field>,
}

/// All of them.
pub(super) fn shapes(described: &Described) -> Vec<Shape> {
    let operations = || described.paths.values().flat_map(|operations| operations.values());
    let sent = reach(described, operations().flat_map(|operation| in_bodies(described, operation)).collect());
    let answered = operations().flat_map(Operation::answers).filter_map(|schema| schema.kind().shape);
    let all: BTreeSet<String> = reach(described, answered.collect()).union(&sent).cloned().collect();
    all.into_iter().filter_map(|name| shape(described, name, &sent)).collect()
}

/// The names in the fields of the bodies that `operation` takes.
fn in_bodies(described: &Described, operation: &Operation) -> Vec<String> {
    let fields = operation.bodies().flat_map(|(_, content)| described.fields(&content.schema));
    fields.filter_map(|field| field.kind.shape).collect()
}

/// Those names, and all that they lead to.
fn reach(described: &Described, mut open: Vec<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    while let Some(name) = open.pop() {
        if let Some(schema) = described.components.schemas.get(&name)
            && found.insert(name)
        {
            open.extend(described.fields(schema).into_iter().filter_map(|field| field.kind.shape));
        }
    }
    found
}

fn shape(described: &Described, name: String, sent: &BTreeSet<String>) -> Option<Shape> {
    let schema = described.components.schemas.get(&name)?;
    let mut fields = described.fields(schema);
    if !sent.contains(&name) {
        // What we answer is not asked of anybody.
        fields.iter_mut().for_each(|field| field.is_required = false);
    }
    Some(Shape {
        description: schema.description.clone().unwrap_or_default(),
        words: schema.kind().words,
        fields,
        name,
    })
}
