#!/usr/bin/env bash
# From an empty board to a ranked one, in plain curl: three models and a grader behind the LiteLLM
# proxy of serve-litellm.sh, seven evals of different types, one run, and what it left behind.
#
# Needs curl >= 7.76 and jq, a running server that may call the proxy
#   EVALBOARD_EGRESS_ALLOW=127.0.0.1:4000 evalboard serve --listen 127.0.0.1:8080
# and a key of it
#   KEY=$(evalboard key create --email me@example.com --admin) ./walkthrough.sh
#
# It adds to whatever is on that server and deletes nothing. A run covers all active models and
# evals, so start from an empty data folder to see only what is registered here.
set -euo pipefail

BASE="${BASE:-http://127.0.0.1:8080}"
PROXY="${PROXY:-http://127.0.0.1:4000/v1}"
PROXY_KEY="${PROXY_KEY:-sk-mock-proxy}"
AUTH="Authorization: Bearer ${KEY:?set KEY to an API key of the board}"
JSON="Content-Type: application/json"
NDJSON="Content-Type: application/x-ndjson"
API="$BASE/api/v1"
# What to print of a created thing; all of it when it is an error.
SHOW='if .error then . else {id, name, is_active, inference_uri, eval_type, sample_count} | del(.[] | nulls) end'

echo "== 1. three models, by way of one OpenAI-compatible proxy"
curl -sS --fail-with-body "$API/models" -H "$AUTH" -H "$JSON" -d @- <<END | jq -c "$SHOW"
{"name": "strong", "description": "Mock model, right most of the time", "provider": "mock",
 "inference_uri": "openai-compatible:$PROXY#strong", "api_key": "$PROXY_KEY",
 "parameters": {"temperature": 0, "max_tokens": 512}, "input_price": 3, "output_price": 15}
END
curl -sS --fail-with-body "$API/models" -H "$AUTH" -H "$JSON" -d @- <<END | jq -c "$SHOW"
{"name": "weak", "description": "Mock model, right about six times in ten", "provider": "mock",
 "inference_uri": "openai-compatible:$PROXY#weak", "api_key": "$PROXY_KEY",
 "parameters": {"temperature": 0, "max_tokens": 512}, "input_price": 0.15, "output_price": 0.6}
END
curl -sS --fail-with-body "$API/models" -H "$AUTH" -H "$JSON" -d @- <<END | jq -c "$SHOW"
{"name": "chatty", "description": "Says the same whatever it is asked", "provider": "mock",
 "inference_uri": "openai-compatible:$PROXY#chatty", "api_key": "$PROXY_KEY",
 "input_price": 0.5, "output_price": 1.5}
END

echo "== 2. a grader: a registered model that is not itself evaluated"
curl -sS --fail-with-body "$API/models" -H "$AUTH" -H "$JSON" -d @- <<END | jq -c "$SHOW"
{"name": "judge", "description": "Grades explanations", "is_active": false,
 "inference_uri": "openai-compatible:$PROXY#judge", "api_key": "$PROXY_KEY"}
END

echo "== 3. seven evals"
curl -sS --fail-with-body "$API/evals" -H "$AUTH" -H "$JSON" -d @- <<'END' | jq -c "$SHOW"
{"name": "Capitals", "description": "Capitals that are often mistaken", "category": "knowledge",
 "prompt": "What is the capital of {{input}}? Answer with the name only.", "eval_type": "exact",
 "samples": [
  {"id": "fr", "input": "France", "target": "Paris"},
  {"id": "jp", "input": "Japan", "target": "Tokyo"},
  {"id": "au", "input": "Australia", "target": "Canberra"},
  {"id": "ca", "input": "Canada", "target": "Ottawa"},
  {"id": "br", "input": "Brazil", "target": ["Brasilia", "Brasília"]},
  {"id": "ke", "input": "Kenya", "target": "Nairobi"},
  {"id": "tr", "input": "Turkey", "target": "Ankara"},
  {"id": "no", "input": "Norway", "target": "Oslo"},
  {"id": "pe", "input": "Peru", "target": "Lima"},
  {"id": "vn", "input": "Vietnam", "target": ["Hanoi", "Ha Noi"]},
  {"id": "ma", "input": "Morocco", "target": "Rabat"},
  {"id": "nz", "input": "New Zealand", "target": "Wellington"}]}
