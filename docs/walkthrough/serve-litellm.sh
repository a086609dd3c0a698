#!/bin/sh
# Serve the mock models of litellm.yaml on 127.0.0.1:${PORT:-4000}.
# Needs: pip install 'litellm[proxy]' (LITELLM names the command if it is not on PATH).
set -eu
cd "$(dirname "$0")"
export LITELLM_MASTER_KEY="${LITELLM_MASTER_KEY:-sk-mock-proxy}" # the Bearer key clients must send
export LITELLM_LOCAL_MODEL_COST_MAP=True                        # do not fetch the price list
export LITELLM_TELEMETRY=False
exec "${LITELLM:-litellm}" --config litellm.yaml --host 127.0.0.1 --port "${PORT:-4000}" --telemetry False
