"""P4: how long the ranked board takes after results have changed.

Models and evals are made over the API; their results are then written into the database by hand, as
a run would have left them (the server notices what another process commits). All of them change at
once, then one. Each time the clock runs until an anonymous read of the board shows the change, of
which up to 0.2 s pass until the server looks. Nothing is asked of any model. Last comes flat.py: what a
read of the board costs over millions of cases, against few.
"""

import json
import random
import sqlite3
import struct
import time
from contextlib import ExitStack
from statistics import median

import flat
from rig import Api, arguments, conditions, cpu_seconds, peak_rss_mb, processor_times, report, spread
from rig import start_evalboard, stolen, table, verdict

RESULTS = """
INSERT INTO results (public_id, run_id, model_id, eval_id, revision_id, version_id, state, provenance,
    planned_count, case_count, scored_count, unscored_count, error_count, passed_count, score_sum, score,
    stderr, ci_low, ci_high, ci_method, item_count, latency_sum_ms, latency_count,
    latency_p50_ms, cost_usd, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, 'complete', 'run_here', ?, ?, ?, 0, 0, ?, ?, ?, 0.04, ?, ?, 'wilson', ?, 0, 0, 100, 0.1, 1, ?)
"""
SCORES = "INSERT INTO item_scores (result_id, packed) VALUES (?, ?)"
CELLS = """
INSERT INTO board_cells (revision_id, version_id, model_id, eval_id, run_id, result_id, runs)
SELECT revision_id, version_id, model_id, eval_id, run_id, id, 1 FROM results
"""
SUITE = "INSERT INTO suite_evals (eval_id, version_id, joined_at) SELECT id, version_id, 1 FROM evals"


def seed(database: sqlite3.Connection, items: int, is_binary: bool, moment: int) -> None:
    """A complete result of every model on every eval, finished at that moment, on the board."""
    dice = random.Random(4)
    run = database.execute("SELECT MAX(id) FROM runs").fetchone()[0]
    models = [(*row, dice.uniform(0.3, 0.9)) for row in database.execute("SELECT id, revision_id FROM models")]
    evals = database.execute("SELECT id, version_id FROM evals").fetchall()
    database.execute("DELETE FROM board_cells")
    database.execute("DELETE FROM item_scores")
    database.execute("DELETE FROM results")
    for model, revision, skill in models:
        for eval_id, version in evals:
            drawn = [dice.random() for _ in range(items)]
            scores = [float(own < skill) if is_binary else own * skill for own in drawn]
            mean, right = sum(scores) / items, sum(score == 1 for score in scores)
            packed = struct.pack(f"<{items}d", *scores)
            keys = (f"bench-{model}-{eval_id}", run, model, eval_id, revision, version)
            counts = (items, items, items, right, sum(scores), mean, mean - 0.08, mean + 0.08, items, moment)
            result = database.execute(RESULTS, keys + counts).lastrowid
            database.execute(SCORES, (result, packed))
    database.execute(CELLS)
    database.execute("DELETE FROM suite_evals")
    database.execute(SUITE)
    database.commit()


def until(api: Api, wanted: int) -> tuple[float, float]:
    """Seconds until the board shows a result of that moment, and those that the last read took."""
    started = time.monotonic()
    while True:
        asked = time.monotonic()
        answer = api.fetch("GET", "/api/v1/leaderboard")
        now = time.monotonic()
        rows = json.loads(answer.body) if answer.status == 200 else []
        if any(row["last_run_at"] == wanted for row in rows):
            if any(row["rank"] and not row["rank_high"] for row in rows):
                raise RuntimeError("a ranked row without a range")
            return now - started, now - asked
        if now - started > 60:
            raise RuntimeError(f"the board never showed it: {answer.status} {answer.body[:300]!r}")
        time.sleep(0.02)


def main() -> None:
    """Run the benchmark."""
    args = arguments(
        __doc__,
        rounds=(5, "times each"),
        models=(200, "models"),
        evals=(100, "evals"),
        samples=(100, "items of each"),
        cases=(10_000_000, "stored cases of the large past"),
    )
    if args.smoke:
        args.rounds, args.models, args.evals, args.samples = 1, 5, 3, 20
        args.cases = 5_000
    about, times = conditions(args), processor_times()
    figures, moment = [], 1
    with ExitStack() as stack:
        server, api = start_evalboard(stack, args.evalboard)
        for at in range(args.models):
            api.call("POST", "/models", {"name": f"Model {at:03}", "inference_uri": "builtin:constant?answer=2"})
        samples = [{"input": f"1 + {at}", "target": "2"} for at in range(args.samples)]
        for at in range(args.evals):
            made = {"name": f"Eval {at:03}", "prompt": "{{input}}", "eval_type": "exact", "samples": samples}
            eval_id = api.call("POST", "/evals", made)["id"]
        # Of it only the run stays, for the results to belong to.
        model_id = api.call("GET", "/models?limit=1")[0]["id"]
        api.run({"model_ids": [model_id], "eval_ids": [eval_id], "on_board": False})
        database = sqlite3.connect(server.data / "evalboard.db", timeout=30)
        stack.callback(database.close)
        for kind, is_binary in (("right or wrong", True), ("continuous", False)):
            moment += 1
            seed(database, args.samples, is_binary, moment)
            until(api, moment)
            for what, where in (("all results", ""), ("one result", " WHERE id = (SELECT MIN(id) FROM results)")):
                shown, reads, cpu = [], [], []
                for _ in range(args.rounds):
                    moment += 1
                    database.execute(f"UPDATE results SET updated_at = {moment}{where}")  # noqa: S608
                    before = cpu_seconds(server.pid)
                    database.commit()
                    waited, read = until(api, moment)
                    shown.append(waited)
                    reads.append(read)
                    cpu.append(cpu_seconds(server.pid) - before)
                goal = verdict(median(shown), 1, at_most=True)
                figures.append([f"{kind}: {what} changed, s until shown", f"{median(shown):.2f}", spread(shown, 2), goal])
                figures.append([f"{kind}: {what} changed, s of that in the read", f"{median(reads):.2f}", spread(reads, 2), ""])
                figures.append([f"{kind}: {what} changed, CPU s", f"{median(cpu):.2f}", spread(cpu, 2), ""])
        figures.append(["peak RSS, MB", f"{peak_rss_mb(server.pid):.0f}", "", ""])

    text = f"""## P4: the ranked board, {args.models} models x {args.evals} evals x {args.samples} items

{about}
{stolen(times)}
- Changes are written by another process, which the server notices within 0.2 s
- Each time until an anonymous read shows the change, its ranks included

{table(["figure", "median", "spread", "goal"], figures)}

{flat.measure(args)}"""
    report(args, "P4", text)


if __name__ == "__main__":
    main()
