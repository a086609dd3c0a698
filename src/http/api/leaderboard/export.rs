//! The board as a file: CSV, LaTeX or Markdown, from the entries that the JSON is made of.
//!
//! Same rows, same order, same scope as the JSON. What a spreadsheet, TeX or Markdown would take for more than
//! text in a name is made plain text of.

use std::collections::HashMap;

use super::{Entry, Score};
use crate::domain::leaderboard::Column;
use crate::error::{Error, Result};
use crate::http::View;
use crate::http::api::wire::plain_cell as plain;
use crate::http::pages::format::{self, UNKNOWN};

/// The fixed columns of the CSV file; those of the evals come after them.
const HEAD: [&str; 28] = [
    "rank",
    "rank_low",
    "rank_high",
    "model_id",
    "model_name",
    "provider",
    "is_official",
    "open_weights",
    "avg_score",
    "ci_low",
    "ci_high",
    "ci_method",
    "stderr",
    "n_items",
    "evals_measured",
    "evals_suite",
    "errors",
    "cost_usd",
    "cost_per_solved",
    "latency_p50_ms",
    "runs",
    "cost_per_solved_stderr",
    "latency_p95_ms",
    "attempts",
    "unfinished",
    "later_unfinished",
    "pooled_runs",
    "last_run_at",
];

/// What TeX takes for a command, and how it is written as a letter.
const TEX: [(char, &str); 12] = [
    ('\\', r"\textbackslash{}"),
    ('{', r"\{"),
    ('}', r"\}"),
    ('$', r"\$"),
    ('&', r"\&"),
    ('#', r"\#"),
    ('%', r"\%"),
    ('_', r"\_"),
    ('^', r"\textasciicircum{}"),
    ('~', r"\textasciitilde{}"),
    ('<', r"\textless{}"),
    ('>', r"\textgreater{}"),
];
/// What Markdown takes for markup.
const MARKDOWN: [char; 13] = ['\\', '|', '`', '*', '_', '[', ']', '<', '>', '#', '~', '!', '&'];

/// In which form the board is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Json,
    Latex,
    Markdown,
}

impl Format {
    /// # Errors
    /// `Invalid` naming the parameter.
    pub(super) fn parse(word: &str) -> Result<Self> {
        match word {
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            "latex" => Ok(Self::Latex),
            "markdown" => Ok(Self::Markdown),
            _ => Err(Error::invalid("format", "format must be csv, json, latex or markdown")),
        }
    }

    /// The file of those entries.
    ///
    /// # Errors
    /// `Internal` when they cannot be written.
    pub(super) fn view(self, entries: &[Entry], columns: &[Column]) -> Result<View> {
        let table = Table { entries, columns };
        let (content_type, name, body) = match self {
            Self::Json => return Ok(View::json(&entries)?.download("leaderboard.json")),
            Self::Csv => ("text/csv; charset=utf-8", "leaderboard.csv", table.csv()?),
            Self::Latex => {
                ("application/x-tex; charset=utf-8", "leaderboard.tex", table.latex().into_bytes())
            }
            Self::Markdown => {
                ("text/markdown; charset=utf-8", "leaderboard.md", table.markdown().into_bytes())
            }
        };
        Ok(View::bytes(content_type, body).download(name))
    }
}

/// What is written.
struct Table<'a> {
    entries: &'a [Entry],
    columns: &'a [Column],
}

impl Table<'_> {
    /// Every number whole, as shares of 0 to 1 and US dollars; nothing where it is unknown.
    fn csv(&self) -> Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let evals = self.headings(&HEAD, plain);
        writer.write_record(HEAD.into_iter().map(str::to_owned).chain(evals)).map_err(Error::internal)?;
        for entry in self.entries {
            let scores =
                self.columns.iter().map(|column| text(score(entry, column).map(|score| score.score)));
            writer.write_record(csv_cells(entry).into_iter().chain(scores)).map_err(Error::internal)?;
        }
        writer.into_inner().map_err(|cause| Error::internal(cause.to_string()))
    }

    /// The evals' names as `written`, with their ids where another column is called the same, in whatever case: one of
    /// `fixed`, or another eval's.
    fn headings(&self, fixed: &[&str], written: fn(&str) -> String) -> Vec<String> {
        let folded = |name: &str| name.trim().to_lowercase();
        let mut headings: Vec<String> =
            self.columns.iter().map(|column| written(&column.direction.headed(&column.name))).collect();
        // A name may be what another one is with its id: the second round gives that its id too.
        for _ in 0..2 {
            let mut uses: HashMap<String, usize> = HashMap::new();
            for name in fixed.iter().copied().chain(headings.iter().map(String::as_str)) {
                *uses.entry(folded(name)).or_default() += 1;
            }
            for (heading, column) in headings.iter_mut().zip(self.columns) {
                let id = written(&format!(" ({})", column.id));
                if uses.get(&folded(heading)).is_some_and(|count| *count > 1) && !heading.ends_with(&id) {
                    heading.push_str(&id);
                }
            }
        }
        headings
    }

    /// A `tabular` for the booktabs package, in points.
    fn latex(&self) -> String {
        let mut text =
            String::from("% Needs \\usepackage{booktabs}. Scores in points with 95 % intervals.\n");
        let evals: String =
            self.headings(&["Rank", "Model", "Score"], tex).iter().map(|name| format!(" & {name}")).collect();
        text.push_str(&format!("\\begin{{tabular}}{{rlr{}r}}\n\\toprule\n", "r".repeat(self.columns.len())));
        text.push_str(&format!("Rank & Model & Score{evals} & \\$ / 1k solved \\\\\n\\midrule\n"));
        for entry in self.entries {
            let cells: String =
                self.scores(entry).map(|score| format!(" & {}", tex_number(&score))).collect();
            let [rank, overall, cost] =
                [rank(entry), overall(entry), cost(entry)].map(|cell| tex_number(&cell));
            let name = tex(&entry.model_name);
            text.push_str(&format!("{rank} & {name} & {overall}{cells} & {cost} \\\\\n"));
        }
        text.push_str("\\bottomrule\n\\end{tabular}\n");
        text
    }

    /// A table in points.
    fn markdown(&self) -> String {
        let evals: String =
            self.headings(&["Rank", "Model"], md).iter().map(|name| format!(" {name} |")).collect();
        let mut text = format!("| Rank | Model | Score (95 %) |{evals} $ / 1k solved |\n");
        text.push_str(&format!("|---:|:---|---:|{}---:|\n", "---:|".repeat(self.columns.len())));
        for entry in self.entries {
            let cells: String = self.scores(entry).map(|score| format!(" {score} |")).collect();
            let [rank, overall, cost] = [rank(entry), overall(entry), cost(entry)];
            let name = md(&entry.model_name);
            text.push_str(&format!("| {rank} | {name} | {overall} |{cells} {cost} |\n"));
        }
        text
    }

    /// Its score on each eval, with as many decimals as the interval supports.
    fn scores<'e>(&'e self, entry: &'e Entry) -> impl Iterator<Item = String> + 'e {
        self.columns.iter().map(|column| {
            let Some(score) = score(entry, column) else { return UNKNOWN.to_owned() };
            format::points(score.score, format::decimals(super::interval(score.ci_low, score.ci_high)))
        })
    }
}

