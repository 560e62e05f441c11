"""The lab's base models were pretrained on these texts, so they may never change by a single byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from merf import Concise, Correct, Format, Rulebook, Steps, ThinkAnswer

GOLDEN = json.loads((Path(__file__).parent / "golden" / "first_rulebooks.json").read_text("utf-8"))
NAMES = {kind.__name__: kind for kind in (Concise, Correct, Format, Rulebook, Steps, ThinkAnswer)}


@pytest.mark.parametrize("expression", GOLDEN)
def test_the_texts_base_models_were_pretrained_on_stay_byte_identical(expression: str) -> None:
    said = eval(expression, {"__builtins__": {}}, NAMES)
    for key, text in GOLDEN[expression].items():
        style, wording = key.split()
        assert said.describe(style, int(wording)) == text
