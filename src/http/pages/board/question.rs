//! What a visitor asks of the board by its address: which rows, in which order, over which evals.
//!
//! Filters hide rows and a sort moves them; neither changes a rank. A category does: it is another board.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde::Deserialize;

use super::columns::Columns;
use crate::domain::id::EvalId;
use crate::domain::leaderboard::{Column, Row, Scope, Weights, read_moment, read_pool};
use crate::domain::rounding::rounded;
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::http::pages::links;

/// Longest text to look for, in characters.
const LONGEST_SEARCH: usize = 100;

/// The query parameters of the board.
#[derive(Debug, Clone, Deserialize)]
pub struct Params {
    official: Option<bool>,
    open_weights: Option<bool>,
    #[serde(rename = "q")]
    search: Option<String>,
    category: Option<String>,
    weights: Option<String>,
    as_of: Option<String>,
    pool: Option<String>,
    columns: Option<String>,
    sort: Option<String>,
    order: Option<Order>,
}

/// Which way a column is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The smallest first.
    Asc,
    /// The largest first.
    Desc,
}

/// What rows are sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sort {
    /// The mean over the suite: the board's own order.
    Score,
    /// The name.
    Model,
    /// Cost per solved item.
    Cost,
    /// Median latency.
    Latency,
    /// Cases that could not be measured.
    Errors,
    /// How often it was run.
    Runs,
    /// When it was last run.
    Date,
    /// Mean share of the others that it is better than.
    WinRate,
    /// The mean where guessing is 0.
    AboveChance,
    /// The score on one eval.
    Eval(EvalId),
}

/// A question with its defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Only rows the operator vouches for.
    pub official: bool,
    /// Only models whose weights can be had.
    pub open_weights: bool,
    /// Only models whose name or provider holds this; empty for all.
    pub search: String,
    /// Only evals under this heading.
    pub category: Option<String>,
    /// In place of the evals' own weights.
    pub weights: Weights,
    /// The board as it stood then.
    pub as_of: Option<Millis>,
    /// Whether all results are pooled.
    pub is_pooled: bool,
    /// Which columns are shown.
    pub columns: Columns,
    /// By what rows are sorted.
    pub sort: Sort,
    /// Which way.
    pub order: Order,
}

/// What a row is sorted by; only keys of one kind meet.
#[derive(Debug, PartialEq, PartialOrd)]
enum Key {
    Number(f64),
    Whole(i64),
    Text(String),
}

impl Order {
    /// The word in the address.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asc => "asc",
            Self::Desc => "desc",
        }
    }

    /// The value of `aria-sort`.
    #[must_use]
    pub const fn aria(self) -> &'static str {
        match self {
            Self::Asc => "ascending",
            Self::Desc => "descending",
        }
    }

    const fn reversed(self) -> Self {
        match self {
            Self::Asc => Self::Desc,
            Self::Desc => Self::Asc,
        }
    }
}

impl Sort {
    /// The sorts that are not of one eval.
    const NAMED: [Self; 9] = [
        Self::Score,
        Self::Model,
        Self::Cost,
        Self::Latency,
        Self::Errors,
        Self::Runs,
        Self::Date,
        Self::WinRate,
        Self::AboveChance,
    ];

    /// The word in the address; an eval's id stands for itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Score => "score",
            Self::Model => "model",
            Self::Cost => "cost",
            Self::Latency => "latency",
            Self::Errors => "errors",
            Self::Runs => "runs",
            Self::Date => "date",
            Self::WinRate => "win_rate",
            Self::AboveChance => "above_chance",
            Self::Eval(id) => id.as_str(),
        }
    }

    fn parse(word: &str) -> Self {
        let named = Self::NAMED.into_iter().find(|sort| sort.as_str() == word);
        named.unwrap_or_else(|| Self::Eval(EvalId::from(word.to_owned())))
    }

    /// The order that puts first what people look for first.
    #[must_use]
    pub const fn natural(&self) -> Order {
        match self {
            Self::Model | Self::Cost | Self::Latency | Self::Errors => Order::Asc,
            _ => Order::Desc,
        }
    }

    /// The row's key; `at` is where the eval's cell stands. Unknown has none.
    fn key(&self, row: &Row, at: Option<usize>) -> Option<Key> {
        match self {
            Self::Score => row.summary.map(|summary| Key::Number(rounded(summary.mean))),
            Self::Model => Some(Key::Text(row.model.name.to_lowercase())),
            Self::Cost => row.cost_per_solved.map(Key::Number),
            Self::Latency => row.latency_p50_ms.map(Key::Number),
            Self::Errors => Some(Key::Whole(row.errors)),
            Self::Runs => Some(Key::Whole(row.runs)),
            Self::Date => Some(Key::Whole(row.last_run_at.0)),
            Self::WinRate => row.win_rate.map(Key::Number),
            Self::AboveChance => row.above_chance.map(rounded).map(Key::Number),
            Self::Eval(_) => {
                let cell = at.and_then(|at| row.cells.get(at)).and_then(Option::as_ref);
                cell.map(|cell| Key::Number(rounded(cell.score)))
            }
        }
    }
}

