"""What the benchmarks share: processes, the API, wrk, figures from /proc, and RESULTS.md.

Standard library only; Linux only, because of /proc. Every process it starts is ended with it, and
all data lives in temporary folders. It judges nothing: the goals are in p1.py to p6.py.
"""

import argparse
import http.client
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")


def arguments(description: str, **more: tuple[object, str]) -> argparse.Namespace:
    """Parse the command line; `more` names further options as (default, help)."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    target = os.environ.get("CARGO_TARGET_DIR", HERE / "target")
    parser.add_argument("evalboard", type=Path, help="the release binary of the server")
    parser.add_argument(
        "--bins", type=Path, default=Path(target) / "release", help="folder of bare, client, provider and steady"
    )
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md", help="file whose section is rewritten")
    parser.add_argument("--smoke", action="store_true", help="tiny, and only printed: to see that it works")
    for name, (default, text) in more.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"{text} ({default})")
    return parser.parse_args()


# Processes


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, all threads, in steps of a clock tick."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_rss_mb(pid: int) -> float:
    """The most memory a process had resident at any time, in MB of 10^6 bytes."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(found[1]) * 1024 / 1e6 if found else float("nan")


def processor_times() -> list[int]:
    """Ticks of the whole machine by kind, as in the first line of /proc/stat."""
    return [int(text) for text in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


def free_address() -> str:
    """An address on the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


@dataclass
class Server:
    """A running process and where it listens."""

    address: str
    pid: int
    data: Path | None = None


def stop(process: subprocess.Popen) -> None:
    """Ask a process to end, and end it if it does not."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def start_helper(stack: ExitStack, binary: Path, *options: str) -> Server:
    """Start one of our own binaries; it prints its address when it listens."""
    process = subprocess.Popen([binary, *options], stdout=subprocess.PIPE, text=True)
    stack.callback(process.stdout.close)
    stack.callback(stop, process)
    if not (address := process.stdout.readline().strip()):
        raise RuntimeError(f"{binary.name} did not start")
    return Server(address, process.pid)


def start_evalboard(
    stack: ExitStack, binary: Path, egress: str = "", settings: dict[str, str] | None = None
) -> tuple[Server, "Api"]:
    """Start the server in its default configuration but for `settings` on an empty folder, with an admin's key."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="evalboard-bench-"))
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("EVALBOARD_")}
    environment = inherited | {"EVALBOARD_DATA_DIR": f"{folder}/data"} | (settings or {})
    if egress:
        environment["EVALBOARD_EGRESS_ALLOW"] = egress
    command = [binary, "key", "create", "--email", "bench@example.com", "--admin"]
    made = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    address = free_address()
    log = Path(folder, "log")
    with log.open("w") as output:
        process = subprocess.Popen(
            [binary, "serve", "--listen", address], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    stack.callback(stop, process)
    api = Api(address, made.stdout.strip())
    stack.callback(api.close)
    deadline = time.monotonic() + 30
    while True:
        try:
            if api.fetch("GET", "/readyz").status == 200:
                return Server(address, process.pid, Path(folder, "data")), api
        except OSError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"evalboard did not get ready:\n{log.read_text()[-2000:]}")
        time.sleep(0.05)


# The API


@dataclass
class Answer:
    """One HTTP answer, its header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Api:
    """One kept-alive connection to a server; reads are anonymous, writes carry the key."""

    def __init__(self, address: str, key: str = "") -> None:
        self.connection = http.client.HTTPConnection(address, timeout=60)
        self.key = key

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def fetch(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Answer:
        """One request as it is, whatever the answer."""
        sent = dict(headers or {})
        data = None
        if method != "GET":
            sent["Authorization"] = f"Bearer {self.key}"
        if body is not None:
            data = json.dumps(body)
            sent["Content-Type"] = "application/json"
        try:
            self.connection.request(method, path, data, sent)
            response = self.connection.getresponse()
            received = {name.lower(): text for name, text in response.getheaders()}
            return Answer(response.status, received, response.read())
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            raise OSError(f"{method} {path}: {error!r}") from error

    def call(self, method: str, path: str, body: object = None) -> dict | list:
        """One request that must succeed; waits where the server asks for it."""
        while (answer := self.fetch(method, f"/api/v1{path}", body)).status == 429:
            time.sleep(float(answer.headers.get("retry-after", 1)))
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.body[:500]!r}")
        return json.loads(answer.body)

    def run(self, body: dict | None = None, quiet: float = 0, poll: float = 0.25, limit: float = 600) -> dict:
        """Trigger a run and, after a `quiet` time, poll until it is over; it must complete without an error."""
        self.close()  # The server may have closed a connection that idled while others had their turn; this opens anew.
        path = f"/runs/{self.call('POST', '/runs', body)['id']}"
        deadline = time.monotonic() + limit
        time.sleep(quiet)
        while (state := self.call("GET", path))["status"] in ("queued", "running"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"run not over after {limit} s: {state}")
            time.sleep(poll)
        if state["status"] != "completed" or state.get("case_errors"):
            raise RuntimeError(f"run did not complete cleanly: {state}")
        return state


# Load


@dataclass
class Load:
    """What one turn of wrk measured."""

    rate: float
    cpu_us: float
    p99_ms: float


def wrk(server: Server, path: str, headers: list[str], seconds: int, connections: int) -> Load:
    """Drive a server as hard as wrk can with two threads; every answer must be 2xx or 3xx."""
    command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--latency"]
    for line in headers:
        command += ["-H", line]
    before = cpu_seconds(server.pid)
    done = subprocess.run([*command, f"http://{server.address}{path}"], check=True, capture_output=True, text=True)
    used = cpu_seconds(server.pid) - before
    if found := re.search(r"Non-2xx or 3xx responses.*|Socket errors.*", done.stdout):
        raise RuntimeError(f"wrk {path}: {found[0]}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    total = re.search(r"(\d+) requests in", done.stdout)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout)
    if not (rate and total and p99):
        raise RuntimeError(f"wrk said:\n{done.stdout}")
    scale = {"us": 1e-3, "ms": 1, "s": 1e3}[p99[2]]
    return Load(float(rate[1]), used * 1e6 / int(total[1]), float(p99[1]) * scale)


# Reporting


def spread(values: list[float], digits: int = 0) -> str:
    """`median (least - most)`."""
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} - {max(values):,.{digits}f})"


