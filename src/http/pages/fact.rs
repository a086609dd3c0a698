//! Facts of a thing: a word and what belongs to it, for the list beside its heading.
//!
//! What is not known or not set is left out by whoever makes the list.

/// A fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is about.
    pub name: &'static str,
    /// What is so.
    pub text: String,
    /// Where it leads.
    pub href: Option<String>,
}

impl Fact {
    /// A fact that leads nowhere.
    #[must_use]
    pub fn new(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, text: text.into(), href: None }
    }

    /// A fact that leads to `href`.
    #[must_use]
    pub fn link(name: &'static str, text: impl Into<String>, href: impl Into<String>) -> Self {
        Self { name, text: text.into(), href: Some(href.into()) }
    }

    /// The fact when there is something to say.
    #[must_use]
    pub fn maybe(name: &'static str, text: Option<impl Into<String>>) -> Option<Self> {
        text.map(|text| Self::new(name, text))
    }
}
