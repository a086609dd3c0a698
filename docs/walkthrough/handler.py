"""Mock models for the LiteLLM proxy (see `custom_provider_map` in litellm.yaml).

`mock/0.93` answers the walkthrough's questions with a skill of 0.93 and is wrong on the harder
ones; `mock/judge` grades the explanations. Answers depend only on the question and the skill, so
a run can be repeated; only the latency (20-120 ms) is random. This is no language model: a
question of any other kind gets "I do not know.", and it does not stream.
"""

import ast
import asyncio
import hashlib
import json
import operator
import random
import re
from datetime import datetime

from litellm import CustomLLM, ModelResponse, Usage

CAPITALS = {
    "France": "Paris", "Japan": "Tokyo", "Australia": "Canberra", "Canada": "Ottawa",
    "Brazil": "Brasilia", "Kenya": "Nairobi", "Turkey": "Ankara", "Norway": "Oslo",
    "Peru": "Lima", "Vietnam": "Hanoi", "Morocco": "Rabat", "New Zealand": "Wellington",
}  # fmt: skip
ELEMENTS = {
    "Au": "gold", "Ag": "silver", "Fe": "iron", "Pb": "lead", "Na": "sodium", "K": "potassium",
    "Sn": "tin", "W": "tungsten", "Hg": "mercury", "Cu": "copper",
}  # fmt: skip
FACTS = {
    "planet is the largest": "Jupiter", "wrote Don Quixote": "Miguel de Cervantes",
    "ocean is the deepest": "Pacific", "gas do plants take in": "Carbon dioxide",
    "Berlin Wall fall": "1989", "hardest natural": "Diamond", "has the most bones": "Newborn baby",
    "speed of light": "300,000 km/s", "painted Guernica": "Pablo Picasso",
    "smallest prime": "2", "organ makes insulin": "Pancreas", "language has the most native": "Mandarin",
}  # fmt: skip
# Kilometres per mile and so on: (exact, what somebody careless remembers).
UNITS = {
    "miles to kilometres": (1.609344, 1.5), "pounds to kilograms": (0.45359237, 0.5),
    "inches to centimetres": (2.54, 2.2), "gallons to litres": (3.785411784, 4.5),
}  # fmt: skip
# Each explanation makes four points. The judge looks for the phrase in front of each; the phrases
# are long enough not to turn up in a grader's instructions.
EXPLANATIONS = {
    "Why is the sky blue": {
        "scatter sunlight": "Air molecules scatter sunlight in all directions",
        "short wavelength": "light of a short wavelength is affected far more",
        "less violet": "there is less violet in sunlight and our eyes are less sensitive to it",
        "at sunset": "at sunset the long path removes the blue and leaves the red",
    },
    "Why does ice float": {
        "less dense": "Ice is less dense than water",
        "hydrogen bonds": "hydrogen bonds hold the molecules in an open lattice",
        "nine percent": "the solid takes about nine percent more room",
        "displace its own": "so it can displace its own weight with part of it still dry",
    },
    "Why do we have seasons": {
        "a tilt of": "The axis of the Earth has a tilt of about 23 degrees",
        "each hemisphere": "each hemisphere leans towards the sun for half of the year",
        "steeper angle": "light then arrives at a steeper angle and the days are longer",
        "distance to the sun": "the distance to the sun is not the reason",
    },
    "Why does a database need an index": {
        "scan the whole": "Without one every query must scan the whole table",
        "balanced tree": "a balanced tree finds a key in a few steps",
        "each write must": "the price is that each write must maintain it",
        "is selective": "it helps only where the condition is selective",
    },
    "Why do vaccines work": {
        "harmless antigen": "They show the body a harmless antigen",
        "antibodies": "B cells then make antibodies against it",
        "memory cells": "memory cells stay for years",
        "faster and stronger": "so a real infection meets a faster and stronger answer",
    },
    "Why does bread rise": {
        "living yeast": "Living yeast eats the sugars in the dough",
        "carbon dioxide": "it gives off carbon dioxide",
        "net of gluten": "a net of gluten holds the bubbles",
        "in the oven": "in the oven the gas expands until the crust sets",
    },
    "Why is the sea salty": {
        "acid rain": "Slightly acid rain dissolves minerals from rock",
        "every river": "every river carries them to the sea",
        "evaporates": "water evaporates and the minerals stay",
        "hot vents": "hot vents on the sea floor add more",
    },
    "Why are passwords hashed": {
        "stolen table": "A stolen table then holds no passwords",
        "turned back": "a hash cannot be turned back into the password",
        "a salt makes": "a salt makes equal passwords look different",
        "slow function": "a slow function makes guessing expensive",
    },
}
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}


