"""Fuzzes a server by its own OpenAPI document, as anonymous, member and admin: python3 run.py EVALBOARD [--examples N]

Each identity gets a server of its own on a folder of its own, with something of every kind in it. Whatever is
asked, no answer may be a 5xx, and whatever is answered must have the shape that the document says. Exits 1 when one
of them fails; the request that did it is printed as a curl command.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance"
# Of each kind of thing, so that there is still one after the fuzzer has deleted some.
COPIES = 12
UNLIMITED = "1000000"
RATES = [f"EVALBOARD_RATE_{kind}" for kind in ("READ", "READ_BURST", "WRITE", "WRITE_BURST", "LOGIN")]


class Server:
    """A running server with an admin's and a member's key."""

    def __init__(self, stack: ExitStack, binary: Path) -> None:
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evalboard-fuzz-")))
        kept = {name: text for name, text in os.environ.items() if not name.startswith("EVALBOARD_")}
        self.environment = kept | dict.fromkeys(RATES, UNLIMITED) | {"EVALBOARD_DATA_DIR": str(self.folder / "data")}
        self.binary = binary
        self.admin = self.key("admin@example.org", "--admin")
        self.member = self.key("member@example.org")
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{listener.getsockname()[1]}"
        self.base = f"http://{address}"
        log = stack.enter_context((self.folder / "log").open("w"))
        self.process = subprocess.Popen([binary, "serve", "--listen", address], env=self.environment, stderr=log)
        stack.callback(self.process.wait)
        stack.callback(self.process.kill)
        self.wait()

    def key(self, email: str, *more: str) -> str:
        command = [self.binary, "key", "create", "--email", email, *more]
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout.strip()

    def wait(self) -> None:
        for _ in range(300):
            try:
                return urllib.request.urlopen(f"{self.base}/readyz").close()
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise RuntimeError("the server does not answer: " + self.log())

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def ask(self, method: str, path: str, body: object = None, key: str | None = None) -> object:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {key or self.member}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.base}/api/v1{path}", data, headers, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


def furnish(server: Server, owner: str) -> dict[str, list[str]]:
    """Make things of every kind, all of them `owner`'s; their ids by the noun of their collection."""
    ids: dict[str, list[str]] = {}

    def make(noun: str, path: str, body: object, key: str = owner) -> str:
        made = server.ask("POST", path, body, key)["id"]
        ids.setdefault(noun, []).append(made)
        return made

    for copy in range(COPIES):
        model = make("models", "/models", {"name": f"Model {copy}", "inference_uri": "builtin:calculator"})
        samples = [{"input": f"{copy} + {plus}", "target": str(copy + plus)} for plus in range(3)]
        make("evals", "/evals", {"name": f"Sums {copy}", "prompt": "{{input}}", "eval_type": "numeric", "samples": samples})
        link = {"name": "Weights", "artifact_type": "weights", "file_name": "w.bin", "blob_url": "https://files.example/w"}
        make("artifacts", f"/models/{model}/artifacts", link)
        link = {"name": f"Lines {copy}", "file_name": "a.jsonl", "blob_url": "https://files.example/a.jsonl"}
        make("training-sets", "/training-sets", link)
        make("schedules", "/schedules", {"name": f"Nightly {copy}", "cron": "0 3 * * *"}, server.admin)
        make("keys", "/keys", {"name": f"CI {copy}"})
    for _ in range(3):
        run = make("runs", "/runs", {})
        while server.ask("GET", f"/runs/{run}")["status"] in ("queued", "running"):
            time.sleep(0.05)
        for result in server.ask("GET", f"/runs/{run}/results"):
            ids.setdefault("results", []).append(result["id"])
    for result in ids["results"][:COPIES]:
        ids.setdefault("cases", []).extend(case["id"] for case in server.ask("GET", f"/results/{result}/cases"))
    ids["badge"] = ids["models"]
    return ids


def fuzz(binary: Path, identity: str, arguments: argparse.Namespace) -> bool:
    """Fuzz as one identity; whether all was well."""
    with ExitStack() as stack:
        server = Server(stack, binary)
        ids = furnish(server, server.admin if identity == "admin" else server.member)
        keys = {"anonymous": [], "member": [server.member], "admin": [server.admin]}[identity]
        command = [
            Path(sys.executable).with_name("schemathesis"), "run", f"{server.base}/api/v1/openapi.json",
            "--url", server.base, "--checks", CHECKS, "--max-examples", str(arguments.examples),
            "--phases", "examples,coverage,fuzzing", "--request-timeout", "30", "--suppress-health-check", "all",
            "--warnings", "off", "--no-color", "--output-sanitize", "false",
            # It lasts as long as the run it follows.
            "--exclude-path", "/api/v1/runs/{id}/events",
        ]  # fmt: skip
        if arguments.seed is not None:
            command += ["--seed", str(arguments.seed)]
        for key in keys:
            command += ["--header", f"Authorization: Bearer {key}"]
        environment = os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "FUZZ_IDS": json.dumps(ids)}
        environment["FUZZ_TALLY"] = str(server.folder / "tally.json")
        print(f"fuzzing as {identity}", flush=True)
        outcome = subprocess.run(command, env=environment, cwd=server.folder)
        # An answer may hide what the log tells.
        faults = [line for line in server.log().splitlines() if " ERROR " in line or "panicked" in line]
        print("\n".join(faults[:20]), flush=True)
        is_alive = server.process.poll() is None
        is_deep = dig(json.loads((server.folder / "tally.json").read_text()), identity)
        return outcome.returncode == 0 and not faults and is_alive and is_deep


def dig(tally: dict[str, int], identity: str) -> bool:
    """Whether the requests got anywhere: what is refused at the door shows nothing of what is behind it."""
    met: dict[str, set[int]] = {}
    statuses = Counter()
    for line, count in tally.items():
        operation, _, status = line.rpartition(" ")
        met.setdefault(operation, set()).add(int(status))
        statuses[status] += count
    print("answers:", ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items())))
    is_shut = [operation for operation, codes in met.items() if not any(code < 300 for code in codes)]
    print(f"never answered with success as {identity}: {len(is_shut)} of {len(met)}", *sorted(is_shut), sep="\n    ")
    # A third of all operations are writes, which anonymous callers are refused.
    return len(is_shut) <= len(met) / 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("evalboard", type=Path)
    parser.add_argument("--examples", type=int, default=10, help="requests of each kind to each operation (10)")
    parser.add_argument("--seed", type=int, help="makes the same requests again, more or less: servers differ in their ids")
    parser.add_argument("--as", dest="identities", action="append", choices=["anonymous", "member", "admin"])
    arguments = parser.parse_args()
    identities = arguments.identities or ["anonymous", "member", "admin"]
    bad = [identity for identity in identities if not fuzz(arguments.evalboard.resolve(), identity, arguments)]
    print(f"fuzzing failed as {', '.join(bad)}" if bad else "fuzzing: no answer was a 5xx or of another shape than documented")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
