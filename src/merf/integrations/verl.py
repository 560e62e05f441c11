"""A rulebook as training files and a `compute_score` for verl.

    files = book.for_verl("countdown-verl", "countdown", train=10_000, test=500)
    print(" ".join(files.overrides))        # to be added to: python -m verl.trainer.main_ppo …

writes

    train.parquet      prompts with the motivation
    test.parquet       test prompts with the motivation
    test-bare.parquet  the same without it, as MeRF validates
    rulebook.toml      what is paid
    reward.py          compute_score, which pays it

verl calls `compute_score` for one response at a time and has no reward for "not applicable". A response that
can't be scored is paid the lowest total there is, so that breaking a verifier never pays, and is counted
under "unscored".
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from merf.core.layout import Layout
from merf.core.problem import Problem
from merf.core.response import Response, Verifier
from merf.core.seams import Task
from merf.framing.motivation import Motivated
from merf.integrations.needs import Need, Ungrouped, refuse
from merf.integrations.rows import Rows, as_framing, as_messages, as_task, decode, drawn, encode, fingerprint
from merf.rules.rulebook import Rulebook
from merf.tasks.data import Data
from merf.tasks.extras import require

Rowlike = Iterable[Mapping[str, Any]]

MISSING: dict[Need, str] = {
    "group": "verl scores one response at a time, so use it with for_trl, or merf's own trainer",
    "progress": "verl doesn't tell its rewards how far training is, so leave the schedule out",
    "tokens": 'verl hands its rewards text only, so count words (unit="words") or use verl\'s own overlong buffer',
}

RESERVED = ("score", "acc", "unscored")
"""Keys of the result that are no parts: the total, 1 for a right answer, 1 for a response without a score."""

REWARD = '''"""compute_score for verl: pays what the prompts beside it promise. Written by merf {version}."""

from pathlib import Path

{imports}
from merf.integrations.verl import ComputeScore
from merf.rules.rulebook import Rulebook

compute_score = ComputeScore(
    Rulebook.load(Path(__file__).with_name("rulebook.toml"), trust_code={trust}),
    verify={verifier}.verify,
    layout={layout},
    opening={opening!r},
)
'''


@dataclass(frozen=True)
class VerlFiles:
    """What was written, and where."""

    folder: Path

    @property
    def train(self) -> Path:
        return self.folder / "train.parquet"

    @property
    def test(self) -> Path:
        return self.folder / "test.parquet"

    @property
    def bare(self) -> Path:
        """The test prompts without the motivation."""
        return self.folder / "test-bare.parquet"

    @property
    def reward(self) -> Path:
        return self.folder / "reward.py"

    @property
    def overrides(self) -> tuple[str, ...]:
        """The options that point `verl.trainer.main_ppo` to these files."""
        return (
            f"data.train_files={self.train}",
            f"data.val_files=[{self.test},{self.bare}]",
            f"reward.custom_reward_function.path={self.reward}",
            "reward.custom_reward_function.name=compute_score",
        )


def for_verl(
    book: Rulebook,
    folder: str | Path,
    task: Task | Rows | str,
    *,
    train: int | Rowlike = 1000,
    test: int | Rowlike = 100,
    seed: int = 0,
    framing: Motivated | None = None,
    opening: str = "",
    **options: Any,
) -> VerlFiles:
    """`Rulebook.for_verl`, which says what the arguments mean."""
    require("pyarrow", "verl", "writing Parquet for verl")
    refuse(book, MISSING)
    for part in book:
        if part.name in RESERVED:
            raise ValueError(f"verl's result has a key {part.name!r} already: rename the part with .named(…)")
    made = as_task(task, options)
    framing = as_framing(framing, made)
    script = reward_script(book, made, task if isinstance(task, str) else "", options, opening)
    rulebook = book.as_toml()
    files = VerlFiles(Path(folder).absolute())
    if files.folder.exists() and any(files.folder.iterdir()):
        raise FileExistsError(f"{folder} isn't empty: name a new folder, or remove this one")
    # The folder gets its name once everything is in it: a row that can't be read leaves nothing half done.
    work = VerlFiles(files.folder.with_name(f"{files.folder.name}.partial"))
    shutil.rmtree(work.folder, ignore_errors=True)
    work.folder.mkdir(parents=True)
    try:
        held = list(problems_of(made, test, "test", seed))
        for path, problems, split, told in (
            (work.train, problems_of(made, train, "train", seed), "train", True),
            (work.test, held, "test", True),
            (work.bare, held, "test", False),
        ):
            # verl reports validation by source, so the two modes come out side by side.
            source = made.name if told else f"{made.name}-bare"
            write_parquet(path, (row(i, p, book, framing, split, told, source) for i, p in enumerate(problems)))
        (work.folder / "rulebook.toml").write_text(rulebook, encoding="utf-8")
        work.reward.write_text(script, encoding="utf-8")
        os.rename(work.folder, files.folder)
    finally:
        shutil.rmtree(work.folder, ignore_errors=True)
    return files


def problems_of(task: Task | Rows, source: int | Rowlike, split: str, seed: int) -> Iterable[Problem]:
    """The problems of a split: so many of the task's, or those in the given rows."""
    if isinstance(source, int):
        return drawn(task, source, split, seed)
    if not isinstance(task, Rows):
        raise TypeError(f'{task.name!r} makes its own problems: for rows of your own name a verifier, Rows("math")')
    return map(task.problem, source)