END
curl -sS --fail-with-body "$API/evals" -H "$AUTH" -H "$JSON" -d @- <<'END' | jq -c "$SHOW"
{"name": "Arithmetic", "description": "Whole numbers; the response must end with the result", "category": "maths",
 "prompt": "Work out {{input}}. End with the number.", "eval_type": "match",
 "samples": [
  {"input": "17 + 25", "target": "42"}, {"input": "96 - 39", "target": "57"},
  {"input": "12 * 12", "target": "144"}, {"input": "7 * 8 + 9", "target": "65"},
  {"input": "250 - 3 * 40", "target": "130"}, {"input": "(14 + 6) * 15", "target": "300"},
  {"input": "31 * 29", "target": "899"}, {"input": "1000 - 481", "target": "519"},
  {"input": "45 * 11 - 20", "target": "475"}, {"input": "(9 - 4) * (8 + 6)", "target": "70"},
  {"input": "123 + 456 + 789", "target": "1368"}, {"input": "64 * 64", "target": "4096"},
  {"input": "18 - 5 * 6", "target": "-12"}, {"input": "37 * 3", "target": "111"},
  {"input": "2 * 3 * 5 * 7", "target": "210"}, {"input": "81 - 27 - 9", "target": "45"}]}
END
curl -sS --fail-with-body "$API/evals" -H "$AUTH" -H "$JSON" -d @- <<'END' | jq -c "$SHOW"
{"name": "Elements", "description": "The name must occur in the response", "category": "knowledge",
 "prompt": "Which chemical element has the symbol {{input}}? Answer in one sentence.", "eval_type": "includes",
 "samples": [
  {"input": "Au", "target": "gold"}, {"input": "Ag", "target": "silver"},
  {"input": "Fe", "target": "iron"}, {"input": "Pb", "target": "lead"},
  {"input": "Na", "target": "sodium"}, {"input": "K", "target": "potassium"},
  {"input": "Sn", "target": "tin"}, {"input": "W", "target": ["tungsten", "wolfram"]},
  {"input": "Hg", "target": ["mercury", "quicksilver"]}, {"input": "Cu", "target": "copper"}]}
END
curl -sS --fail-with-body "$API/evals" -H "$AUTH" -H "$JSON" -d @- <<'END' | jq -c "$SHOW"
{"name": "ISO dates", "description": "A date in the one form that sorts", "category": "format",
 "prompt": "Rewrite the date {{input}} in ISO 8601 form.", "eval_type": "pattern",
 "eval_criteria": {"pattern": "\\b(\\d{4}-\\d{2}-\\d{2})\\b"},
 "samples": [
  {"input": "1 March 2026", "target": "2026-03-01"}, {"input": "14 July 1789", "target": "1789-07-14"},
  {"input": "29 February 2000", "target": "2000-02-29"}, {"input": "9 November 1989", "target": "1989-11-09"},
  {"input": "20 July 1969", "target": "1969-07-20"}, {"input": "31 December 1999", "target": "1999-12-31"},
  {"input": "4 October 1957", "target": "1957-10-04"}, {"input": "12 April 1961", "target": "1961-04-12"},
  {"input": "5 May 2021", "target": "2021-05-05"}, {"input": "8 June 1949", "target": "1949-06-08"}]}
END
curl -sS --fail-with-body "$API/evals" -H "$AUTH" -H "$JSON" -d @- <<'END' | jq -c "$SHOW"
{"name": "Unit conversion", "description": "Within half a percent", "category": "maths",
 "prompt": "Convert {{input}}. Answer with a number.", "eval_type": "numeric", "eval_criteria": {"rel_tol": 0.005},
 "samples": [
  {"input": "26.2 miles to kilometres", "target": "42.165"}, {"input": "5 miles to kilometres", "target": "8.047"},
  {"input": "60 miles to kilometres", "target": "96.561"}, {"input": "150 pounds to kilograms", "target": "68.039"},
  {"input": "12 pounds to kilograms", "target": "5.443"}, {"input": "2000 pounds to kilograms", "target": "907.185"},
  {"input": "6 inches to centimetres", "target": "15.24"}, {"input": "27 inches to centimetres", "target": "68.58"},
  {"input": "10 gallons to litres", "target": "37.854"}, {"input": "55 gallons to litres", "target": "208.198"}]}
END

