//! Who is ranked, what joins the suite, and what weights and moments do to the board.

use super::*;
use crate::domain::stats;

/// The board of those cells, without incomplete results.
fn rank(models: Vec<ModelLine>, cells: Vec<BoardCell>, scope: &Scope) -> Board {
    super::rank(models, cells, Vec::new(), scope)
}

fn model(key: i64, name: &str) -> ModelLine {
    ModelLine {
        key: ModelKey(key),
        id: ModelId::from(format!("m{key}")),
        name: name.to_owned(),
        provider: None,
        is_official: false,
        open_weights: None,
        is_baseline: false,
    }
}

fn cell(model: i64, eval: i64, score: f64) -> BoardCell {
    BoardCell {
        model: ModelKey(model),
        eval: EvalKey(eval),
        eval_id: EvalId::from(format!("e{eval}")),
        eval_name: format!("Eval {eval}"),
        category: None,
        version: VersionKey(eval),
        direction: Direction::Higher,
        weight: 1.0,
        overruled: 0,
        own_weight: 1.0,
        counts: true,
        is_provisional: false,
        result: ResultId::from(format!("r{model}{eval}")),
        result_key: ResultKey(10 * model + eval),
        score,
        raw_score: score,
        stderr: Some(0.1),
        interval: None,
        ci_method: None,
        items: 10,
        missing: 0,
        bounds: None,
        chance: None,
        passed: 5,
        cost_usd: None,
        cost_spread: None,
        latency_p50_ms: None,
        latency_p95_ms: None,
        runs: 1,
        pooled: 1,
        at: Millis(1),
    }
}

fn names(board: &Board) -> Vec<(&str, Option<i64>)> {
    board.rows.iter().map(|row| (row.model.name.as_str(), row.rank)).collect()
}

#[test]
fn who_lacks_an_eval_of_the_suite_stands_below_the_line_however_good() {
    let models = vec![model(1, "Whole"), model(2, "Partial"), model(3, "Unmeasured")];
    let board = rank(models, vec![cell(1, 1, 0.2), cell(1, 2, 0.2), cell(2, 1, 1.0)], &Scope::default());
    assert_eq!(names(&board), [("Whole", Some(1)), ("Partial", None)]);
}

#[test]
fn equal_means_are_ordered_by_name_and_then_id() {
    let models = vec![model(3, "B"), model(2, "A"), model(1, "A")];
    let cells = vec![cell(1, 1, 0.5), cell(2, 1, 0.5), cell(3, 1, 0.5)];
    let board = rank(models, cells, &Scope::default());
    let ids: Vec<&str> = board.rows.iter().map(|row| row.model.id.as_str()).collect();
    assert_eq!(ids, ["m1", "m2", "m3"]);
}

#[test]
fn a_provisional_column_counts_for_nothing() {
    let mut provisional = cell(1, 2, 0.0);
    (provisional.counts, provisional.is_provisional) = (false, true);
    let board = rank(vec![model(1, "A")], vec![cell(1, 1, 0.9), provisional], &Scope::default());
    let row = board.rows.first().unwrap();
    assert_eq!((row.rank, row.measured, row.suite), (Some(1), 1, 1));
    assert!((row.summary.unwrap().mean - 0.9).abs() < 1e-12);
    assert!(row.cells.iter().all(Option::is_some));
}

#[test]
fn alone_a_provisional_eval_is_ranked() {
    let cells = [(1, 0.2), (2, 0.8)].map(|(key, score)| {
        let mut cell = cell(key, 2, score);
        (cell.counts, cell.is_provisional) = (false, true);
        cell
    });
    let models = vec![model(1, "A"), model(2, "B")];
    let scope = Scope { eval: Some(EvalId::from("e2".to_owned())), ..Scope::default() };
    let board = rank(models, cells.into(), &scope);
    assert_eq!(names(&board), [("B", Some(1)), ("A", Some(2))]);
    assert!(board.columns.first().unwrap().is_provisional);
}

#[test]
fn a_cost_is_unknown_as_soon_as_one_cell_has_none() {
    let mut priced = cell(1, 1, 0.9);
    priced.cost_usd = Some(1.0);
    let both = rank(vec![model(1, "A")], vec![priced.clone(), cell(1, 2, 0.9)], &Scope::default());
    assert_eq!(both.rows.first().unwrap().cost_usd, None);
    let one = rank(vec![model(1, "A")], vec![priced], &Scope::default());
    assert_eq!(one.rows.first().unwrap().cost_per_solved, Some(0.2));
}

