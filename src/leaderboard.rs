//! The ranked board, as the API and the pages read it: item scores kept in memory, and with them the tests of
//! all pairs of models, which are too much work for every read.
//!
//! What is kept never answers by itself. Each read takes the board's cells from its own transaction and compares
//! them with what is kept: only results that changed are read again, and only their models tested again. So
//! a read after an acknowledged write has the ranks of that write, waiting for them if need be, and
//! [`Leaderboard::keep_warm`] merely sees to it that there is seldom anything left to do. Who is ranked, and how
//! two models are compared, is the domain's.

mod pooled;
mod vectors;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use self::pooled::PooledUnits;
use self::vectors::{Reader, Stamp, Vectors};
use crate::domain::id::{ModelKey, VersionKey};
use crate::domain::leaderboard::{self as rules, Board, BoardCell, Column, GapCell, Scope};
use crate::domain::ledger::{Action, Event, Noun};
use crate::domain::stats::{Matrix, Standings, SuiteEval, Units};
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::store::{self, Store, Topic, Tx};

/// All that the board is made from.
pub const TOPICS: &[Topic] = &[Topic::Board, Topic::Models, Topic::Evals];
/// How long a change waits for more of them, and how often the board is warmed at most.
const BEAT: Duration = Duration::from_millis(50);
/// How long a reader waits for his turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much longer the warming rests than it worked, so that a busy run leaves it a fifth of a processor.
const REST: u32 = 4;

/// Boards that are made at once: the whole one, and others. Each holds a connection of the readers meanwhile, of
/// which the rest of the house needs some.
const AT_ONCE: (usize, usize) = (3, 2);

/// The handle of what is kept: cheap to clone, shared by everybody.
#[derive(Clone)]
pub struct Leaderboard {
    kept: Arc<Mutex<Kept>>,
    /// For the board as it stands, which is made quickly.
    of_the_whole: Arc<Semaphore>,
    /// For boards of other scopes, which are tested anew.
    of_others: Arc<Semaphore>,
}

impl Default for Leaderboard {
    fn default() -> Self {
        let (whole, others) = AT_ONCE;
        Self {
            kept: Arc::default(),
            of_the_whole: Arc::new(Semaphore::new(whole)),
            of_others: Arc::new(Semaphore::new(others)),
        }
    }
}

/// What stays in memory between reads.
#[derive(Default)]
struct Kept {
    /// Of the results on the board, whatever a reader's scope.
    vectors: Vectors,
    /// The tests over the whole suite with the evals' own weights.
    whole: Option<Whole>,
}

/// The tests over one suite, kept up to date as results land.
struct Whole {
    suite: Vec<Measured>,
    matrix: Matrix,
    /// Which result of each model is in the matrix, by place of the eval in the suite.
    placed: HashMap<(ModelKey, usize), Stamp>,
    /// None when the matrix has changed since.
    standings: Option<Arc<Standings>>,
}

/// A version of an eval in a suite.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Measured {
    version: VersionKey,
    eval: SuiteEval,
}

/// A ranked model's cell, and where it belongs in the matrix.
struct Placed<'b> {
    model: ModelKey,
    is_baseline: bool,
    eval: usize,
    cell: &'b BoardCell,
}