impl Question {
    /// The question that `params` ask at `now`. Whether an eval or a category exists is not known yet.
    ///
    /// # Errors
    /// `Invalid` naming the parameter.
    pub fn parse(params: Params, now: Millis) -> Result<Self> {
        let given =
            |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let search = given(params.search).unwrap_or_default();
        if search.chars().nth(LONGEST_SEARCH).is_some() {
            return Err(Error::invalid("q", format!("q must be at most {LONGEST_SEARCH} characters")));
        }
        let sort = params.sort.map_or(Sort::Score, |word| Sort::parse(&word));
        Ok(Self {
            official: params.official.unwrap_or(false),
            open_weights: params.open_weights.unwrap_or(false),
            search,
            category: given(params.category),
            weights: params.weights.as_deref().map(str::parse).transpose()?.unwrap_or_default(),
            as_of: given(params.as_of).map_or(Ok(None), |text| read_moment(&text, now))?,
            is_pooled: params.pool.as_deref().map_or(Ok(false), read_pool)?,
            columns: params.columns.as_deref().map(str::parse).transpose()?.unwrap_or_default(),
            order: params.order.unwrap_or(sort.natural()),
            sort,
        })
    }

    /// Which evals it is about, given the categories there are.
    ///
    /// # Errors
    /// `Invalid` when no eval on the board is in the category.
    pub fn scope(&self, categories: &[String]) -> Result<Scope> {
        if let Some(category) = self.category.as_ref().filter(|category| !categories.contains(category)) {
            let known = categories.join(", ");
            let message =
                format!("category must be one that evals on the board are in ({known}), not {category}");
            return Err(Error::invalid("category", message));
        }
        Ok(self.rough_scope())
    }

    /// As [`Question::scope`], whatever categories there are.
    #[must_use]
    pub fn rough_scope(&self) -> Scope {
        Scope {
            eval: None,
            category: self.category.clone(),
            weights: self.weights.clone(),
            as_of: self.as_of,
            is_pooled: self.is_pooled,
        }
    }

