"""What made a base model, as one short text that changes when any of it does.

A generator is judged by what it writes: the first documents of every stage are part of the fingerprint, so a change of
wording, of a verifier or of a random draw shows, whatever file it is made in, and a change of a comment doesn't. What
a few hundred documents don't show is too rare to matter to a base. The code that learns from them is taken as text.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from pathlib import Path

from merf.lab import pretrain, tokenizer
from merf.lab.corpus import document
from merf.lab.pretrain import Shape, Stage

SEED = 0
"""The seed of every base model and its corpus."""

READ = 150
"""Documents of each stage that are looked at."""


def of_stages(stages: Sequence[Stage], shape: Shape, before: str = "") -> str:
    """The fingerprint of a model of this shape that reads these stages, having started as `before` says."""
    digest = hashlib.blake2b(digest_size=16)
    for module in (pretrain, tokenizer):
        digest.update(inspect.getsource(module).encode())
    digest.update(repr((before, shape, stages)).encode())
    for stage in stages:
        for index in range(READ):
            doc = document(index, SEED, stage.dials)
            digest.update(repr((doc.prompt, doc.responses)).encode())
    return digest.hexdigest()


def of_file(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
