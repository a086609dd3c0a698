//! Training sets: all of them, and each on a page of its own: what it is, where it can be had, how it begins.
//!
//! What is shown of a file was kept when it came; no file is opened for a page.

use actix_web::web::Data;
use askama::Template;

use super::fact::Fact;
use super::page::{self, Meta, Pager, Params};
use super::preview::{Excerpt, Preview};
use super::{format, links};
use crate::domain::files::Place;
use crate::domain::id::TrainingSetId;
use crate::domain::page::Slice;
use crate::domain::training_sets::{FileType, TrainingSet};
use crate::error::Result;
use crate::http::{Answered, Id, Reads, Site, View};
use crate::store::{self, Topic, Tx};

/// All that both pages are made from.
const TOPICS: &[Topic] = &[Topic::TrainingSets];
/// Training sets of one page.
const SETS: u32 = 50;

#[derive(Template)]
#[template(path = "training_sets.html", whitespace = "minimize")]
struct TrainingSetsPage {
    meta: Meta,
    public_url: String,
    sets: Vec<Entry>,
    pager: Pager,
}

/// A training set of the list.
struct Entry {
    href: String,
    name: String,
    file_name: String,
    is_verified: bool,
    format: String,
    size: String,
    lines: String,
    by: String,
    day: String,
}

#[derive(Template)]
#[template(path = "training_set.html", whitespace = "minimize")]
struct TrainingSetPage {
    meta: Meta,
    name: String,
    description: String,
    /// What it is, in words.
    summary: String,
    file_name: String,
    file_href: String,
    is_verified: bool,
    facts: Vec<Fact>,
    /// How much of the file is shown, or why nothing is.
    extent: String,
    preview: Option<Preview>,
}

/// Answers `GET /training-sets`.
pub(super) async fn list(reads: Reads<Params>, site: Data<Site>) -> Answered {
    let cursor = reads.params.cursor.clone();
    let part = page::part(&reads.list(), SETS, cursor.as_deref())?;
    let public_url = site.public_url.clone();
    reads
        .answer(TOPICS, move |tx| {
            let sets = store::training_sets::list(tx, part)?;
            page::view(&list_page(&sets, cursor.as_deref(), &public_url))
        })
        .await
}

fn list_page(sets: &Slice<TrainingSet>, cursor: Option<&str>, public_url: &str) -> TrainingSetsPage {
    let description = "Files to train models on, with the start of each to look at.";
    TrainingSetsPage {
        meta: Meta::new(public_url, links::TRAINING_SETS, "Training sets", description),
        public_url: public_url.to_owned(),
        sets: sets.rows.iter().map(entry).collect(),
        pager: Pager::new(sets, "training set", links::TRAINING_SETS, &[], cursor),
    }
}

fn entry(set: &TrainingSet) -> Entry {
    Entry {
        href: links::training_set(&set.id),
        name: set.card.name.clone(),
        file_name: set.file.name.clone(),
        is_verified: set.file.is_verified(),
        format: format_name(&set.file_type),
        size: format::known(set.file.size, format::bytes),
        lines: format::known(set.glance.line_count, format::count),
        by: set.submitted_by.clone(),
        day: format::day(set.created_at),
    }
}

/// Answers `GET /training-sets/{id}`.
pub(super) async fn show(Id(id): Id<TrainingSetId>, reads: Reads, site: Data<Site>) -> Answered {
    let public_url = site.public_url.clone();
    reads.answer(TOPICS, move |tx| view(tx, &id, &public_url)).await
}

fn view(tx: &mut Tx<'_>, id: &TrainingSetId, public_url: &str) -> Result<View> {
    let set = store::training_sets::get(tx, id)?;
    let excerpt = excerpt(&set);
    let preview = excerpt.map(|excerpt| Preview::of(&excerpt));
    page::view(&TrainingSetPage {
        meta: Meta::new(public_url, &links::training_set(id), set.card.name.as_str(), summary(&set)),
        summary: summary(&set),
        file_href: set.file.url(public_url),
        is_verified: set.file.is_verified(),
        facts: facts(&set, public_url),
        extent: excerpt.map_or_else(|| nothing(&set).to_owned(), |excerpt| extent(&set, excerpt)),
        preview,
        file_name: set.file.name,
        name: set.card.name,
        description: set.card.description,
    })
}