    /// Puts `rows` into the order asked for. Rows without a value come last, equal ones stay as they are.
    ///
    /// # Errors
    /// `Invalid` when they are to be sorted by an eval that has no column.
    pub fn arrange(&self, rows: &mut [Row], columns: &[Column]) -> Result<()> {
        let at = match &self.sort {
            Sort::Eval(id) => {
                Some(columns.iter().position(|column| column.id == *id).ok_or_else(unknown_sort)?)
            }
            _ => None,
        };
        rows.sort_by(|a, b| match (self.sort.key(a, at), self.sort.key(b, at)) {
            (Some(a), Some(b)) => {
                let ascending = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
                if self.order == Order::Asc { ascending } else { ascending.reverse() }
            }
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
        Ok(())
    }

    /// Whether a row is shown.
    #[must_use]
    pub fn admits(&self, row: &Row) -> bool {
        let wanted = self.search.to_lowercase();
        let holds = |text: &str| text.to_lowercase().contains(&wanted);
        (!self.official || row.model.is_official)
            && (!self.open_weights || row.model.open_weights == Some(true))
            && (holds(&row.model.name) || row.model.provider.as_deref().is_some_and(holds))
    }

    /// The same question without what hides rows.
    #[must_use]
    pub fn unfiltered(&self) -> Self {
        Self { official: false, open_weights: false, search: String::new(), ..self.clone() }
    }

    /// The same question with other weights.
    #[must_use]
    pub fn weighted(&self, weights: Weights) -> Self {
        Self { weights, ..self.clone() }
    }

    /// The same question of the board as it stands.
    #[must_use]
    pub fn of_now(&self) -> Self {
        Self { as_of: None, ..self.clone() }
    }

    /// The same question with all results pooled, or with the latest alone.
    #[must_use]
    pub fn pooled(&self, is_pooled: bool) -> Self {
        Self { is_pooled, as_of: None, ..self.clone() }
    }

    /// The same question with other columns.
    #[must_use]
    pub fn with_columns(&self, columns: Columns) -> Self {
        Self { columns, ..self.clone() }
    }

    /// The same question sorted by `sort`: the other way round when it is already.
    #[must_use]
    pub fn sorted(&self, sort: Sort) -> Self {
        let order = if self.sort == sort { self.order.reversed() } else { sort.natural() };
        Self { sort, order, ..self.clone() }
    }

    /// Its address. What is as usual is left out.
    #[must_use]
    pub fn address(&self) -> String {
        let pairs = self.pairs();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        links::asked(links::BOARD, &pairs)
    }

    /// The parameters of its address by name and value.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        let usual = self.sort == Sort::Score && self.order == Order::Desc;
        let as_of = self.as_of.map(|at| Cow::Owned(at.0.to_string()));
        let columns = Some(self.columns.to_string()).filter(|columns| !columns.is_empty()).map(Cow::Owned);
        let pairs = [
            ("official", self.official.then_some("true")),
            ("open_weights", self.open_weights.then_some("true")),
            ("q", Some(self.search.as_str()).filter(|search| !search.is_empty())),
            ("category", self.category.as_deref()),
            ("weights", Some(self.weights.as_str()).filter(|weights| !weights.is_empty())),
            ("sort", (!usual).then(|| self.sort.as_str())),
            ("order", (self.order != self.sort.natural()).then(|| self.order.as_str())),
        ];
        let pairs = pairs.into_iter().filter_map(|(name, value)| Some((name, Cow::Borrowed(value?))));
        pairs
            .chain(as_of.map(|at| ("as_of", at)))
            .chain(self.is_pooled.then_some(("pool", Cow::Borrowed("all"))))
            .chain(columns.map(|columns| ("columns", columns)))
            .collect()
    }
}

fn unknown_sort() -> Error {
    let words = Sort::NAMED.iter().map(Sort::as_str).collect::<Vec<_>>().join(", ");
    Error::invalid("sort", format!("sort must be one of {words}, or the id of an eval on the board"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Question {
        let value = |name: &str| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned());
        let order = match value("order").as_deref() {
            Some("asc") => Some(Order::Asc),
            Some("desc") => Some(Order::Desc),
            _ => None,
        };
        let params = Params {
            official: value("official").map(|text| text == "true"),
            open_weights: value("open_weights").map(|text| text == "true"),
            search: value("q"),
            category: value("category"),
            weights: value("weights"),
            as_of: value("as_of"),
            pool: value("pool"),
            columns: value("columns"),
            sort: value("sort"),
            order,
        };
        Question::parse(params, Millis(2_000)).unwrap()
    }

    #[test]
    fn the_plain_question_has_the_plain_address() {
        assert_eq!(asked(&[]).address(), "/");
        assert_eq!(
            asked(&[("q", " "), ("official", "false"), ("sort", "score"), ("order", "desc")]).address(),
            "/"
        );
    }

    #[test]
    fn an_address_asks_what_it_was_made_from() {
        let pairs = [
            ("official", "true"),
            ("q", "a b&c"),
            ("weights", "a:2,b:0"),
            ("sort", "cost"),
            ("order", "desc"),
            ("as_of", "1000"),
            ("columns", "-cost,-e1,win_rate"),
        ];
        let question = asked(&pairs);
        let asked_for: Vec<(&str, String)> =
            question.pairs().into_iter().map(|(name, value)| (name, value.into_owned())).collect();
        assert_eq!(asked_for, pairs.map(|(name, value)| (name, value.to_owned())));
        let kept = "weights=a%3A2%2Cb%3A0&sort=cost&order=desc";
        let columns = "columns=-cost%2C-e1%2Cwin_rate";
        assert_eq!(question.address(), format!("/?official=true&q=a+b%26c&{kept}&as_of=1000&{columns}"));
        assert_eq!(question.unfiltered().address(), format!("/?{kept}&as_of=1000&{columns}"));
        assert_eq!(question.unfiltered().of_now().address(), format!("/?{kept}&{columns}"));
    }

    #[test]
    fn a_column_starts_with_what_people_look_for_and_then_turns_round() {
        let cheapest = asked(&[]).sorted(Sort::Cost);
        assert_eq!(cheapest.address(), "/?sort=cost");
        assert_eq!(cheapest.sorted(Sort::Cost).address(), "/?sort=cost&order=desc");
        assert_eq!(asked(&[]).sorted(Sort::Score).address(), "/?sort=score&order=asc");
        assert_eq!(cheapest.sorted(Sort::Score).address(), "/");
    }

    #[test]
    fn an_unknown_sort_or_category_is_refused_with_what_is_known() {
        let said = |refused: Error| refused.to_string();
        let sort = asked(&[("sort", "luck")]).arrange(&mut [], &[]).unwrap_err();
        assert!(
            said(sort).contains("score, model, cost, latency, errors, runs, date, win_rate, above_chance")
        );
        let category = asked(&[("category", "x")]).scope(&["code".to_owned()]).unwrap_err();
        assert!(said(category).contains("(code)"));
    }
}