#[test]
fn a_scope_ranks_anew() {
    let models = vec![model(1, "A"), model(2, "B")];
    let cells = vec![cell(1, 1, 0.9), cell(1, 2, 0.1), cell(2, 1, 0.5), cell(2, 2, 0.8)];
    let scope = Scope { eval: Some(EvalId::from("e1".to_owned())), ..Scope::default() };
    assert_eq!(names(&rank(models, cells, &scope)), [("A", Some(1)), ("B", Some(2))]);
}

fn weighted(text: &str) -> Scope {
    Scope { weights: text.parse().unwrap(), ..Scope::default() }
}

#[test]
fn given_weights_stand_in_place_of_the_evals_own() {
    let models = vec![model(1, "A"), model(2, "B")];
    let cells = vec![cell(1, 1, 0.9), cell(1, 2, 0.1), cell(2, 1, 0.5), cell(2, 2, 0.8)];
    let board = |text| rank(models.clone(), cells.clone(), &weighted(text));
    assert_eq!(names(&board("")), [("B", Some(1)), ("A", Some(2))]);
    assert_eq!(names(&board("e1:3")), [("A", Some(1)), ("B", Some(2))]);
    assert!((board("e1:3").rows.first().unwrap().summary.unwrap().mean - 0.7).abs() < 1e-12);
}

#[test]
fn a_weight_of_nothing_takes_an_eval_out_of_the_ranking() {
    let models = vec![model(1, "Whole"), model(2, "Partial")];
    let cells = vec![cell(1, 1, 0.2), cell(1, 2, 0.2), cell(2, 1, 1.0)];
    let board = rank(models.clone(), cells.clone(), &weighted("e2:0"));
    assert_eq!(names(&board), [("Partial", Some(1)), ("Whole", Some(2))]);
    let left_out = board.columns.last().unwrap();
    assert!(left_out.id.as_str() == "e2" && !left_out.counts && !left_out.is_provisional);
    board.check_weights().unwrap();
    rank(models, cells, &weighted("e1:0,e2:0")).check_weights().unwrap_err();
}

#[test]
fn what_the_tests_came_to_is_written_into_the_ranked_rows() {
    let models = vec![model(1, "A"), model(2, "B"), model(3, "C"), model(4, "Partial")];
    let mut cells: Vec<BoardCell> =
        [(1, 1.0), (2, 0.9), (3, 0.0)].map(|(key, score)| cell(key, 1, score)).into();
    cells.extend([1, 2, 3].map(|key| cell(key, 2, 0.5)));
    cells.push(cell(4, 1, 1.0));
    let mut board = rank(models, cells, &Scope::default());
    let mut matrix = stats::Matrix::new(vec![stats::SuiteEval { weight: 1.0, items: 10 }]);
    for (key, right) in [(1, 10), (2, 9), (3, 0)] {
        let scores: Vec<Option<f64>> = (0..10).map(|at| Some(f64::from(at < right))).collect();
        let units = stats::Units::new(&scores, None).unwrap();
        matrix.put(ModelKey(key), 0, std::sync::Arc::new(units)).unwrap();
    }
    board.judge(&matrix.standings());
    let ranges: Vec<_> =
        board.rows.iter().map(|row| row.range.map(|range| (range.low, range.high))).collect();
    assert_eq!(ranges, [Some((1, 2)), Some((1, 2)), Some((3, 3)), None]);
    let groups: Vec<_> = board.rows.iter().map(|row| row.tie_group).collect();
    assert_eq!(groups, [Some(1), Some(1), Some(2), None]);
    assert_eq!(board.tests, Some(Tests { models: 3, contestants: 3, all_tied: false, too_few_items: false }));
}

fn suite(members: &[(i64, i64)], complete: &[(i64, i64)]) -> Suite {
    let members = members.iter().map(|(eval, version)| (EvalKey(*eval), VersionKey(*version))).collect();
    let complete = complete.iter().map(|(model, version)| (ModelKey(*model), VersionKey(*version))).collect();
    Suite::new(members, complete)
}

