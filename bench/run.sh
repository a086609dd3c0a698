#!/bin/sh
# Build the yardsticks and run every benchmark: bench/run.sh path/to/evalboard [--smoke] [--results FILE]
# Needs cargo, python3, curl and wrk; the peers of P2 and P3 also node and the network, the first time, and that of P6
# nginx: one that cannot be installed is left out, and the results say why. They go to RESULTS.md beside this file,
# unless this is only a smoke test, which runs no peers.
set -eu
here="$(cd "$(dirname "$0")" && pwd)"
command -v wrk >/dev/null || { echo "wrk is missing (Debian: apt-get install wrk)" >&2; exit 1; }
cargo build --release --locked --manifest-path "$here/Cargo.toml"
python3 "$here/p1.py" "$@"
python3 "$here/p2.py" "$@"
python3 "$here/p3.py" "$@"
python3 "$here/p4.py" "$@"
python3 "$here/p6.py" "$@"
python3 "$here/p9.py" "$@"
