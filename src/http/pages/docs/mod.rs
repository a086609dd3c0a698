//! The API's reference for people, drawn from the OpenAPI document, so that it cannot differ from it.
//!
//! It sends no request and asks for no key.

mod document;
mod example;

use actix_web::web::Data;
use askama::Template;
use utoipa::OpenApi;

use self::document::{Described, Field, Kind, Operation, Schema};
use super::page::{self, Meta};
use crate::error::{Error, Result};
use crate::http::api::openapi::Document;
use crate::http::{Answered, Reads, Site};

/// Tags in the order in which one needs them; others follow.
const TAGS: [&str; 5] = ["Leaderboard", "Models", "Evals", "Runs", "Results"];
/// Methods in the order of a thing's life.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

#[derive(Template)]
#[template(path = "docs.html", whitespace = "minimize")]
struct DocsPage {
    meta: Meta,
    groups: Vec<Group>,
    shapes: Vec<Shape>,
}

/// Operations of one tag.
struct Group {
    tag: String,
    anchor: String,
    entries: Vec<Entry>,
}

/// One operation.
struct Entry {
    anchor: String,
    method: String,
    path: String,
    summary: String,
    description: String,
    needs_key: bool,
    /// Of the path and the query.
    parameters: Vec<Field>,
    /// Of the JSON body.
    fields: Vec<Field>,
    /// What the answer holds.
    returns: Option<Kind>,
    curl: String,
}

/// A named schema.
struct Shape {
    name: String,
    description: String,
    fields: Vec<Field>,
}

/// Answers `GET /docs`.
pub(super) async fn show(reads: Reads, site: Data<Site>) -> Answered {
    let public_url = site.public_url.clone();
    reads.answer_fixed(move || page::view(&docs_page(&described()?, &public_url))).await
}

fn described() -> Result<Described> {
    let document = serde_json::to_value(Document::openapi()).map_err(Error::internal)?;
    serde_json::from_value(document).map_err(Error::internal)
}

fn docs_page(described: &Described, public_url: &str) -> DocsPage {
    let description = "Every route of the API: method, path, fields, and a curl line to begin with.";
    let schemas = described.components.schemas.iter();
    let shapes = schemas.map(|(name, schema)| Shape {
        name: name.clone(),
        description: schema.description.clone().unwrap_or_default(),
        fields: described.fields(schema),
    });
    DocsPage {
        meta: Meta::new(public_url, "/docs", "API", description),
        groups: groups(described, public_url),
        shapes: shapes.collect(),
    }
}

/// The operations by tag.
fn groups(described: &Described, public_url: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (path, operations) in &described.paths {
        let mut operations: Vec<_> = operations.iter().collect();
        operations.sort_by_key(|(method, _)| METHODS.iter().position(|known| known == method));
        for (method, operation) in operations {
            let tag = operation.tags.first().map_or("Other", String::as_str);
            let entry = entry(described, public_url, path, method, operation);
            match groups.iter_mut().find(|group| group.tag == tag) {
                Some(group) => group.entries.push(entry),
                None => groups.push(Group { tag: tag.to_owned(), anchor: anchor(tag), entries: vec![entry] }),
            }
        }
    }
    groups.sort_by_key(|group| TAGS.iter().position(|tag| *tag == group.tag).unwrap_or(TAGS.len()));
    groups
}

fn entry(described: &Described, public_url: &str, path: &str, method: &str, operation: &Operation) -> Entry {
    let body = operation.body();
    let parameters = operation.parameters.iter().map(|parameter| described.parameter(parameter));
    Entry {
        anchor: anchor(&format!("{method} {path}")),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: operation.summary.clone().unwrap_or_default(),
        description: operation.description.clone().unwrap_or_default(),
        needs_key: operation.needs_key(),
        parameters: parameters.collect(),
        fields: body.map(|schema| described.fields(schema)).unwrap_or_default(),
        returns: operation.answer().map(Schema::kind).filter(|kind| kind.shape.is_some()),
        curl: example::curl(described, public_url, path, method, operation),
    }
}

/// The parts of a description, and whether each stood between backticks.
fn spans(text: &str) -> impl Iterator<Item = (bool, &str)> {
    text.split('`').zip([false, true].into_iter().cycle()).map(|(part, is_code)| (is_code, part))
}

/// Letters and digits of `text`, lower-case, with dashes between: `get-api-v1-models-id`.
fn anchor(text: &str) -> String {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_of_the_document_has_an_entry_with_a_command() {
        let described = described().unwrap();
        let page = docs_page(&described, "https://board.example");
        let entries: Vec<&Entry> = page.groups.iter().flat_map(|group| &group.entries).collect();
        assert_eq!(entries.len(), described.paths.values().map(|operations| operations.len()).sum::<usize>());
        let anchors: std::collections::BTreeSet<&str> =
            entries.iter().map(|entry| entry.anchor.as_str()).collect();
        assert_eq!(anchors.len(), entries.len());
        assert!(entries.iter().all(|entry| entry.curl.starts_with("curl ")));
    }

    #[test]
    fn what_stands_between_backticks_is_code() {
        assert_eq!(spans("a `b` c").collect::<Vec<_>>(), [(false, "a "), (true, "b"), (false, " c")]);
    }
}