def fraction(*parts: object) -> float:
    """A number in 0..1 that depends on the parts only."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32


def arithmetic(node: ast.expr) -> int:
    """The value of an expression of integers with +, - and *."""
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](arithmetic(node.left), arithmetic(node.right))
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    raise ValueError("not plain arithmetic")


def other(table: dict[str, str], key: str) -> str:
    """A wrong but plausible answer: that of the next entry."""
    keys = list(table)
    return table[keys[(keys.index(key) + 1) % len(keys)]]


def answer(text: str, skill: float) -> str:
    """Answer the walkthrough's kinds of question, rightly where the question is easy enough."""
    # Difficulty belongs to the question, so that models mostly fail on the same ones.
    right = fraction(text) + 0.3 * (fraction(text, skill) - 0.5) < skill

    if options := dict(re.findall(r"^([A-Z])\) (.+)$", text, re.M)):
        fact = next((value for key, value in FACTS.items() if key in text), None)
        letters = [letter for letter, option in options.items() if (option == fact) == right]
        return f"I compared the options.\n\nANSWER: {letters[0]}" if letters else "I do not know."
    if (found := re.search(r"capital of ([A-Z][A-Za-z ]+)\?", text)) and found[1] in CAPITALS:
        return CAPITALS[found[1]] if right else other(CAPITALS, found[1])
    if (found := re.search(r"the symbol (\w+)\?", text)) and found[1] in ELEMENTS:
        name = ELEMENTS[found[1]] if right else other(ELEMENTS, found[1])
        return f"That is the symbol of {name}, as in the periodic table."
    if found := re.search(r"Work out ([\d+*() -]+)\.", text):
        value = arithmetic(ast.parse(found[1].strip(), mode="eval").body)
        return f"Step by step, {found[1]} comes to {value if right else value + 10}."
    if found := re.search(r"the date (\d+ \w+ \d{4})", text):
        day = datetime.strptime(found[1], "%d %B %Y")
        return f"It is {day:%Y-%m-%d}." if right else f"It is {day:%m/%d/%Y}."
    if (found := re.search(r"Convert ([\d.]+) (\w+ to \w+)", text)) and found[2] in UNITS:
        exact, careless = UNITS[found[2]]
        return f"About {float(found[1]) * (exact if right else careless):.2f}"
    if points := next((value for key, value in EXPLANATIONS.items() if key in text), None):
        said = list(points.values())[: 4 if right else 1 + int(2 * fraction(text, skill))]
        return "; ".join(said) + "."
    return "I do not know."


def judge(text: str) -> str:
    """Grade an explanation by how many of its four points the text makes."""
    points = next((value for key, value in EXPLANATIONS.items() if key in text), {})
    missing = [phrase for phrase in points if phrase not in text.lower()]
    if not points:
        verdict = {"reasoning": "The task is not one I know.", "score": 0}
    else:
        reasoning = f"Missing: {', '.join(missing)}." if missing else "All points are made."
        verdict = {"reasoning": reasoning, "score": 1 - len(missing) / len(points)}
    return json.dumps(verdict)


def text_of(message: dict) -> str:
    """The text of a chat message, whose content is a string or a list of parts."""
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


class Mock(CustomLLM):
    """The provider `mock`; the model's name is its skill, or `judge`."""

    async def acompletion(  # what the proxy calls; the name is LiteLLM's
        self, model: str, messages: list, model_response: ModelResponse, **_: object
    ) -> ModelResponse:
        text = "\n".join(text_of(message) for message in messages)
        reply = judge(text) if model == "judge" else answer(text, float(model))
        await asyncio.sleep(random.uniform(0.02, 0.12))
        model_response.model = model
        model_response.choices[0].message.content = reply
        asked, said = len(text) // 4 + 1, len(reply) // 4 + 1
        usage = Usage(prompt_tokens=asked, completion_tokens=said, total_tokens=asked + said)
        setattr(model_response, "usage", usage)
        return model_response


mock = Mock()
