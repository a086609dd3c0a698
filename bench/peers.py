"""The peers of P2 and P3: what other tools need for the same cases on the same provider.

inspect_ai, lm-eval and promptfoo, each installed once, at a fixed version, below the target folder; each
told by a file in peers/ to ask what evalboard is asked and to score it by an exact match. A peer gets
figures only if the provider counted its calls and it reports the right accuracy; one that cannot be
installed or run is listed with the reason. It judges nothing: the goals are in p2.py and p3.py.

What is the same for all: as many calls at once, no cache, no display, no telemetry, every answer kept on disk,
retries and everything else as each has it by default. A peer is a command, so it starts anew each time;
a run of a single case tells how much of the cost is that start.
"""

import argparse
import csv
import http.client
import json
import os
import platform
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rig import HERE, Server, first_line, spread, table

POLL = 0.05  # seconds between looks at a peer: what its wall time may be too long by
LIMIT = 1800  # seconds an installation or a run may take
PAGE = os.sysconf("SC_PAGE_SIZE")


class Unusable(Exception):
    """Why a peer has no figures, in one line."""


@dataclass
class Cost:
    """What some cases took: `wall` and `cpu` (user and system, the whole process tree) in seconds."""

    cases: int
    wall: float
    cpu: float
    peak_mb: float

    def cpu_ms(self) -> float:
        """CPU time per case in ms."""
        return self.cpu * 1e3 / self.cases

    def rate(self) -> float:
        """Cases per second."""
        return self.cases / self.wall

    def without(self, start: "Cost") -> "Cost":
        """The cost without that of a smaller run, which is nearly all start."""
        # Noise may make a start longer than a small run; it must not make a peer infinitely fast.
        wall, cpu = max(self.wall - start.wall, POLL), max(self.cpu - start.cpu, 1e-3)
        return Cost(self.cases - start.cases, wall, cpu, self.peak_mb)


# The peers


class InspectAI:
    """inspect_ai. What only a person watching the run would see is off: its best case."""

    name, version, config = "inspect_ai", "0.3.285", "inspect_task.py"

    def install(self, folder: Path) -> list[list[str]]:
        """The commands that install it; `openai` is what it speaks to compatible servers with."""
        return virtual_environment(folder, f"inspect_ai=={self.version}", "openai==3.54.0")

    def command(self, folder: Path, _: str, at_once: int) -> list[str]:
        """The command that runs the cases of the folder it is started in."""
        options = ["--max-connections", f"{at_once}", "--display", "none", "--no-log-realtime", "--no-score-display"]
        model = ["--model", "openai-api/bench/bench", "--log-dir", "logs"]
        return [f"{folder}/bin/inspect", "eval", self.config, *model, *options]

    def environment(self, address: str) -> dict[str, str]:
        """Where the provider is."""
        return {"BENCH_BASE_URL": f"http://{address}/v1", "BENCH_API_KEY": "bench"}

    def outcome(self, folder: Path, work: Path) -> tuple[int, float]:
        """How many cases its log has and the mean score it reports; only it reads its logs well."""
        log = next(work.glob("logs/*.eval"))
        dump = [f"{folder}/bin/inspect", "log", "dump", "--header-only", log]
        results = json.loads(subprocess.run(dump, check=True, capture_output=True).stdout)["results"]
        return results["completed_samples"], results["scores"][0]["metrics"]["mean"]["value"]


