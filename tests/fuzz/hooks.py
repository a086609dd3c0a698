"""Lets most of the fuzzer's requests name something that exists: random ids alone would only ever meet 404.

Loaded by schemathesis; which ids there are comes from run.py in FUZZ_IDS, by the noun of their collection.
How often which operation was answered with which status goes to FUZZ_TALLY.
"""

import atexit
import json
import os
import zlib
from collections import Counter
from pathlib import Path

import schemathesis

IDS: dict[str, list[str]] = json.loads(os.environ["FUZZ_IDS"])
# One request in so many keeps the id that was made up for it.
MADE_UP = 5
TALLY: Counter[str] = Counter()


def collection(path: str, name: str) -> str:
    """The part of an address that stands before its variable part `name`: /models/{id} -> models."""
    before = path.partition("{" + name + "}")[0]
    return before.rstrip("/").rpartition("/")[2]


@schemathesis.hook
def before_call(ctx, case, kwargs):
    made_up = case.path_parameters or {}
    draw = zlib.crc32(repr((made_up, case.query, case.body)).encode())
    for name in made_up:
        noun = collection(case.operation.path, name)
        choices = IDS.get(noun, [])
        # Ids that the fuzzer saw in an answer may be of the very key it asks with.
        if choices and (draw % MADE_UP or noun == "keys"):
            # The same place in every list: an artifact is named with its model.
            case.path_parameters[name] = choices[draw // MADE_UP % len(choices)]


@schemathesis.hook
def after_call(ctx, case, response):
    TALLY[f"{case.operation.method.upper()} {case.operation.path} {response.status_code}"] += 1


@atexit.register
def tell():
    Path(os.environ["FUZZ_TALLY"]).write_text(json.dumps(TALLY))


@schemathesis.serializer("application/x-ndjson")
def lines(ctx, value):
    """A list as a line for each; whatever else was made up goes as the one line it is."""
    rows = value if isinstance(value, list) else [value]
    if all(isinstance(row, bytes) for row in rows):
        return {"data": b"\n".join(rows)}
    return {"data": "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode(errors="replace")}
