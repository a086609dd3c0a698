"""Makes text_metrics.json: what the reference packages score for pairs of a response and its targets.

    python -m venv venv
    venv/bin/pip install rouge-score sacrebleu rapidfuzz "transformers<5"
    venv/bin/python tests/vectors/text_metrics.py > tests/vectors/text_metrics.json

f1 is the SQuAD 2.0 script's, as transformers carries it. With several targets, bleu takes them all as
references; the others take the best target.
"""

import json
import os
import platform
from importlib.metadata import version

os.environ["TRANSFORMERS_VERBOSITY"] = "error"

from rapidfuzz.distance import Levenshtein
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu import sentence_bleu
from transformers.data.metrics.squad_metrics import compute_f1

CAT = "The cat sat on the mat."
FOX = "The quick brown fox jumps over the lazy dog"
LONG = " ".join(f"word{at % 97} {at * 7 % 31}" for at in range(400))
LONGER = " ".join(f"word{at % 89} {at * 5 % 37}." for at in range(450))

PAIRS = [
    # Plain words.
    (CAT, [CAT]),
    ("the cat is on the mat", [CAT]),
    ("A cat sat on a mat", [CAT]),
    ("mat the on sat cat The", [CAT]),
    ("Dogs bark loudly at night", [CAT]),
    (FOX, ["A fast brown fox jumped over a lazy dog."]),
    ("Paris", ["Paris"]),
    ("paris", ["Paris"]),
    ("The capital of France is Paris.", ["Paris"]),
    ("kitten", ["sitting"]),
    ("New York City", ["New York", "NYC"]),
    # Nothing, or nothing that counts.
    ("", [""]),
    ("", ["Paris"]),
    ("Paris", [""]),
    ("   \n\t ", ["Paris"]),
    ("...", ["..."]),
    ("?!", ["!?"]),
    ("the", ["the"]),
    ("The a an", ["Paris"]),
    ("...", ["Paris"]),
    # Repeats.
    ("the the the the the the the", ["the cat is on the mat"]),
    ("cat cat cat", ["cat"]),
    ("cat", ["cat cat cat"]),
    ("yes yes no no yes", ["no yes yes yes no"]),
    ("a b c d a b c d a b c d", ["a b c d"]),
    # Punctuation, numbers, entities and line ends, which the 13a tokenizer takes apart.
    ("It costs $3.50, or 1,234.5 in all.", ["It costs $3.50 or 1,234.5, in all"]),
    ("Version 2.0-beta (2024-01-02).", ["Version 2.0 beta, 2024-01-02"]),
    ("well-known state-of-the-art", ["well known state of the art"]),
    ("don't can't won't", ["do not cannot will not"]),
    ("a &lt; b &amp;&amp; c &gt; d &quot;e&quot;", ["a < b && c > d \"e\""]),
    ("hyphen-\nated line\nbreaks <skipped>here", ["hyphenated line breaks here"]),
    ("x = y[0] * {z} / ~w | `v` ^ u_t @ s # r % q + p;", ["x=y[0]*{z}/~w|`v`^u_t@s#r%q+p;"]),
    (".5 5. .,., 1.,2 ,x. x,", ["0.5 5 1 2 x"]),
    ("snake_case the_end _the_ the-end", ["snake case the end"]),
    ("one\u00a0two\u2003three\x1cfour\u0085five", ["one two three four five"]),
    # Letters beyond ASCII.
    ("Café au lait", ["cafe au lait"]),
    ("STRASSE", ["straße"]),
    ("ΟΔΟΣ Σ", ["οδος σ"]),
    ("İstanbul is \u212aelvin", ["istanbul is kelvin"]),
    ("“Quoted” – text… here", ["\"Quoted\" - text... here"]),
    ("the\u0301 a\u0308 an\u200dx", ["thé ä an x"]),
    ("naïve résumé", ["nai\u0308ve re\u0301sume\u0301"]),
    ("👩‍👩‍👧 family 👍🏽", ["👩‍👩‍👧 family 👍"]),
    ("今天天气很好", ["今天天气不好"]),
    ("東京は日本の首都です。", ["日本の首都は東京です。"]),
    ("서울은 한국의 수도이다", ["한국의 수도는 서울이다"]),
    ("Привет, мир!", ["привет мир"]),
    ("हिन्दी में the उत्तर", ["हिन्दी में उत्तर"]),
    ("ⅷ the² thé₂ ①an", ["the² an"]),
    # Several targets.
    ("The cat is on the mat", ["There is a cat on the mat", "The cat sat on the mat", "A dog"]),
    ("two words", ["two", "two words or more", "words two"]),
    ("It is a guide to action which ensures that the military always obeys the commands of the party.",
     ["It is a guide to action that ensures that the military will forever heed Party commands.",
      "It is the guiding principle which guarantees the military forces always being under the command of "
      "the Party.",
      "It is the practical guide for the army always to heed the directions of the party."]),
    ("short", ["a much longer reference than that", "another reference which is long as well"]),
    ("one two three four five six", ["one two three four", "one two three four five six seven eight"]),
    # Long texts.
    (LONG, [LONG]),
    (LONG, [LONGER]),
    (LONGER, [LONG, "word1"]),
    ("x" * 3000, ["y" * 1000 + "x" * 1500]),
    ("x", [LONG]),
]

ROUGE = RougeScorer(["rougeL"], use_stemmer=False)


def scored(response, targets):
    best = lambda score: max(float(score(target)) for target in targets)
    return {
        "response": response,
        "targets": targets,
        "f1": best(lambda target: compute_f1(target, response)),
        "rouge_l": best(lambda target: ROUGE.score(target, response)["rougeL"].fmeasure),
        "bleu": sentence_bleu(response, targets).score / 100,
        "levenshtein": best(lambda target: Levenshtein.normalized_similarity(target, response)),
    }


def main():
    packages = ["rouge-score", "sacrebleu", "rapidfuzz", "transformers"]
    versions = {name: version(name) for name in packages} | {"python": platform.python_version()}
    about = "What the reference packages score; made by text_metrics.py beside this file."
    pairs = ",\n".join("    " + json.dumps(scored(*pair), ensure_ascii=False) for pair in PAIRS)
    head = f'{{\n  "about": {json.dumps(about)},\n  "packages": {json.dumps(versions)},\n  "pairs": [\n'
    print(f"{head}{pairs}\n  ]\n}}")


main()