fn candidate(eval: i64, version: i64) -> Candidate {
    Candidate { eval: EvalKey(eval), version: VersionKey(version) }
}

#[test]
fn an_eval_joins_when_half_of_the_models_have_it() {
    let mut half = suite(&[], &[(1, 10), (2, 11)]);
    assert_eq!(half.admit(&[candidate(1, 10)]), [(candidate(1, 10), Change::Joined)]);
    let mut third = suite(&[], &[(1, 10), (2, 11), (3, 11)]);
    assert_eq!(third.admit(&[candidate(1, 10)]), []);
}

#[test]
fn a_new_model_and_a_new_eval_of_few_models_move_nothing() {
    let complete = [(1, 10), (2, 10), (3, 10), (4, 10), (5, 20)];
    let mut newcomer = suite(&[(1, 10)], &complete);
    assert_eq!(newcomer.admit(&[candidate(2, 20)]), []);
}

#[test]
fn a_newer_version_replaces_the_older_when_it_has_reached_half_itself() {
    let mut early = suite(&[(1, 10)], &[(1, 10), (2, 10), (3, 10), (1, 11)]);
    assert_eq!(early.admit(&[candidate(1, 11)]), []);
    let mut late = suite(&[(1, 10)], &[(1, 10), (2, 10), (3, 10), (1, 11), (2, 11)]);
    assert_eq!(late.admit(&[candidate(1, 11)]), [(candidate(1, 11), Change::Replaced)]);
}

#[test]
fn a_suite_that_nobody_holds_any_more_is_decided_by_all_models() {
    let mut orphaned = suite(&[(1, 10)], &[(7, 20)]);
    assert_eq!(orphaned.admit(&[candidate(2, 20)]), [(candidate(2, 20), Change::Joined)]);
}

#[test]
fn a_mean_above_chance_is_over_the_evals_that_say_what_chance_is() {
    let mut guessed = cell(1, 1, 0.4);
    (guessed.chance, guessed.weight) = (Some(0.25), 3.0);
    let mut below = cell(1, 2, 0.3);
    below.chance = Some(0.5);
    let scored = |cells: Vec<BoardCell>| {
        let board = rank(vec![model(1, "A")], cells, &Scope::default());
        board.rows.first().unwrap().above_chance
    };
    assert_eq!(scored(vec![cell(1, 3, 0.9)]), None);
    guessed.own_weight = 3.0;
    // (0.4 - 0.25) / 0.75 = 0.2 counts three times, and what is below chance is 0.
    let above = scored(vec![guessed, below, cell(1, 3, 0.9)]).unwrap();
    assert!((above - 0.15).abs() < 1e-12, "{above}");
}

#[test]
fn what_is_missing_leaves_the_mean_open_up_to_what_it_would_be_if_right() {
    let holed = |bounds| {
        let mut holed = cell(1, 1, 0.5);
        (holed.missing, holed.bounds) = (1, bounds);
        let board = rank(vec![model(1, "A")], vec![holed, cell(1, 2, 0.7)], &Scope::default());
        board.rows.first().unwrap().bounds
    };
    let bounds = holed(Some(ErrorBounds { if_wrong: 0.5, if_dropped: Some(0.52), if_right: 0.6 })).unwrap();
    for (bound, expected) in
        [(bounds.if_wrong, 0.6), (bounds.if_dropped.unwrap(), 0.61), (bounds.if_right, 0.65)]
    {
        assert!((bound - expected).abs() < 1e-12, "{bounds:?}");
    }
    assert_eq!(holed(None), None, "how far the missing one moves the score is not known");
    let whole = rank(vec![model(1, "A")], vec![cell(1, 1, 0.5)], &Scope::default());
    assert_eq!(whole.rows.first().unwrap().bounds, None);
}

#[test]
fn only_ranked_models_win_or_lose() {
    let cells = vec![cell(1, 1, 0.9), cell(1, 2, 0.5), cell(2, 1, 0.1), cell(2, 2, 0.5), cell(3, 1, 1.0)];
    let models = vec![model(1, "A"), model(2, "B"), model(3, "Partial")];
    let board = rank(models, cells, &Scope::default());
    let rates: Vec<Option<f64>> = board.rows.iter().map(|row| row.win_rate).collect();
    assert_eq!(rates, [Some(0.75), Some(0.25), None]);
}

