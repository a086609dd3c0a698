#!/usr/bin/env bash
# Installs the system packages that building and testing need, as root or through sudo; without either it
# names them and fails. Nothing is installed when everything is there. `needs.sh browser` adds what the browser
# tests need (CHROMIUM names a browser that is not Debian's), `needs.sh client` what the client of Vercel Blob needs, and
# `needs.sh fuzz` what a virtual environment of Python needs.
set -euo pipefail

# command -> package
declare -A needed=([cc]=build-essential [curl]=curl [jq]=jq [wrk]=wrk [python3]=python3)
case "${1:-}" in
browser) needed+=([node]=nodejs [npm]=npm ["${CHROMIUM:-/usr/bin/chromium}"]=chromium) ;;
client) needed+=([node]=nodejs [npm]=npm) ;;
esac

missing=()
for command in "${!needed[@]}"; do
    command -v "$command" > /dev/null || missing+=("${needed[$command]}")
done
if [ "${1:-}" = fuzz ] && ! python3 -c 'import ensurepip, venv' 2> /dev/null; then
    missing+=(python3-venv)
fi
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get > /dev/null; then
    echo "please install: ${missing[*]}" >&2
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
    run=()
elif command -v sudo > /dev/null && sudo -n true 2> /dev/null; then
    run=(sudo)
else
    echo "please install, as root: apt-get install ${missing[*]}" >&2
    exit 1
fi
"${run[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${run[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
