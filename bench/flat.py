"""P4's other half: the same board over few stored cases and over very many.

Two servers hold the same models and evals. One has a short past, the other one of millions of cases: more
items in each eval, and many past runs of everything. All of it is written into the database by hand, as
runs would have left it. Then both are read in turns: hot, and each time after a model was renamed, which
makes every copy of the board stale. A miss must show the new name.
"""

import math
import random
import sqlite3
import struct
import time
from argparse import Namespace
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

from rig import Api, Server, peak_rss_mb, start_evalboard, table, verdict

MODELS, EVALS = 20, 6
PATHS = {"/api/v1/leaderboard": "board", "/": "HTML board"}
RUN = """
INSERT INTO runs (public_id, triggered_by, state, started_at, completed_at, notes, on_board, total_models, total_evals,
    completed_count, case_total, case_done, case_errors, cost_usd, plan_cell, plan_sample, planned_at)
SELECT ?, triggered_by, 'completed', ?, ?, '', 1, ?, ?, ?, ?, ?, 0, 0, 0, 0, 1 FROM runs WHERE id = 1
"""
RESULT = """
INSERT INTO results (public_id, run_id, model_id, eval_id, revision_id, version_id, state, provenance,
    planned_count, case_count, scored_count, unscored_count, error_count, passed_count, score_sum, score,
    stderr, ci_low, ci_high, ci_method, item_count, latency_sum_ms, latency_count,
    latency_p50_ms, cost_usd, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, 'complete', 'run_here', ?, ?, ?, 0, 0, ?, ?, ?, 0.04, ?, ?, 'wilson', ?, 0, 0, 100, 0.1, ?, ?)
"""
SCORES = "INSERT INTO item_scores (result_id, packed) VALUES (?, ?)"
CASES = """
INSERT INTO cases (public_id, result_id, sample_id, epoch, state, score, answer, is_truncated, is_self_graded, attempts,
    latency_ms, input_tokens, output_tokens, price_id, cost_usd, created_at)
SELECT printf('bench-%d-%d', results.id, samples.id), results.id, samples.id, 0, 'scored', samples.position % 2, '2', 0, 0, 1,
    100, 20, 2, (SELECT MIN(id) FROM price_snapshots), 0.0001, results.created_at
FROM results
JOIN eval_versions ON eval_versions.id = results.version_id
JOIN samples ON samples.set_id = eval_versions.set_id
WHERE results.run_id = ?
"""
TEXTS = """
INSERT INTO case_texts (case_id, prompt, response, score_details)
SELECT id, 'What is 1 + ' || sample_id || '? Answer with the number only.', 'The answer is 2', '{}' FROM cases WHERE id > ?
"""
CELLS = """
INSERT INTO board_cells (revision_id, version_id, model_id, eval_id, run_id, result_id, runs)
SELECT revision_id, version_id, model_id, eval_id, run_id, id, ? FROM results WHERE run_id = ?
"""
SUITE = "INSERT INTO suite_evals (eval_id, version_id, joined_at) SELECT id, version_id, 1 FROM evals"


@dataclass
class Side:
    """A server with its past, and what was measured of it, in milliseconds by path."""

    server: Server
    api: Api
    items: int
    runs: int
    hot: dict[str, list[float]] = field(default_factory=lambda: {path: [] for path in PATHS})
    missed: dict[str, list[float]] = field(default_factory=lambda: {path: [] for path in PATHS})

    @property
    def cases(self) -> int:
        """How many cases are stored."""
        return MODELS * EVALS * self.items * self.runs


def start(stack: ExitStack, args: Namespace, items: int, runs: int) -> Side:
    """A server whose models and evals came over the API, and whose past did not."""
    server, api = start_evalboard(stack, args.evalboard)
    for at in range(MODELS):
        api.call("POST", "/models", {"name": f"Model {at:03}", "inference_uri": "builtin:constant?answer=2"})
    samples = [{"input": f"1 + {at}", "target": "2"} for at in range(items)]
    for at in range(EVALS):
        made = {"name": f"Eval {at:03}", "prompt": "{{input}}", "eval_type": "exact", "samples": samples}
        eval_id = api.call("POST", "/evals", made)["id"]
    # Only the run stays of it, for the others to be made like.
    model_id = api.call("GET", "/models?limit=1")[0]["id"]
    api.run({"model_ids": [model_id], "eval_ids": [eval_id], "max_samples": 1, "on_board": False})
    side = Side(server, api, items, runs)
    seed(side)
    return side