#[test]
fn means_that_differ_in_the_last_bit_are_ties() {
    let models = vec![model(1, "B"), model(2, "A")];
    let board = rank(models, vec![cell(1, 1, 0.500_000_000_000_000_1), cell(2, 1, 0.5)], &Scope::default());
    assert_eq!(names(&board), [("A", Some(1)), ("B", Some(2))]);
    assert!(board.rows.iter().all(|row| row.win_rate == Some(0.5)));
}

#[test]
fn a_cell_is_shown_as_scored_and_ranked_as_it_counts() {
    let mut toxic = cell(1, 1, 0.75);
    (toxic.direction, toxic.raw_score) = (Direction::Lower, 0.25);
    toxic.interval = Some(Interval { low: 0.5, high: 0.9 });
    let (score, interval) = toxic.shown();
    assert_eq!((score, interval.unwrap().high), (0.25, 0.5));
    let board = rank(vec![model(1, "A")], vec![toxic], &Scope::default());
    assert_eq!(board.rows.first().unwrap().summary.unwrap().mean, 0.75);
    assert_eq!(board.columns.first().unwrap().direction, Direction::Lower);
}

fn gap(model: i64, eval: i64) -> GapCell {
    let own = cell(model, eval, 0.0);
    let column = Column {
        key: own.eval,
        id: own.eval_id,
        name: own.eval_name,
        version: own.version,
        weight: 1.0,
        own_weight: 1.0,
        items: 10,
        direction: Direction::Higher,
        chance: None,
        counts: false,
        is_provisional: true,
    };
    let gap = Incomplete { result: own.result, scored: 3, planned: 10, bounds: None, at: Millis(5) };
    GapCell { model: ModelKey(model), column, category: None, gap }
}

#[test]
fn a_model_with_only_incomplete_results_stands_below_the_line() {
    let models = vec![model(1, "Whole"), model(2, "Partial")];
    let board = super::rank(models, vec![cell(1, 1, 0.2)], vec![gap(2, 1), gap(2, 2)], &Scope::default());
    assert_eq!(names(&board), [("Whole", Some(1)), ("Partial", None)]);
    let row = board.rows.last().unwrap();
    assert_eq!((row.summary, row.measured, row.suite, row.last_run_at), (None, 0, 1, Millis(5)));
    // The second eval has a column for it, which counts for nothing.
    assert_eq!(board.columns.iter().map(|column| column.counts).collect::<Vec<_>>(), [true, false]);
    assert!(board.gaps.contains_key(&(ModelKey(2), EvalKey(2))));
    let elsewhere = Scope { category: Some("Maths".to_owned()), ..Scope::default() };
    assert!(super::rank(vec![model(2, "Partial")], Vec::new(), vec![gap(2, 1)], &elsewhere).rows.is_empty());
}

#[test]
fn a_weight_that_is_next_to_nothing_is_refused() {
    let models = vec![model(1, "A")];
    let spread =
        |text| rank(models.clone(), vec![cell(1, 1, 0.9), cell(1, 2, 0.1)], &weighted(text)).check_spread();
    spread("e1:1e-7").unwrap_err();
    spread("e1:1e-6").unwrap();
    spread("e1:1e-170,e2:1e-170").unwrap();
    spread("e1:0").unwrap();
}

#[test]
fn a_cost_per_solved_item_has_a_standard_error_where_every_cell_has_its_sums() {
    let mut priced = cell(1, 1, 0.5);
    priced.cost_usd = Some(1.0);
    // Ten items of 10 cents, of which five passed: residuals of 0.1 and -0.1.
    priced.cost_spread = Some(CostSpread { costs_squared: 0.1, cost_times_passed: 0.5, passed_squared: 5.0 });
    let of = |cell| rank(vec![model(1, "A")], vec![cell], &Scope::default()).rows.remove(0);
    let row = of(priced.clone());
    assert_eq!(row.cost_per_solved, Some(0.2));
    let expected = (10.0_f64 / 9.0 * 0.1).sqrt() / 5.0;
    assert!((row.cost_per_solved_stderr.unwrap() - expected).abs() < 1e-12);
    priced.cost_spread = None;
    assert_eq!(of(priced).cost_per_solved_stderr, None);
}
