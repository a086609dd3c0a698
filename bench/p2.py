"""P2: many calls to a provider of fixed latency; what the server itself costs and holds up.

One model with `max_concurrency` 100, one `exact` eval of 2,000 samples, a provider that takes
100 ms: ideally 2.0 s from the POST to `completed`. The run is repeated on the same server, the
first time with everything cold. Both share the machine, so the provider's CPU is reported beside
ours. Peers (peers.py) get the same cases in between.
"""

import time
from contextlib import ExitStack
from statistics import median

from peers import Cost, Peers
from rig import (
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

POLL = 0.025  # seconds; what the wall time may be too long by. Begins when a run may be over: reads are rate limited.


def best_peer(peers: Peers, cpu_ms: float) -> list[list[str]]:
    """The row that holds our CPU per case against the peer that needs least; none when no peer ran."""
    if not (ratios := peers.ratios(cpu_ms)):
        return []
    whole, without_start = ratios
    beside = f"start excluded: {without_start:.0f}"
    return [["best peer's CPU per case / ours", f"{whole:.0f}", beside, verdict(whole, 30)]]


def main() -> None:
    """Run the benchmark."""
    args = arguments(
        __doc__,
        rounds=(5, "times the run is repeated"),
        samples=(2000, "cases of a run"),
        latency=(100, "latency of the provider in ms"),
        concurrency=(100, "calls at once"),
        peers=(3, "times each peer runs, at most as often as the run is repeated"),
    )
    if args.smoke:
        args.rounds, args.samples, args.latency, args.concurrency, args.peers = 1, 50, 10, 10, 0
    about, times = conditions(args), processor_times()
    ideal = args.samples / args.concurrency * args.latency / 1e3
    wall, inside, cpu, provider_cpu = [], [], [], []
    with ExitStack() as stack:
        provider = start_helper(stack, args.bins / "provider", "--latency-ms", str(args.latency), "--answer", "42")
        server, api = start_evalboard(stack, args.evalboard, egress=provider.address)
        uri = f"openai-compatible:http://{provider.address}/v1#bench"
        model = {"name": "Bench", "inference_uri": uri, "api_key": "bench", "max_concurrency": args.concurrency}
        model_id = api.call("POST", "/models", model)["id"]
        # Every other answer is right, so a board that did no work would show.
        samples = [{"input": f"Question {i}", "target": ("42", "no")[i % 2]} for i in range(args.samples)]
        made = {"name": "Bench", "prompt": "Answer: {{input}}", "eval_type": "exact", "samples": samples}
        eval_id = api.call("POST", "/evals", made)["id"]
        peers = Peers(args, provider, args.samples, args.concurrency)
        for turn in range(args.rounds):
            started = time.monotonic()
            before = cpu_seconds(server.pid), cpu_seconds(provider.pid)
            run = api.run({"model_ids": [model_id], "eval_ids": [eval_id]}, quiet=0.95 * ideal, poll=POLL)
            wall.append(time.monotonic() - started)
            cpu.append((cpu_seconds(server.pid) - before[0]) * 1e3 / args.samples)
            provider_cpu.append((cpu_seconds(provider.pid) - before[1]) * 1e3 / args.samples)
            inside.append((run["completed_at"] - run["started_at"]) / 1e3)
            scores = [result["score"] for result in api.call("GET", f"/runs/{run['id']}/results")]
            if scores != [0.5]:
                raise RuntimeError(f"scores are {scores}, not [0.5]")
            peers.turn(turn)
        peak = peak_rss_mb(server.pid)

    ratio = median(wall) / ideal
    figures = [
        ["wall, POST to completed / ideal", f"{ratio:.3f}", f"{spread(wall, 2)} s", verdict(ratio, 1.1, at_most=True)],
        ["CPU ms per finished case", f"{median(cpu):.3f}", spread(cpu, 3), verdict(median(cpu), 0.2, at_most=True)],
        ["peak RSS, MB", f"{peak:.0f}", "", verdict(peak, 60, at_most=True)],
        ["completed_at - started_at, s", f"{median(inside):.2f}", spread(inside, 2), ""],
        *best_peer(peers, median(cpu)),
        ["the provider's own CPU ms per call", f"{median(provider_cpu):.3f}", spread(provider_cpu, 3), ""],
    ]
    ours = [Cost(args.samples, took, ms * args.samples / 1e3, peak) for took, ms in zip(wall, cpu, strict=True)]
    text = f"""## P2: {args.samples:,} calls of {args.latency} ms, {args.concurrency} at once

{about}
{stolen(times)}
- Ideal: {ideal:.2f} s; runs on one server: {args.rounds}, the first cold
- A run's state is polled each {POLL * 1e3:.0f} ms from 0.95 of the ideal on

{table(["figure", "median", "spread", "goal"], figures)}

{peers.section(ours)}"""
    report(args, "P2", text)


if __name__ == "__main__":
    main()
