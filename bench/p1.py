"""P1: hot reads against the barest actix-web handler that answers the same bytes.

Fills a server with a board of builtin models, mirrors four of its pages with `bare`, and drives
both in turn with wrk: the board, a list and an item as JSON, and the board as HTML. The same rounds
drive the board's 304 and compressed answers. Then `steady` compares p99 at half of our own rate.
Figures are medians over the rounds; what counts is the ratio within one run of this program.
"""

import json
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

from rig import (
    Api,
    Load,
    Server,
    arguments,
    conditions,
    processor_times,
    report,
    spread,
    start_evalboard,
    start_helper,
    stolen,
    table,
    verdict,
    wrk,
)

# Differ from answer to answer, or are the business of the HTTP library.
VARYING = {"date", "x-request-id", "connection", "keep-alive"}
CHOICES = ["red", "green", "blue", "white"]


@dataclass
class Target:
    """Something wrk is pointed at, and what came of it."""

    name: str
    server: Server
    path: str
    headers: list[str] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)

    def of(self, figure: str) -> list[float]:
        """One figure of every round."""
        return [getattr(load, figure) for load in self.loads]


def populate(api: Api, models: int, evals: int, samples: int) -> str:
    """Register baselines and multiple-choice evals, run all on all, and return a model's id."""
    uris = ["builtin:echo", "builtin:keyword", *(f"builtin:constant?answer={letter}" for letter in "ABCD")]
    uris = (uris + [f"builtin:random?seed={seed}" for seed in range(models)])[:models]
    for number, uri in enumerate(uris):
        model = api.call("POST", "/models", {"name": f"Baseline {number}", "inference_uri": uri})
    for number in range(evals):
        questions = [
            {
                "input": f"Eval {number}, question {i}: which colour?",
                "choices": CHOICES,
                "target": "ABCD"[(i * i + number) % 4],
            }
            for i in range(samples)
        ]
        body = {"name": f"Colours {number}", "prompt": "{{input}}", "eval_type": "choice", "samples": questions}
        api.call("POST", "/evals", body)
    api.run()
    return model["id"]


def check_mirror(ours: Target, bare: Target) -> int:
    """Make sure that both sides do the same work; returns the size of the body."""
    answers = []
    for target in (ours, bare):
        api = Api(target.server.address)
        answer = api.fetch("GET", target.path, headers=dict(line.split(": ", 1) for line in target.headers))
        api.close()
        headers = {name: text for name, text in answer.headers.items() if name not in VARYING}
        answers.append((answer.status, headers, answer.body))
    if answers[0] != answers[1] or answers[0][0] != 200:
        raise RuntimeError(f"{bare.name} does not mirror: {answers[0][:2]} against {answers[1][:2]}")
    return len(answers[0][2])


def variants(api: Api, server: Server, path: str) -> list[Target]:
    """The 304 and compressed answers of a page, each seen to be what it should be."""
    tag = api.fetch("GET", path).headers["etag"]
    found = [Target("board 304", server, path, [f"If-None-Match: {tag}"])]
    if api.fetch("GET", path, headers={"If-None-Match": tag}).status != 304:
        raise RuntimeError(f"{path}: no 304 to its own ETag")
    for coding in ("br", "gzip"):
        if api.fetch("GET", path, headers={"Accept-Encoding": coding}).headers.get("content-encoding") != coding:
            raise RuntimeError(f"{path}: not compressed with {coding}")
        found.append(Target(f"board {coding}", server, path, [f"Accept-Encoding: {coding}"]))
    return found


def steady_p99(steady: str, target: Target, rate: float, seconds: int, connections: int) -> float:
    """p99 in milliseconds at a constant rate, which must have been reached."""
    options = {"target": target.server.address, "path": target.path, "rate": rate, "seconds": seconds}
    options["connections"] = connections
    command = [steady, *(part for name, value in options.items() for part in (f"--{name}", str(value)))]
    for line in target.headers:
        command += ["--header", line]
    measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if measured["rate"] < 0.9 * rate:
        print(f"note: {target.name} reached {measured['rate']} of {rate:.0f} requests/s")
    return measured["p99_us"] / 1e3