# A multiple-choice eval whose samples come as a file: one JSON object per line, replacing those it was made with.
CHOICE=$(curl -sS --fail-with-body "$API/evals" -H "$AUTH" -H "$JSON" -d @- <<'END' | jq -r '.id // error(.error)'
{"name": "General knowledge", "description": "Four options, one is right", "category": "knowledge",
 "prompt": "{{input}}", "eval_type": "choice", "chance_level": 0.25,
 "samples": [{"input": "Which is the smallest prime number?", "choices": ["0", "1", "2", "3"], "target": "C"}]}
END
)
curl -sS --fail-with-body -X PUT "$API/evals/$CHOICE/samples" -H "$AUTH" -H "$NDJSON" --data-binary @- <<'END' | jq -c .
{"id": "jupiter", "input": "Which planet is the largest?", "choices": ["Mars", "Saturn", "Jupiter", "Neptune"], "target": "C"}
{"id": "quixote", "input": "Who wrote Don Quixote?", "choices": ["Lope de Vega", "Miguel de Cervantes", "Dante", "Voltaire"], "target": "B"}
{"id": "ocean", "input": "Which ocean is the deepest?", "choices": ["Atlantic", "Indian", "Arctic", "Pacific"], "target": "D"}
{"id": "gas", "input": "Which gas do plants take in?", "choices": ["Carbon dioxide", "Oxygen", "Nitrogen", "Helium"], "target": "A"}
{"id": "wall", "input": "When did the Berlin Wall fall?", "choices": ["1987", "1989", "1991", "1993"], "target": "1989"}
{"id": "hardest", "input": "Which is the hardest natural material?", "choices": ["Iron", "Granite", "Diamond", "Quartz"], "target": "Diamond"}
{"id": "bones", "input": "Who has the most bones?", "choices": ["Newborn baby", "Adult", "Teenager", "Pensioner"], "target": "A"}
{"id": "light", "input": "What is the speed of light?", "choices": ["3,000 km/s", "30,000 km/s", "300,000 km/s", "3,000,000 km/s"], "target": "C"}
{"id": "guernica", "input": "Who painted Guernica?", "choices": ["Salvador Dali", "Joan Miro", "Francisco Goya", "Pablo Picasso"], "target": "D"}
{"id": "prime", "input": "Which is the smallest prime number?", "choices": ["0", "1", "2", "3"], "target": "C"}
{"id": "insulin", "input": "Which organ makes insulin?", "choices": ["Liver", "Pancreas", "Kidney", "Spleen"], "target": "B"}
{"id": "speakers", "input": "Which language has the most native speakers?", "choices": ["English", "Mandarin", "Hindi", "Spanish"], "target": "B"}
END

curl -sS --fail-with-body "$API/evals" -H "$AUTH" -H "$JSON" -d @- <<'END' | jq -c "$SHOW"
{"name": "Explanations", "description": "Graded by another model", "category": "writing",
 "prompt": "{{input}}? Explain in a few sentences.", "eval_type": "rubric",
 "eval_criteria": {"rubric": "Does the explanation give the cause and everything that follows from it? 0 is nothing, 1 is all of it.", "grader": "judge"},
 "samples": [
  {"input": "Why is the sky blue"}, {"input": "Why does ice float"}, {"input": "Why do we have seasons"},
  {"input": "Why does a database need an index"}, {"input": "Why do vaccines work"}, {"input": "Why does bread rise"},
  {"input": "Why is the sea salty"}, {"input": "Why are passwords hashed"}]}
END

echo "== 4. run all active models on all active evals"
RUN=$(curl -sS --fail-with-body -X POST "$API/runs" -H "$AUTH" | jq -r '.id // error(.error)')
for _ in $(seq 600); do
  STATUS=$(curl -sS --fail-with-body "$API/runs/$RUN")
  jq -r '"\(.status): \(.completed_count) of \(.total_evals * .total_models) cells, \(.case_done // "?") of \(.case_total // "?") cases"' <<<"$STATUS"
  case $(jq -r .status <<<"$STATUS") in completed | failed | cancelled) break ;; esac
  sleep 1
done
jq -e '.status == "completed"' <<<"$STATUS" >/dev/null || { jq . <<<"$STATUS"; exit 1; }

echo "== 5. the leaderboard"
curl -sS --fail-with-body "$API/leaderboard" |
  jq -r '.[] | [.rank, .model_name, (.avg_score * 1000 | round / 1000), .ci_low, .ci_high, .eval_count, .cost_usd] | @tsv'

echo "== 6. a result: the lowest scored one of the run"
RESULT=$(curl -sS --fail-with-body "$API/runs/$RUN/results" | jq -r 'min_by(.score // 2).id')
curl -sS --fail-with-body "$API/results/$RESULT" | jq .

echo "== 7. its cases"
curl -sS --fail-with-body "$API/results/$RESULT/cases?limit=5" | jq -c '.[] | {sample_id, state, score, target, response}'

echo "== 8. one case: what was sent and why it scored as it did"
CASE=$(curl -sS --fail-with-body "$API/results/$RESULT/cases?limit=1" | jq -r '.[0].id')
curl -sS --fail-with-body "$API/cases/$CASE" | jq .
