"""P3: a provider that takes no time; what is left is the engine and its database.

The yardstick is the HTTP client that the server uses, posting the same bodies to the same provider
with nothing behind it; the two run alternately, and in between the peers (peers.py), with fewer
cases. Then a plan of 100,000 cases: how long until its first case is stored, and how much memory
the server takes while it works. Provider, client and server share the machine.
"""

import subprocess
import time
from contextlib import ExitStack
from statistics import median

from peers import Cost, Peers
from rig import (
    Api,
    arguments,
    conditions,
    cpu_seconds,
    peak_rss_mb,
    processor_times,
    report,
    spread,
    start_evalboard,
    start_helper,
    stolen,
    table,
    verdict,
)

AT_ONCE = 100
EPOCHS = 100  # of the large plan: its samples are a hundredth of its cases


def register(api: Api, address: str, samples: int, epochs: int = 1) -> dict:
    """A model of the provider and an eval of that many cases, as the body of a run."""
    uri = f"openai-compatible:http://{address}/v1#bench"
    model = {"name": "Bench", "inference_uri": uri, "api_key": "bench", "max_concurrency": AT_ONCE}
    questions = [{"input": f"Question {i}", "target": ("42", "no")[i % 2]} for i in range(samples)]
    made = {"name": "Bench", "prompt": "Answer: {{input}}", "eval_type": "exact", "samples": questions, "epochs": epochs}
    ids = api.call("POST", "/models", model)["id"], api.call("POST", "/evals", made)["id"]
    return {"model_ids": [ids[0]], "eval_ids": [ids[1]]}


def first_case(api: Api, body: dict) -> tuple[str, float]:
    """Trigger a run; how many seconds it takes until its first case is stored."""
    started = time.monotonic()
    run = api.call("POST", "/runs", body)["id"]
    while api.call("GET", f"/runs/{run}")["case_done"] == 0:
        time.sleep(0.02)
    return run, time.monotonic() - started


def main() -> None:
    """Run the benchmark."""
    args = arguments(
        __doc__,
        rounds=(5, "times both sides run"),
        cases=(20000, "cases of a run, and calls of the client"),
        plan=(100000, "cases of the large plan"),
        peers=(3, "times each peer runs, at most as often as both sides"),
        peercases=(2000, "cases of a peer's run"),
    )
    if args.smoke:
        args.rounds, args.cases, args.plan, args.peers = 1, 200, 1000, 0
    about, times = conditions(args), processor_times()
    ours, bare, costs = [], [], []
    with ExitStack() as stack:
        provider = start_helper(stack, args.bins / "provider", "--latency-ms", "0", "--answer", "42")
        server, api = start_evalboard(stack, args.evalboard, egress=provider.address)
        body = register(api, provider.address, args.cases)
        client = [args.bins / "client", "--address", provider.address, "--calls", str(args.cases)]
        peers = Peers(args, provider, args.peercases, AT_ONCE)
        for turn in range(args.rounds):
            done = subprocess.run([*client, "--at-once", str(AT_ONCE)], check=True, capture_output=True, text=True)
            bare.append(float(done.stdout))
            before = cpu_seconds(server.pid)
            run = api.run(body, poll=0.1)
            used = cpu_seconds(server.pid) - before
            ours.append(args.cases / max(run["completed_at"] - run["started_at"], 1) * 1e3)
            if run["case_done"] != args.cases:
                raise RuntimeError(f"{run['case_done']} cases of {args.cases}")
            costs.append(Cost(args.cases, args.cases / ours[-1], used, peak_rss_mb(server.pid)))
            peers.turn(turn)

        large, other = start_evalboard(stack, args.evalboard, egress=provider.address)
        run, start = first_case(other, register(other, provider.address, args.plan // EPOCHS, EPOCHS))
        while (state := other.call("GET", f"/runs/{run}"))["status"] == "running":
            time.sleep(0.25)
        if state["status"] != "completed" or state["case_done"] != args.plan:
            raise RuntimeError(f"the large plan did not complete: {state}")
        took = (state["completed_at"] - state["started_at"]) / 1e3
        peak = peak_rss_mb(large.pid)

    ratio = median(ours) / median(bare)
    figures = [
        ["durable cases/s / calls/s of the bare client", f"{ratio:.2f}", "", verdict(ratio, 0.5)],
        ["durable cases/s", f"{median(ours):,.0f}", spread(ours), ""],
        ["calls/s of the bare client", f"{median(bare):,.0f}", spread(bare), ""],
        [f"{args.plan:,} cases: first one stored after, s", f"{start:.2f}", "", verdict(start, 2, at_most=True)],
        [f"{args.plan:,} cases: all stored after, s", f"{took:.1f}", "", ""],
        [f"{args.plan:,} cases: peak RSS, MB", f"{peak:.0f}", "", verdict(peak, 150, at_most=True)],
    ]
    text = f"""## P3: {args.cases:,} calls that take no time, {AT_ONCE} at once

{about}
{stolen(times)}
- Both sides alternately, {args.rounds} times; the large plan once, on a server of its own

{table(["figure", "median", "spread", "goal"], figures)}

{peers.section(costs)}"""
    report(args, "P3", text)


if __name__ == "__main__":
    main()