impl Leaderboard {
    /// Waits for a turn to have a board of `scope` made: take it before the read transaction, and keep it as long.
    ///
    /// # Errors
    /// `Unavailable` when too many wait before.
    pub async fn turn(&self, scope: &Scope) -> Result<OwnedSemaphorePermit> {
        let turns = if *scope == Scope::default() { &self.of_the_whole } else { &self.of_others };
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(turns).acquire_owned()).await;
        let busy = |_| Error::Unavailable("too many boards are asked for at once: try again".to_owned());
        turn.map_err(busy)?.map_err(Error::internal)
    }

    /// The board of `scope` as the store has it, with rank ranges.
    ///
    /// # Errors
    /// `Invalid` for a scope that names an eval there is not, or whose weights leave nothing to rank by; the
    /// database's.
    pub fn board(&self, tx: &mut Tx<'_>, scope: &Scope) -> Result<Board> {
        let material = Material::read(tx, scope.as_of)?;
        self.rank(tx, material, scope)
    }

    /// As [`Leaderboard::board`], of what this transaction has read already.
    ///
    /// # Errors
    /// As [`Leaderboard::board`].
    pub fn rank(&self, tx: &mut Tx<'_>, material: Material, scope: &Scope) -> Result<Board> {
        scope.check()?;
        check_evals(tx, scope)?;
        let Material { mut cells, gaps } = material;
        let models = match scope.as_of {
            Some(_) => store::past_board::models(tx)?,
            None => store::board::models(tx)?,
        };
        let last = cells.iter().map(|cell| cell.at).max();
        let pooled = if scope.is_pooled { pooled::pool(tx, &mut cells)? } else { PooledUnits::new() };
        let mut board = rules::rank(models, cells, gaps, scope);
        board.check_weights()?;
        if !scope.weights.is_empty() {
            board.check_spread()?;
        }
        let standings = if *scope == Scope::default() {
            self.whole(tx, &board)?
        } else if scope.as_of.is_some() {
            // Results that the board no longer shows are not worth keeping.
            Arc::new(scoped(tx, &board, &mut Vectors::default(), &pooled)?.standings())
        } else {
            // Others wait only while the scores are gathered.
            let mut matrix = scoped(tx, &board, &mut self.lock().vectors, &pooled)?;
            Arc::new(matrix.standings())
        };
        board.judge(&standings);
        board.looks = last.map_or(Ok(0), |last| store::attempts::looks(tx, last))?;
        if scope.as_of.is_none() {
            board.attempts = store::attempts::by_cell(tx)?;
        }
        Ok(board)
    }

    /// Brings the ranks up to date whenever what they are made from changes, until the task is aborted.
    pub async fn keep_warm(self, store: Store) {
        let mut changes = store.changes();
        let mut warm = store.generation(TOPICS);
        self.warm(&store).await;
        while changes.changed().await.is_ok() {
            tokio::time::sleep(BEAT).await;
            changes.mark_unchanged();
            let present = store.generation(TOPICS);
            if present == warm {
                continue;
            }
            let begun = Instant::now();
            if self.warm(&store).await {
                warm = present;
            }
            tokio::time::sleep(begun.elapsed() * REST).await;
        }
    }

    /// Makes the board once, and records who leads it now; answers whether it could be made.
    async fn warm(&self, store: &Store) -> bool {
        let own = self.clone();
        let lead = move |tx: &mut Tx<'_>| {
            let board = own.board(tx, &Scope::default())?;
            new_leader(tx, &board)
        };
        let made = store.read(lead).await;
        let recorded = match made {
            Ok(Some(event)) => store.write(move |tx| store::ledger::append(tx, &event, Millis::now())).await,
            other => other.map(drop),
        };
        if let Err(cause) = &recorded {
            tracing::warn!(error = ?cause, "the board could not be warmed");
        }
        recorded.is_ok()
    }

    /// How many results have their item scores in memory.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.lock().vectors.len()
    }

    /// The tests over the whole suite: what changed is tested again, the rest is as it was.
    fn whole(&self, tx: &mut Tx<'_>, board: &Board) -> Result<Arc<Standings>> {
        let kept = &mut *self.lock();
        let suite = suite(board);
        let mut whole = match kept.whole.take() {
            Some(whole) if whole.suite == suite => whole,
            _ => Whole::new(suite),
        };
        kept.vectors.retain(board);
        let standings = whole.update(tx, board, &mut kept.vectors)?;
        kept.whole = Some(whole);
        Ok(standings)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Whoever panicked while holding it had taken out what he was changing: see `whole`.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Whole {
    fn new(suite: Vec<Measured>) -> Self {
        let matrix = Matrix::new(suite.iter().map(|measured| measured.eval).collect());
        Self { suite, matrix, placed: HashMap::new(), standings: None }
    }

    fn update(&mut self, tx: &mut Tx<'_>, board: &Board, vectors: &mut Vectors) -> Result<Arc<Standings>> {
        self.forget(board);
        let mut reader = Reader::new(tx);
        for place in placed(board) {
            let (key, stamp) = ((place.model, place.eval), Stamp::of(place.cell));
            if self.placed.get(&key) == Some(&stamp) {
                continue;
            }
            let units = vectors.get(&mut reader, place.cell)?;
            put(&mut self.matrix, &place, units);
            self.placed.insert(key, stamp);
            self.standings = None;
        }
        let standings = self.standings.take().unwrap_or_else(|| Arc::new(self.matrix.standings()));
        self.standings = Some(Arc::clone(&standings));
        Ok(standings)
    }

    /// Takes out the models that are not ranked any more.
    fn forget(&mut self, board: &Board) {
        let ranked: HashSet<ModelKey> = board.ranked().map(|row| row.model.key).collect();
        let gone: Vec<ModelKey> =
            self.placed.keys().map(|(model, _)| *model).filter(|model| !ranked.contains(model)).collect();
        for model in gone {
            self.matrix.remove(model);
            self.standings = None;
        }
        self.placed.retain(|(model, _), _| ranked.contains(model));
    }
}

/// What a board is ranked from.
#[derive(Debug)]
pub struct Material {
    /// The results that count, or may count.
    pub cells: Vec<BoardCell>,
    /// Incomplete results where there is none of those; none for a past board.
    pub gaps: Vec<GapCell>,
}

impl Material {
    /// Reads it, as it was at a moment or as it is.
    ///
    /// # Errors
    /// The database's.
    pub fn read(tx: &mut Tx<'_>, as_of: Option<Millis>) -> Result<Self> {
        match as_of {
            Some(at) => Ok(Self { cells: store::past_board::cells(tx, at)?, gaps: Vec::new() }),
            None => Ok(Self { cells: store::board::cells(tx)?, gaps: store::attempts::gaps(tx)? }),
        }
    }

    /// Whether there is nothing to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.gaps.is_empty()
    }

    /// The headings that evals are grouped under, each once and in order.
    #[must_use]
    pub fn categories(&self) -> BTreeSet<String> {
        let cells = self.cells.iter().filter_map(|cell| cell.category.clone());
        cells.chain(self.gaps.iter().filter_map(|gap| gap.category.clone())).collect()
    }
}