class LmEval:
    """lm-eval by its chat completions API model, without a tokenizer: it has no use for one here."""

    name, version, config = "lm-eval", "0.4.13", "lm_eval.yaml"

    def install(self, folder: Path) -> list[list[str]]:
        """The commands that install it, without torch."""
        return virtual_environment(folder, f"lm_eval[api]=={self.version}")

    def command(self, folder: Path, address: str, at_once: int) -> list[str]:
        """The command that runs the cases of the folder it is started in; the others keep the answers unasked."""
        url = f"base_url=http://{address}/v1/chat/completions"
        model = f"model=bench,{url},num_concurrent={at_once},tokenizer_backend=none,tokenized_requests=False"
        options = ["--apply_chat_template", "--output_path", "out", "--log_samples"]
        chosen = ["--model", "local-chat-completions", "--model_args", model, "--include_path", ".", "--tasks", "bench"]
        return [f"{folder}/bin/lm_eval", "run", *chosen, *options]

    def environment(self, _: str) -> dict[str, str]:
        """No progress bars, nothing from the network."""
        return {"OPENAI_API_KEY": "bench", "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", "HF_HOME": "hf"}

    def outcome(self, _: Path, work: Path) -> tuple[int, float]:
        """How many answers it kept and the accuracy it reports."""
        results = json.loads(next(work.glob("out/*/results_*.json")).read_text())
        with next(work.glob("out/*/samples_*.jsonl")).open() as samples:
            return sum(1 for _ in samples), results["results"]["bench"]["exact_match,none"]


class Promptfoo:
    """promptfoo. Failed cases do not fail the command; its database is its record, as evalboard's is."""

    name, version, config = "promptfoo", "0.121.20", "promptfoo.yaml"

    def install(self, folder: Path) -> list[list[str]]:
        """The command that installs it."""
        if not shutil.which("node") or not shutil.which("npm"):
            raise Unusable("node and npm are not installed")
        quiet = ["--no-fund", "--no-audit", "--no-update-notifier"]
        return [["npm", "install", *quiet, "--prefix", str(folder), f"promptfoo@{self.version}"]]

    def command(self, folder: Path, _: str, at_once: int) -> list[str]:
        """The command that runs the cases of the folder it is started in."""
        options = ["--no-cache", "--no-table", "--no-progress-bar", "--max-concurrency", f"{at_once}"]
        return [f"{folder}/node_modules/.bin/promptfoo", "eval", "-c", self.config, *options]

    def environment(self, address: str) -> dict[str, str]:
        """Where the provider is; nobody else is called."""
        quiet = [f"PROMPTFOO_DISABLE_{what}" for what in ("TELEMETRY", "UPDATE", "REMOTE_GENERATION", "SHARING")]
        own = {"PROMPTFOO_CONFIG_DIR": "home", "PROMPTFOO_FAILED_TEST_EXIT_CODE": "0"}
        return dict.fromkeys(quiet, "1") | own | {"OPENAI_BASE_URL": f"http://{address}/v1", "OPENAI_API_KEY": "bench"}

    def outcome(self, _: Path, work: Path) -> tuple[int, float]:
        """How many cases its database has and how many of them passed."""
        database = sqlite3.connect(work / "home" / "promptfoo.db")
        try:
            return database.execute("SELECT count(*), avg(success) FROM eval_results").fetchone()
        finally:
            database.close()


Peer = InspectAI | LmEval | Promptfoo
ALL: list[Peer] = [InspectAI(), LmEval(), Promptfoo()]


# Installing and running them


def virtual_environment(folder: Path, *packages: str) -> list[list[str]]:
    """The commands that install Python packages in an environment of their own."""
    pip = [f"{folder}/bin/pip", "install", "--disable-pip-version-check", "--no-input"]
    return [[sys.executable, "-m", "venv", str(folder)], [*pip, *packages]]


