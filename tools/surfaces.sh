#!/usr/bin/env bash
# Checks that the program compiles without any foreign API. As no surface may import another (the architecture test),
# it then compiles without each of them; `tools/surfaces.sh each` compiles without each one too, which takes longer.
set -euo pipefail
cd "$(dirname "$0")/.."

features=$(sed -n 's/^    "\([a-z0-9-]*\)" => [a-z0-9_]*,$/\1/p' src/http/surfaces/mod.rs)
default=$(sed -n 's/^default = \[\(.*\)\]$/\1/p' Cargo.toml | tr -d '" ' | tr ',' ' ')
[ -n "$features" ] && [ -n "$default" ] || { echo "no surfaces or default features were found" >&2; exit 1; }

# Compiles with the default features but those that are named.
without() {
    local kept="" feature
    for feature in $default; do
        [[ " $* " == *" $feature "* ]] || kept+="$feature,"
    done
    echo "without $*"
    ${CARGO:-cargo} check --quiet --locked --lib --bins --no-default-features --features "$kept"
}

without $features
if [ "${1:-}" = each ]; then
    for feature in $features; do without "$feature"; done
fi