/// `JSON Lines, 5,000 lines, 1.0 MB.`
fn summary(set: &TrainingSet) -> String {
    let lines = set.glance.line_count.map(|lines| format::counted(lines, unit(set)));
    let size = set.file.size.map(format::bytes);
    let parts: Vec<String> = [Some(format_name(&set.file_type)), lines, size].into_iter().flatten().collect();
    format!("{}.", parts.join(", "))
}

/// What is counted in a file.
fn unit(set: &TrainingSet) -> &'static str {
    if set.file_type == FileType::Parquet.as_str() { "row" } else { "line" }
}

/// What people call a format.
fn format_name(file_type: &str) -> String {
    match file_type {
        "jsonl" => "JSON Lines".to_owned(),
        "parquet" => "Parquet".to_owned(),
        "txt" => "Text".to_owned(),
        "yml" => "YAML".to_owned(),
        other => other.to_uppercase(),
    }
}

fn facts(set: &TrainingSet, public_url: &str) -> Vec<Fact> {
    let file = &set.file;
    let facts = [
        Some(Fact::link("File", file.name.as_str(), file.url(public_url))),
        Some(Fact::new("Format", format_name(&set.file_type))),
        Fact::maybe("Size", file.size.map(format::bytes)),
        Fact::maybe(
            if unit(set) == "row" { "Rows" } else { "Lines" },
            set.glance.line_count.map(format::count),
        ),
        Some(Fact::new("Content type", file.content_type.as_str())),
        Fact::maybe("SHA-256", file.sha256()),
        Fact::maybe(
            "State",
            (!file.is_verified()).then_some("elsewhere: what is said of it was not checked"),
        ),
        Some(Fact::new("Added", format!("{} by {}", format::day(set.created_at), set.submitted_by))),
    ];
    facts.into_iter().flatten().collect()
}

/// What was kept of the start of its file, if anything.
fn excerpt(set: &TrainingSet) -> Option<Excerpt<'_>> {
    let text = set.glance.snippet.as_str();
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let goes_on = set.file.size.is_none_or(|size| length < size);
    (!text.is_empty()).then_some(Excerpt { file_type: &set.file_type, text, goes_on })
}

/// How much of the file an excerpt is, in a sentence.
fn extent(set: &TrainingSet, excerpt: Excerpt<'_>) -> String {
    if set.file_type == FileType::Parquet.as_str() {
        return set
            .glance
            .line_count
            .map_or_else(String::new, |rows| format!("The beginning of {}.", format::counted(rows, "row")));
    }
    let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let ends = whole(excerpt.text.matches('\n').count());
    if let Some(extent) = extent_of_table(set, excerpt, ends) {
        return extent;
    }
    match (set.glance.line_count, excerpt.ends_within_line()) {
        _ if !excerpt.goes_on => {
            format!("All of it: {}.", format::counted(whole(excerpt.text.lines().count()), "line"))
        }
        (Some(all), false) => {
            format!("The first {} of {}.", format::count(ends), format::counted(all, "line"))
        }
        (Some(all), true) if ends > 0 => {
            format!(
                "The first {} of {}, and a part of the next.",
                format::count(ends),
                format::counted(all, "line")
            )
        }
        _ => {
            let size = set.file.size.map_or_else(|| "it".to_owned(), format::bytes);
            format!("The first {} of {size}.", format::bytes(whole(excerpt.text.len())))
        }
    }
}

/// The same of a table, whose first line holds the names of its columns and is no row.
fn extent_of_table(set: &TrainingSet, excerpt: Excerpt<'_>, ends: i64) -> Option<String> {
    let is_table = [FileType::Csv, FileType::Tsv].iter().any(|kind| set.file_type == kind.as_str());
    if !is_table || ends == 0 || !excerpt.goes_on {
        return None;
    }
    let below = "below the names of the columns";
    let all = format::counted(set.glance.line_count? - 1, "line");
    let part = if excerpt.ends_within_line() { ", and a part of the next" } else { "" };
    Some(format!("The first {} of {all} {below}{part}.", format::count(ends - 1)))
}

/// Why nothing of the file is shown.
fn nothing(set: &TrainingSet) -> &'static str {
    match (&set.file.place, set.file.size) {
        (Place::Linked { .. }, _) => {
            "The file is elsewhere and never fetched: there is nothing to show of it."
        }
        (_, Some(0)) => "The file is empty.",
        _ if set.file_type == FileType::Parquet.as_str() => {
            "Nothing was kept of it when it came: Parquet was not read then."
        }
        _ => "Nothing was kept of how the file begins.",
    }
}