def seed(side: Side) -> None:
    """Every past run with its results, cases and texts; the board shows the last."""
    dice = random.Random(4)
    database = sqlite3.connect(side.server.data / "evalboard.db", timeout=30)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA cache_size = -200000")
    models = [(*row, dice.uniform(0.3, 0.9)) for row in database.execute("SELECT id, revision_id FROM models")]
    evals = database.execute("SELECT id, version_id FROM evals").fetchall()
    for number in range(side.runs):
        cells, cases = MODELS * EVALS, MODELS * EVALS * side.items
        at = 1_000_000 + number
        counts = (MODELS, EVALS, cells, cases, cases)
        run = database.execute(RUN, (f"bench-{number}", at, at, *counts)).lastrowid
        for model in models:
            for cell in evals:
                row, packed = result(dice, run, side.items, at, model, cell)
                database.execute(SCORES, (database.execute(RESULT, row).lastrowid, packed))
        before = database.execute("SELECT COALESCE(MAX(id), 0) FROM cases").fetchone()[0]
        database.execute(CASES, (run,))
        database.execute(TEXTS, (before,))
        database.commit()
    database.execute("DELETE FROM board_cells")
    database.execute(CELLS, (side.runs, run))
    database.execute("DELETE FROM suite_evals")
    database.execute(SUITE)
    database.commit()
    stored = database.execute("SELECT COUNT(*) FROM cases").fetchone()[0]
    if stored != side.cases + 1:
        raise RuntimeError(f"{stored} cases instead of {side.cases + 1}")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def result(dice: random.Random, run: int, items: int, at: int, model: tuple, cell: tuple) -> tuple[tuple, bytes]:
    """The row of one model on one eval in one run, and its packed scores."""
    (model_id, revision, skill), (eval_id, version) = model, cell
    scores = [float(dice.random() < skill) for _ in range(items)]
    right, mean = int(sum(scores)), sum(scores) / items
    keys = (f"bench-{run}-{model_id}-{eval_id}", run, model_id, eval_id, revision, version)
    packed = struct.pack(f"<{items}d", *scores)
    counts = (items, items, items, right, sum(scores), mean, max(mean - 0.08, 0), min(mean + 0.08, 1), items, at, at)
    return keys + counts, packed


def read(api: Api, path: str) -> tuple[float, bytes]:
    """An anonymous read and how many milliseconds it took."""
    while True:
        begun = time.perf_counter()
        answer = api.fetch("GET", path)
        took = 1e3 * (time.perf_counter() - begun)
        if answer.status == 200:
            return took, answer.body
        if answer.status != 429:
            raise RuntimeError(f"{path}: {answer.status} {answer.body[:300]!r}")
        time.sleep(float(answer.headers.get("retry-after", 1)))


def turn(sides: list[Side], number: int, hot: int, misses: int) -> None:
    """One turn: hot reads of each path of each side, then misses, of one side after the other."""
    for side in sides:
        side.api.close()  # the server may have closed what idled
    for path in PATHS:
        for side in sides:
            read(side.api, path)
            side.hot[path] += [read(side.api, path)[0] for _ in range(hot)]
        for at in range(misses):
            for side in sides:
                miss(side, path, f"Renamed {number:02}{at:02}")


def miss(side: Side, path: str, name: str) -> None:
    """A read that finds no copy, since a model has just got this name."""
    listed = side.api.call("GET", "/models?limit=1")[0]["id"]
    side.api.call("PATCH", f"/models/{listed}", {"name": name})
    took, body = read(side.api, path)
    if name.encode() not in body:
        raise RuntimeError(f"{path} does not show {name}")
    side.missed[path].append(took)
    time.sleep(0.1)  # as many as one address may ask for, and not while the board is warmed


def measure(args: Namespace) -> str:
    """Measure both sides in turns; answers the section."""
    items, hot, misses = (20, 20, 2) if args.smoke else (1_000, 1_000, 20)
    runs = math.ceil(args.cases / (MODELS * EVALS * items))
    with ExitStack() as stack:
        few = start(stack, args, math.ceil(1_000 / (MODELS * EVALS)), 1)
        many = start(stack, args, items, runs)
        size = (many.server.data / "evalboard.db").stat().st_size
        for number in range(args.rounds):
            turn([few, many] if number % 2 == 0 else [many, few], number, hot, misses)
        peaks = [peak_rss_mb(side.server.pid) for side in (few, many)]
    rows = []
    for what, of in (("hot", "hot"), ("miss", "missed")):
        for path, name in PATHS.items():
            low, high = getattr(few, of)[path], getattr(many, of)[path]
            ratio = median(high) / median(low)
            rows.append(
                [f"{name}, {what}: p50 / p50", f"{ratio:.2f}", f"{middle(high)} / {middle(low)} ms", verdict(ratio, 1.2, at_most=True)]
            )
    rows.append(["peak RSS, MB", f"{peaks[1]:.0f} / {peaks[0]:.0f}", "", ""])
    return f"""### {many.cases:,} cases against {few.cases:,}

- The same board of {MODELS} models x {EVALS} evals: one run over {few.items} items an eval, and {many.runs} runs over {many.items:,} items an eval ({size / 1e9:.1f} GB)
- Both servers at once, read in turns: {args.rounds} times {hot:,} hot reads of a page, one after the other, and {misses} misses, each after a model was renamed

{table(["figure", "ratio", "p50 (p25 - p75)", "goal"], rows)}"""


def middle(values: list[float]) -> str:
    """The median and the quartiles beside it."""
    ordered = sorted(values)
    return f"{median(values):.2f} ({ordered[len(ordered) // 4]:.2f} - {ordered[3 * len(ordered) // 4]:.2f})"