fn score<'e>(entry: &'e Entry, column: &Column) -> Option<&'e Score> {
    entry.scores.get(column.id.as_str())
}

fn csv_cells(entry: &Entry) -> [String; 28] {
    [
        text(entry.rank),
        text(entry.rank_low),
        text(entry.rank_high),
        plain(&entry.model_id),
        plain(&entry.model_name),
        entry.provider.as_deref().map(plain).unwrap_or_default(),
        entry.is_official.to_string(),
        text(entry.open_weights),
        text(entry.avg_score),
        text(entry.ci_low),
        text(entry.ci_high),
        entry.ci_method.clone().unwrap_or_default(),
        text(entry.stderr),
        entry.n_items.to_string(),
        entry.coverage.measured.to_string(),
        entry.coverage.suite.to_string(),
        entry.errors.to_string(),
        text(entry.cost_usd),
        text(entry.cost_per_solved),
        text(entry.latency_p50_ms),
        entry.runs.to_string(),
        text(entry.cost_per_solved_stderr),
        text(entry.latency_p95_ms),
        text(entry.attempts),
        text(entry.unfinished),
        entry.later_unfinished.to_string(),
        entry.pooled_runs.to_string(),
        entry.last_run_at.to_string(),
    ]
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// `1–3`, or the position while no range is known; a dash below the line.
pub(super) fn rank(entry: &Entry) -> String {
    match (entry.rank_low.zip(entry.rank_high), entry.rank) {
        (Some((low, high)), _) if low < high => format!("{low}–{high}"),
        (_, Some(rank)) => rank.to_string(),
        _ => UNKNOWN.to_owned(),
    }
}

/// `82.1 [80.5, 83.7]`.
fn overall(entry: &Entry) -> String {
    let interval = super::interval(entry.ci_low, entry.ci_high);
    let decimals = format::decimals(interval);
    let range = interval.map(|held| {
        format!(" [{}, {}]", format::points(held.low, decimals), format::points(held.high, decimals))
    });
    format::known(entry.avg_score, |score| {
        format!("{}{}", format::points(score, decimals), range.unwrap_or_default())
    })
}

fn cost(entry: &Entry) -> String {
    format::known(entry.cost_per_solved, |cost| format::money(cost * 1_000.0))
}

/// A number of ours as TeX writes it.
fn tex_number(text: &str) -> String {
    let text: String = text.chars().filter(|letter| *letter != '\u{202f}').collect();
    tex(&text).replace('–', "--").replace('—', "---")
}

fn tex(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match TEX.iter().find(|(special, _)| *special == letter) {
            Some((_, command)) => escaped.push_str(command),
            None => escaped.push(letter),
        }
    }
    escaped
}

fn md(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        if MARKDOWN.contains(&letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_become_text() {
        let plained = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "GPT-5", "a=b", ""].map(plain);
        assert_eq!(plained, ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx", "GPT-5", "a=b", ""]);
    }

    #[test]
    fn no_name_is_a_command() {
        assert_eq!(
            tex(r"50% of_x & $y$ \input{z} #~^<>"),
            r"50\% of\_x \& \$y\$ \textbackslash{}input\{z\} \#\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}"
        );
        assert_eq!(md("a|b <i> [x](y) `c` *d* _e_"), r"a\|b \<i\> \[x\](y) \`c\` \*d\* \_e\_");
        assert_eq!(tex_number("<\u{202f}$0.00001"), r"\textless{}\$0.00001");
    }
}
