//! The API's reference for people, drawn from the OpenAPI document, so that it cannot differ from it.
//!
//! It sends no request and asks for no key: its script does, in the browser (`static/docs.mjs`). The page is
//! whole without.

mod call;
mod document;
mod example;
mod shapes;

use actix_web::web::Data;
use askama::Template;
use utoipa::OpenApi;

use self::call::Call;
use self::document::{Content, Described, Field, JSON, Kind, Operation, Schema};
use self::shapes::Shape;
use super::page::{self, Meta};
use crate::error::{Error, Result};
use crate::http::api::openapi::Document;
use crate::http::{Answered, Reads, Site, View};

/// Tags in the order in which one needs them; others follow.
const TAGS: [&str; 7] =
    ["Leaderboard", "Models", "Evals", "Runs", "Results", "Model Artifacts", "Training Sets"];
/// Methods in the order of a thing's life.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
/// What most paths begin with; the list of routes leaves it out.
const BASE: &str = "/api/v1";

#[derive(Template)]
#[template(path = "docs.html", whitespace = "minimize")]
struct DocsPage {
    meta: Meta,
    public_url: String,
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
    bodies: Vec<Body>,
    /// What the answer holds.
    returns: Option<Kind>,
    examples: Vec<Example>,
}

/// A body of one content type.
struct Body {
    title: String,
    description: String,
    fields: Vec<Field>,
}

/// A request to begin with.
struct Example {
    title: &'static str,
    curl: String,
    /// For the script, as JSON.
    call: String,
}

/// Answers `GET /docs`.
pub(super) async fn show(reads: Reads, site: Data<Site>) -> Answered {
    let public_url = site.public_url.clone();
    reads.answer_fixed(move || page::view(&docs_page(&described()?, &public_url)?)).await
}

/// Answers `GET /docs/ranking` with how the board is ranked: the same text that the repository has.
pub(super) async fn ranking(reads: Reads) -> Answered {
    let text = include_str!("../../../../docs/ranking.md");
    reads.answer_fixed(move || Ok(View::bytes("text/plain; charset=utf-8", text.as_bytes()))).await
}

fn described() -> Result<Described> {
    let document = serde_json::to_value(Document::openapi()).map_err(Error::internal)?;
    serde_json::from_value(document).map_err(Error::internal)
}

fn docs_page(described: &Described, public_url: &str) -> Result<DocsPage> {
    let description = "Every route of the API: what it does, its fields, a curl line, and a way to try it.";
    Ok(DocsPage {
        meta: Meta::new(public_url, "/docs", "API", description),
        public_url: public_url.to_owned(),
        groups: groups(described, public_url)?,
        shapes: shapes::shapes(described),
    })
}

impl DocsPage {
    fn is_shape(&self, name: &str) -> bool {
        self.shapes.iter().any(|shape| shape.name == name)
    }
}

/// The operations by tag.
fn groups(described: &Described, public_url: &str) -> Result<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    for (path, operations) in &described.paths {
        let mut operations: Vec<_> = operations.iter().collect();
        operations.sort_by_key(|(method, _)| METHODS.iter().position(|known| known == method));
        for (method, operation) in operations {
            let tag = operation.tags.first().map_or("Other", String::as_str);
            let entry = entry(described, public_url, path, method, operation)?;
            match groups.iter_mut().find(|group| group.tag == tag) {
                Some(group) => group.entries.push(entry),
                None => groups.push(Group { tag: tag.to_owned(), anchor: anchor(tag), entries: vec![entry] }),
            }
        }
    }
    groups.sort_by_key(|group| TAGS.iter().position(|tag| *tag == group.tag).unwrap_or(TAGS.len()));
    Ok(groups)
}

fn entry(
    described: &Described,
    public_url: &str,
    path: &str,
    method: &str,
    operation: &Operation,
) -> Result<Entry> {
    let parameters = operation.parameters.iter().map(|parameter| described.parameter(parameter));
    let calls = Call::all(described, path, method, operation);
    Ok(Entry {
        anchor: anchor(&format!("{method} {path}")),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: operation.summary.clone().unwrap_or_default(),
        description: operation.description.clone().unwrap_or_default(),
        needs_key: operation.needs_key(),
        parameters: parameters.collect(),
        bodies: bodies(described, operation),
        returns: operation.answer().map(Schema::kind).filter(|kind| kind.shape.is_some()),
        examples: calls.iter().map(|call| example(call, public_url)).collect::<Result<_>>()?,
    })
}

fn bodies(described: &Described, operation: &Operation) -> Vec<Body> {
    let said = operation.request_body.as_ref().and_then(|body| body.description.clone()).unwrap_or_default();
    let body = |(media, content): (&str, &Content)| Body {
        title: match media {
            JSON => "Body".to_owned(),
            "multipart/form-data" => "Or a form with the file".to_owned(),
            other => format!("Body, {other}"),
        },
        description: said.clone(),
        fields: described.fields(&content.schema),
    };
    operation.bodies().map(body).collect()
}

fn example(call: &Call, public_url: &str) -> Result<Example> {
    Ok(Example {
        title: if call.has_file() { "curl, with the file" } else { "curl" },
        curl: call.curl(public_url),
        call: serde_json::to_string(call).map_err(Error::internal)?,
    })
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
        let page = docs_page(&described, "https://board.example").unwrap();
        let entries: Vec<&Entry> = page.groups.iter().flat_map(|group| &group.entries).collect();
        assert_eq!(entries.len(), described.paths.values().map(|operations| operations.len()).sum::<usize>());
        let anchors: std::collections::BTreeSet<&str> =
            entries.iter().map(|entry| entry.anchor.as_str()).collect();
        assert_eq!(anchors.len(), entries.len());
        let examples: Vec<&Example> = entries.iter().flat_map(|entry| &entry.examples).collect();
        assert!(examples.len() >= entries.len());
        assert!(examples.iter().all(|example| example.curl.starts_with("curl ")));
        assert!(!examples.iter().any(|example| example.curl.contains("...")), "every example can be sent");
    }

    #[test]
    fn every_field_and_parameter_that_may_be_sent_says_what_it_means() {
        let described = described().unwrap();
        let page = docs_page(&described, "https://board.example").unwrap();
        let silent = |place: &str, fields: &[Field]| -> Vec<String> {
            let silent = fields.iter().filter(|field| field.description.is_empty());
            silent.map(|field| format!("{place}: {}", field.name)).collect()
        };
        let entries = page.groups.iter().flat_map(|group| &group.entries);
        let found: Vec<String> = entries
            .flat_map(|entry| {
                let bodies = entry.bodies.iter().flat_map(|body| silent(&entry.anchor, &body.fields));
                silent(&entry.anchor, &entry.parameters).into_iter().chain(bodies).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn every_shape_that_is_led_to_is_there() {
        let described = described().unwrap();
        let page = docs_page(&described, "https://board.example").unwrap();
        let fields = page.shapes.iter().flat_map(|shape| &shape.fields);
        let answers =
            page.groups.iter().flat_map(|group| &group.entries).filter_map(|entry| entry.returns.as_ref());
        let led_to = fields.map(|field| &field.kind).chain(answers).filter_map(|kind| kind.shape.as_deref());
        assert!(led_to.into_iter().all(|shape| page.is_shape(shape)));
        assert!(page.is_shape("Error") && !page.is_shape("NewModel"));
    }

    #[test]
    fn what_stands_between_backticks_is_code() {
        assert_eq!(spans("a `b` c").collect::<Vec<_>>(), [(false, "a "), (true, "b"), (false, " c")]);
    }
}