def row(
    index: int, problem: Problem, book: Rulebook, framing: Motivated, split: str, told: bool, source: str
) -> dict[str, Any]:
    """One row in verl's schema. The problem travels as the ground truth, which is what a reward gets to see."""
    return {
        "data_source": source,
        "prompt": as_messages(framing.frame(problem, book, told).acting),
        "ability": problem.task,
        "reward_model": {"style": "rule", "ground_truth": encode(problem, book)},
        "extra_info": {"split": split, "index": index, "id": problem.id, "told": told},
    }


def write_parquet(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Rows to a file, a thousand at a time. ValueError where there are none."""
    import pyarrow as pa
    from pyarrow import parquet

    first = next(rows, None)
    if first is None:
        raise ValueError(f"there are no rows for {path.name}")
    schema = pa.Table.from_pylist([first]).schema
    left = chain([first], rows)
    with parquet.ParquetWriter(path, schema) as writer:
        while some := list(islice(left, 1000)):
            writer.write_table(pa.Table.from_pylist(some, schema))


def reward_script(book: Rulebook, task: Task | Rows, name: str, options: Mapping[str, Any], opening: str) -> str:
    """The Python file that verl loads. A task must be made again in other processes, so it goes by its name; one
    that reads data needs only its verifier there."""
    from merf import __version__

    layout = task.layout
    if type(layout).__module__ != "merf.core.layout":
        raise TypeError(f"{layout!r} can't be written into a file: use a layout of merf.core.layout")
    imports = [f"from merf.core.layout import {type(layout).__name__}"]
    if isinstance(task, Data | Rows):
        verifier = f"answers_named({task.answers.name!r})"
        imports.append("from merf.tasks.answers import answers_named")
    elif name:
        given = "".join(f", {key}={value!r}" for key, value in options.items() if key != "layout")
        verifier = f"get({name!r}{given})"
        imports.append("from merf.tasks import get")
    else:
        raise TypeError(f"{task.name!r}: give the task's name and options, so that verl's workers can make it again")
    script = REWARD.format(
        version=__version__,
        imports="\n".join(imports),
        trust="imported(" in book.as_python(),
        verifier=verifier,
        layout=repr(layout),
        opening=opening,
    )
    try:
        compile(script, "reward.py", "exec")
    except SyntaxError as error:
        raise TypeError(f"the options {dict(options)!r} can't be written into a file: {error}") from error
    return script


class ComputeScore:
    """verl's `compute_score`: the total as "score", every part by its name, and "acc" and "unscored"."""

    def __init__(self, book: Rulebook, verify: Verifier, layout: Layout, opening: str = "") -> None:
        refuse(book, MISSING)
        self.book, self.verify, self.layout, self.opening = book, verify, layout, opening
        self.written_for = fingerprint(book)
        # verl calls from several threads; verifiers with worker processes serve one at a time.
        self.turn = threading.Lock()

    def __call__(
        self, data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None, **others: Any
    ) -> dict[str, float]:
        """The score of one response, `solution_str` being the response without its prompt. The same keys for
        every sample. ValueError for a row that wasn't written for this rulebook."""
        problem = decode(ground_truth, self.written_for)
        text = self.opening + solution_str
        response = Response(problem, text, layout=self.layout, verify=self.verify)
        with self.turn:
            scores = self.book.score(Ungrouped.of([response]))
            right = response.verdict.correct is True
        lost = scores.failed > 0
        parts = {part.name: float(part.range[0] if lost else scores.parts[part.name][0]) for part in self.book}
        total = self.book.range[0] if lost else scores.total[0]
        return {"score": float(total), **parts, "acc": float(right), "unscored": float(lost)}