def main() -> None:
    """Run the benchmark."""
    args = arguments(
        __doc__, rounds=(5, "alternating rounds"), seconds=(5, "seconds a turn"), connections=(64, "connections of wrk")
    )
    size = (20, 6, 50)
    if args.smoke:
        args.rounds, args.seconds, args.connections, size = 1, 1, 8, (3, 2, 5)
    about, before = conditions(args), processor_times()
    with ExitStack() as stack:
        server, api = start_evalboard(stack, args.evalboard)
        model = populate(api, *size)
        pairs = []
        for name, path, headers in [
            ("board", "/api/v1/leaderboard", []),
            ("list", "/api/v1/models", []),
            ("item", f"/api/v1/models/{model}", []),
            ("HTML board", "/", ["Accept: text/html"]),
        ]:
            mirror = ["--mirror", f"http://{server.address}{path}"]
            for line in headers:
                mirror += ["--header", line]
            bare = start_helper(stack, args.bins / "bare", *mirror)
            pair = (Target(name, server, path, headers), Target(f"{name}, bare", bare, path, headers))
            pairs.append((*pair, check_mirror(*pair)))
        own = variants(api, server, "/api/v1/leaderboard")
        api.close()  # an idle connection is one that the server may close

        targets = [target for ours, bare, _ in pairs for target in (ours, bare)] + own
        for target in targets:
            wrk(target.server, target.path, target.headers, 1, args.connections)  # warm
        for number in range(args.rounds):
            # Back and forth, so that neither side always follows the other.
            for target in targets if number % 2 == 0 else reversed(targets):
                target.loads.append(wrk(target.server, target.path, target.headers, args.seconds, args.connections))

        board, bare_board, _ = pairs[0]
        half = median(board.of("rate")) / 2
        p99: dict[str, list[float]] = {board.name: [], bare_board.name: []}
        for number in range(args.rounds):
            for target in (board, bare_board) if number % 2 == 0 else (bare_board, board):
                turn = steady_p99(str(args.bins / "steady"), target, half, args.seconds, args.connections)
                p99[target.name].append(turn)

    figures = [
        [target.name, spread(target.of("rate")), spread(target.of("cpu_us"), 1), spread(target.of("p99_ms"), 2)]
        for target in targets
    ]
    goals = []
    for ours, bare, length in pairs:
        rate = median(ours.of("rate")) / median(bare.of("rate"))
        each = [a / b for a, b in zip(ours.of("rate"), bare.of("rate"), strict=True)]
        cpu = median(ours.of("cpu_us")) / median(bare.of("cpu_us"))
        goal = 0.8 if ours.path == "/" else 0.85
        within = f"{min(each):.2f} - {max(each):.2f}"
        goals.append([f"{ours.name} ({length:,} bytes), rate / bare", f"{rate:.2f}", within, verdict(rate, goal)])
        goals.append([f"{ours.name}, CPU per request / bare", f"{cpu:.2f}", "", verdict(cpu, 1.25, at_most=True)])
    for target in own:
        rate = median(target.of("rate")) / median(board.of("rate"))
        goals.append([f"{target.name}, rate / our own identity", f"{rate:.2f}", "", verdict(rate, 1)])
    tail = median(p99[board.name]) / max(median(p99[bare_board.name]), 1e-3)
    both = f"{spread(p99[board.name], 2)} ms / {spread(p99[bare_board.name], 2)} ms"
    goals.append([f"board, p99 at {half:,.0f} requests/s / bare", f"{tail:.2f}", both, verdict(tail, 2, at_most=True)])

    text = f"""## P1: hot reads

{about}
{stolen(before)}
- Board: {size[0]} models x {size[1]} evals x {size[2]} samples
- Load: wrk -t2 -c{args.connections} -d{args.seconds}s, {args.rounds} alternating rounds after 1 s of warm-up

{table(["ratio", "median", "spread", "goal"], goals)}

{table(["target", "requests/s", "CPU us/request", "p99 ms at full load"], figures)}"""
    report(args, "P1", text)


if __name__ == "__main__":
    main()