def verdict(value: float, goal: float, at_most: bool = False) -> str:
    """A goal and whether it is met, for the last column of a table."""
    met = value <= goal if at_most else value >= goal
    return f"{'<=' if at_most else '>='} {goal:g}: {'met' if met else 'MISSED'}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def first_line(*command: str | Path) -> str:
    """The first line a command prints, or "unknown"; wrk prints its version and fails."""
    if not shutil.which(command[0]):
        return "unknown"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return ((done.stdout or done.stderr).strip().splitlines() or ["unknown"])[0]


def stolen(before: list[int]) -> str:
    """How much of the machine's time a hypervisor gave to others since `before`, as a Markdown list."""
    passed = [now - then for now, then in zip(processor_times(), before, strict=True)]
    return f"- Stolen CPU time while it ran: {100 * passed[7] / max(sum(passed), 1):.1f} %"


def conditions(args: argparse.Namespace) -> str:
    """Machine, versions, command and moment, as a Markdown list."""
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    lock = HERE / "Cargo.lock"
    actix = re.search(r'name = "actix-web"\nversion = "([^"]+)"', lock.read_text() if lock.exists() else "")
    versions = [
        first_line(args.evalboard, "--version"),
        f"actix-web {actix[1] if actix else 'unknown'}",
        first_line("rustc", "--version"),
        first_line("wrk", "-v").partition(" [")[0],
        f"Python {platform.python_version()}",
        f"Linux {platform.release()}",
    ]
    options = " ".join(
        f"--{name} {value}" for name, value in vars(args).items() if isinstance(value, int) and name != "smoke"
    )
    return "\n".join(
        [
            f"- Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; load average before: {os.getloadavg()[0]:.2f}",
            f"- Machine: {os.cpu_count()} x {model[1] if model else platform.machine()}, {memory:.1f} GiB",
            f"- Versions: {', '.join(versions)}",
            f"- Command: `python3 bench/{Path(sys.argv[0]).name} evalboard {options}`",
        ]
    )


def report(args: argparse.Namespace, name: str, text: str) -> None:
    """Print a section and put it in the results in place of the last; after a smoke test, say only that it ran."""
    if args.smoke:
        print(f"{name}: ran to its end (a smoke test: its figures mean nothing)")
        return
    print(text)
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    section = f"{opening}\n{text}\n{closing}"
    old = args.results.read_text() if args.results.exists() else "# Benchmark results\n"
    if opening in old and closing in old:
        new = old.partition(opening)[0] + section + old.partition(closing)[2]
    else:
        new = f"{old.rstrip()}\n\n{section}\n"
    args.results.write_text(new)