def install(peer: Peer, folder: Path) -> None:
    """Install a peer unless it is there already; a last, empty file tells one that was interrupted."""
    if (folder / "installed").exists():
        return
    print(f"installing {peer.name} {peer.version} (some minutes, once)", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for command in peer.install(folder):
        run(command, folder, dict(os.environ))
    (folder / "installed").touch()


def run(command: list[str], work: Path, environment: dict[str, str]) -> tuple[float, float, float]:
    """Run a command in a folder, its output going to a log there: wall and CPU seconds, and peak MB.

    CPU is that of all processes it waited for; memory is the most the tree had resident at a look.
    """
    log, before, started, peak = work / "log", children_cpu(), time.monotonic(), 0.0
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while process.poll() is None:
            if time.monotonic() - started > LIMIT:
                raise Unusable(f"not over after {LIMIT} s")
            peak = max(peak, tree_rss_mb(process.pid))
            time.sleep(POLL)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        raise Unusable(f"{Path(command[0]).name} ended with {process.returncode}: {complaint(log)}")
    return time.monotonic() - started, children_cpu() - before, peak


def children_cpu() -> float:
    """User and system seconds of all processes that ended below this one."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def tree_rss_mb(pid: int) -> float:
    """What a process and all below it have resident now, in MB of 10^6 bytes; what has just ended has none."""
    process = Path(f"/proc/{pid}")
    try:
        own = int((process / "statm").read_text().split()[1]) * PAGE / 1e6
        below = [child for task in process.glob("task/*/children") for child in task.read_text().split()]
    except OSError:
        return 0.0
    return own + sum(tree_rss_mb(int(child)) for child in below)


def complaint(log: Path) -> str:
    """The line of a log that most likely tells what went wrong, fit for a cell of a table."""
    text = log.read_text(errors="replace").strip()
    found = re.search(r"^(npm )?\w*error\b.*", text, re.MULTILINE | re.IGNORECASE)
    line = found[0] if found else (text.splitlines() or ["it said nothing"])[-1]
    return line.replace("|", "/").strip()[:200]


def provider_calls(provider: Server) -> int:
    """How many calls the provider has had so far."""
    connection = http.client.HTTPConnection(provider.address, timeout=10)
    try:
        connection.request("GET", "/calls")
        return int(connection.getresponse().read())
    finally:
        connection.close()


def write_cases(path: Path, cases: int) -> float:
    """The questions of P2 and P3 as a file; returns the accuracy that a tool must report."""
    targets = [("42", "no")[i % 2] for i in range(cases)]
    with path.open("w", newline="") as output:
        rows = csv.writer(output)
        rows.writerow(["input", "target"])
        rows.writerows((f"Question {i}", target) for i, target in enumerate(targets))
    return targets.count("42") / cases


def measure(peer: Peer, folder: Path, provider: Server, cases: int, at_once: int) -> Cost:
    """Run a peer, installed in `folder`, in a folder of its own and see that it did the work.

    What it printed last stays in `last.log` where it is installed.
    """
    with tempfile.TemporaryDirectory(prefix="evalboard-peer-") as name:
        work = Path(name)
        shutil.copy(HERE / "peers" / peer.config, work)
        right = write_cases(work / "cases.csv", cases)
        # Nothing of the user's is read or written, and no proxy stands before the provider.
        inherited = {key: text for key, text in os.environ.items() if not key.lower().endswith("_proxy")}
        own = {f"XDG_{what}_HOME": str(work / "xdg") for what in ("CACHE", "CONFIG", "DATA", "STATE")}
        environment = inherited | own | peer.environment(provider.address)
        before = provider_calls(provider)
        try:
            cost = Cost(cases, *run(peer.command(folder, provider.address, at_once), work, environment))
        finally:
            shutil.copy(work / "log", folder / "last.log")
        calls = provider_calls(provider) - before
        try:
            kept, accuracy = peer.outcome(folder, work)
        except (StopIteration, LookupError, ValueError, TypeError, sqlite3.Error, subprocess.SubprocessError) as error:
            raise Unusable(f"no result that can be read: {error!r}; it said: {complaint(work / 'log')}") from error
    if (calls, kept) != (cases, cases) or abs(accuracy - right) > 1e-9:
        raise Unusable(f"{cases} cases: {calls} calls, {kept} kept, accuracy {accuracy} instead of {right}")
    return cost


# What p2.py and p3.py use


class Peers:
    """All peers on one provider: installed first, run in turns, shown as a table."""

    def __init__(self, args: argparse.Namespace, provider: Server, cases: int, at_once: int) -> None:
        """Install them below the target folder, unless `args.peers`, the turns they get, is 0."""
        self.provider, self.cases, self.at_once, self.turns = provider, cases, at_once, args.peers
        self.reasons: dict[str, str] = {}
        self.costs: dict[str, list[tuple[Cost, Cost]]] = {peer.name: [] for peer in ALL}
        below = (args.bins.parent / "peers").absolute()
        self.folders = {peer.name: below / f"{peer.name}-{peer.version}" for peer in ALL}
        if self.turns:
            self.each(lambda peer: install(peer, self.folders[peer.name]))
        else:
            print("peers: not run" + (" in a smoke test" if args.smoke else ""))

    def each(self, action: Callable[[Peer], None]) -> None:
        """Do something with each peer; with which it fails is left alone from then on, and why is kept."""
        for peer in ALL:
            if peer.name in self.reasons:
                continue
            try:
                action(peer)
            except (Unusable, OSError) as error:
                self.reasons[peer.name] = str(error)
                print(f"{peer.name}: not run: {error}", file=sys.stderr, flush=True)

    def turn(self, number: int) -> None:
        """Run each peer once; does nothing when they had all their turns."""
        if number < self.turns:
            self.each(self.run)

    def run(self, peer: Peer) -> None:
        """Run a peer with one case and with all, and keep the cost, whole and without the start."""
        start, whole = (
            measure(peer, self.folders[peer.name], self.provider, cases, self.at_once) for cases in (1, self.cases)
        )
        self.costs[peer.name].append((whole, whole.without(start)))

    def ratios(self, cpu_ms: float) -> tuple[float, float] | None:
        """CPU per case of the peer that needs least, whole and without its start, as multiples of `cpu_ms`."""
        ran = [costs for costs in self.costs.values() if costs]
        if not ran:
            return None
        least = [min(median(pair[i].cpu_ms() for pair in costs) for costs in ran) for i in (0, 1)]
        return least[0] / cpu_ms, least[1] / cpu_ms

    def section(self, ours: list[Cost]) -> str:
        """The peers beside evalboard's own runs, as Markdown."""
        if not self.turns:
            return "Peers: not run."
        head = ["the same cases by", "wall, s", "cases/s", "CPU ms per case", "peak RSS, MB", "CPU / evalboard's"]
        mine = median(cost.cpu_ms() for cost in ours)
        rows = [["evalboard", *cells(ours), "1"]]
        for peer in ALL:
            rows += self.rows(peer, mine)
        return f"""### Peers

- {self.cases:,} cases for each peer, the same questions on the same provider
- Turns of a peer, in between those of evalboard: {self.turns}
- Each peer with figures made as many calls as it had cases, by the provider's count, and reported the right accuracy
- CPU is user and system time of the whole process tree (`RUSAGE_CHILDREN`), memory what the tree had resident
- A peer is a command: "start excluded" takes off what it needs for a single case; evalboard was running already
- Python {platform.python_version()}, node {first_line("node", "--version")}; {self.at_once} calls at once, caches off

{table(head, rows)}"""

    def rows(self, peer: Peer, mine: float) -> list[list[str]]:
        """A peer's rows: whole and without its start, and why it had no turn or fewer than it should."""
        title, pairs = f"{peer.name} {peer.version}", self.costs[peer.name]
        rows = []
        if pairs:
            for i, name in enumerate((title, f"{title}, start excluded")):
                costs = [pair[i] for pair in pairs]
                rows.append([name, *cells(costs), f"{median(cost.cpu_ms() for cost in costs) / mine:.0f}"])
        if peer.name in self.reasons:
            after = f" after turn {len(pairs)}" if pairs else ""
            rows.append([title, f"not run{after}: {self.reasons[peer.name]}", "", "", "", ""])
        return rows


def cells(costs: list[Cost]) -> list[str]:
    """Wall time, rate, CPU per case and peak memory of some runs."""
    wall, rate = spread([cost.wall for cost in costs], 2), spread([cost.rate() for cost in costs])
    cpu = spread([cost.cpu_ms() for cost in costs], 3)
    return [wall, rate, cpu, f"{max(cost.peak_mb for cost in costs):.0f}"]