/// That another model than before leads the board alone, once no run is under way that may change it again.
fn new_leader(tx: &mut Tx<'_>, board: &Board) -> Result<Option<Event>> {
    let Some((first, tests)) = board.ranked().next().zip(board.tests) else { return Ok(None) };
    if first.range.is_none_or(|range| range.high > 1) {
        // Another place is left open: nobody is known to lead.
        return Ok(None);
    }
    if store::runs::count_open(tx)? > 0
        || store::ledger::leader(tx)?.as_deref() == Some(first.model.id.as_str())
    {
        return Ok(None);
    }
    Ok(Some(Event {
        by: None,
        action: Action::Led,
        noun: Noun::Model,
        subject: first.model.id.to_string(),
        name: first.model.name.clone(),
        summary: format!("rank 1 of {}", tests.models),
        reason: String::new(),
        before: None,
        after: None,
    }))
}

/// A matrix of a board that is not the whole one, which is not kept.
fn scoped(tx: &mut Tx<'_>, board: &Board, vectors: &mut Vectors, pooled: &PooledUnits) -> Result<Matrix> {
    let mut matrix = Matrix::new(suite(board).iter().map(|measured| measured.eval).collect());
    let mut reader = Reader::new(tx);
    for place in placed(board) {
        let units = match pooled.get(&place.cell.result_key) {
            Some(units) => Some(Arc::clone(units)),
            None => vectors.get(&mut reader, place.cell)?,
        };
        put(&mut matrix, &place, units);
    }
    Ok(matrix)
}

/// Refuses a scope that names an eval there is not.
fn check_evals(tx: &mut Tx<'_>, scope: &Scope) -> Result<()> {
    let chosen = scope.eval.iter().map(|eval| ("eval_id", eval));
    let weighed = scope.weights.evals().map(|eval| ("weights", eval));
    for (field, eval) in chosen.chain(weighed) {
        store::evals::get(tx, eval).map_err(|cause| match cause {
            Error::NotFound(_) => Error::invalid(field, format!("{field} names no eval: {eval}")),
            other => other,
        })?;
    }
    Ok(())
}

/// Puts a cell into a matrix. One whose item scores are missing or do not fit is left out, so that the board can
/// still be read: its model is compared on its other evals, and tied with everybody when it has none.
fn put(matrix: &mut Matrix, place: &Placed<'_>, units: Option<Arc<Units>>) {
    let fault = match units.map(|units| matrix.put(place.model, place.eval, units)) {
        Some(Ok(())) => return matrix.mark_baseline(place.model, place.is_baseline),
        Some(Err(mismatch)) => mismatch.to_string(),
        None => "no item scores".to_owned(),
    };
    tracing::error!(result = %place.cell.result, fault, "a result on the board takes no part in its tests");
}

fn columns(board: &Board) -> impl Iterator<Item = (usize, &Column)> {
    board.columns.iter().enumerate().filter(|(_, column)| column.counts)
}

/// The evals that count, in the order of the columns.
fn suite(board: &Board) -> Vec<Measured> {
    // Shares, so that no weight is so small that its square is nothing.
    let weights: Vec<f64> = columns(board).map(|(_, column)| column.weight).collect();
    let measured = |((_, column), weight): ((usize, &Column), f64)| Measured {
        version: column.version,
        eval: SuiteEval { weight, items: usize::try_from(column.items).unwrap_or(0) },
    };
    columns(board).zip(rules::shares(&weights)).map(measured).collect()
}

/// The cells of the ranked rows, by place in [`suite`].
fn placed(board: &Board) -> impl Iterator<Item = Placed<'_>> {
    board.ranked().flat_map(move |row| {
        let cells = columns(board).enumerate();
        cells.filter_map(move |(eval, (column, _))| {
            let cell = row.cells.get(column)?.as_ref()?;
            Some(Placed { model: row.model.key, is_baseline: row.model.is_baseline, eval, cell })
        })
    })
}
