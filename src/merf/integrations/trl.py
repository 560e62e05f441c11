"""A rulebook as reward functions and prompts for TRL's `GRPOTrainer` (and RLOO, which calls rewards alike).

    rewards = book.for_trl("countdown")
    trainer = GRPOTrainer(
        model,
        reward_funcs=rewards.reward_funcs,
        args=GRPOConfig(reward_weights=rewards.reward_weights, …),
        train_dataset=rewards.dataset(1000),
    )

TRL adds up weight × reward over its functions and leaves a missing reward out of the sum. A rulebook's total is
the sum of its parts too, so each part becomes one function; but a response one of whose parts can't be scored
has no total, so there every function answers None, and TRL then leaves the whole response out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from merf.core.problem import Problem
from merf.core.progress import Progress
from merf.core.response import Response, Responses, Scores
from merf.core.seams import Task
from merf.framing.motivation import Motivated
from merf.integrations.needs import Need, Ungrouped, refuse
from merf.integrations.rows import (
    Rows,
    as_framing,
    as_messages,
    as_task,
    as_text,
    decode,
    drawn,
    encode,
    fingerprint,
    spoken,
)
from merf.rules.arithmetic import Named, NamedLevels, Scaled, Weighted
from merf.rules.rule import Rule
from merf.rules.rulebook import Rulebook
from merf.tasks.extras import require

if TYPE_CHECKING:
    from datasets import Dataset

COLUMN = "merf"
"""The dataset column that carries the problem to the rewards; TRL hands it over under this name."""


def for_trl(
    book: Rulebook,
    task: Task | Rows | str,
    *,
    framing: Motivated | None = None,
    num_generations: int | None = None,
    max_completion_length: int | None = None,
    opening: str = "",
    chat: bool = True,
    split_weights: bool = False,
    failures: float = 0.2,
    **options: Any,
) -> TrlRewards:
    """`Rulebook.for_trl`, which says what the arguments mean."""
    task = as_task(task, options)
    missing: dict[Need, str] = {}
    if num_generations is None:
        missing["group"] = "name the group's size as in GRPOConfig, book.for_trl(task, num_generations=8)"
    refuse(book, missing)
    weights = [1.0] * len(book.parts)
    paid = book
    if split_weights:
        bare = [unweighted(part) for part in book]
        weights = [weight for _, weight in bare]
        paid = Rulebook(*(rule.named(part.name) for part, (rule, _) in zip(book, bare, strict=True)))
    scorer = Scorer(paid, task, fingerprint(book), num_generations, max_completion_length, opening, failures)
    functions = [PartReward(part.name, scorer) for part in paid]
    return TrlRewards(book, task, as_framing(framing, task), functions, weights, chat)


def unweighted(part: Rule) -> tuple[Rule, float]:
    """A part as (rule, weight)."""
    if isinstance(part, Named | NamedLevels):
        return unweighted(part.rule)
    if isinstance(part, Weighted | Scaled):
        return part.rule, part.weight
    return part, 1.0


@dataclass(frozen=True)
class TrlRewards:
    """What TRL needs of a rulebook. `functions` are the rewards in the order of the rulebook's parts."""

    book: Rulebook
    task: Task | Rows
    framing: Motivated
    functions: Sequence[PartReward]
    weights: Sequence[float]
    chat: bool = True

    @property
    def reward_funcs(self) -> list[Callable[..., list[float | None]]]:
        """One function per part of the rulebook, for the trainer's argument of this name."""
        return list(self.functions)

    @property
    def reward_weights(self) -> list[float]:
        """The functions' weights, for GRPOConfig."""
        return list(self.weights)

    def dataset(self, count: int, split: str = "train", seed: int = 0, told: bool = True) -> Dataset:
        """`count` problems of the task (fewer where there are no more) as a `datasets.Dataset`; with `told=False`
        their prompts leave the motivation out, as MeRF's validation does."""
        require("datasets", "trl", "making a dataset for TRL")
        from datasets import Dataset

        problems = drawn(self.task, count, split, seed)
        return Dataset.from_list([self.row(problem, told) for problem in problems])

    def tell(self, row: Mapping[str, Any], told: bool = True) -> dict[str, Any]:
        """A row of your own dataset with the motivation in its prompt: `dataset.map(rewards.tell)`."""
        if not isinstance(self.task, Rows):
            raise TypeError(
                f"{self.task.name!r} makes its own problems: use .dataset(1000), or for rows of your own "
                'name a verifier, book.for_trl(Rows("math"))'
            )
        return {**row, **self.row(self.task.problem(row), told)}

    def row(self, problem: Problem, told: bool = True) -> dict[str, Any]:
        """The columns of one problem: the prompt as the model sees it, and the problem itself."""
        messages = self.framing.frame(problem, self.book, told).acting
        prompt = as_messages(messages) if self.chat else as_text(messages)
        return {"prompt": prompt, COLUMN: encode(problem, self.book)}


class PartReward:
    """One part of the rulebook as TRL calls rewards: once per batch, with keywords, one number per completion."""

    def __init__(self, name: str, scorer: Scorer) -> None:
        self.__name__ = name
        self.scorer = scorer

    def __call__(
        self,
        *,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]] = (),
        **columns: Any,
    ) -> list[float | None]:
        """One reward per completion; None where the rulebook can't pay this response."""
        if COLUMN not in columns:
            raise ValueError(
                f"the dataset has no column {COLUMN!r}, which carries the problem: make it with rewards.dataset(…) or "
                "dataset.map(rewards.tell), and keep the column"
            )
        scores = self.scorer(completions, completion_ids, columns)
        part = scores.parts[self.__name__]
        return [None if np.isnan(total) else float(score) for score, total in zip(part, scores.total, strict=True)]


class Scorer:
    """Scores a batch once for all of its functions: TRL calls them one after the other with the same batch."""

    def __init__(
        self,
        book: Rulebook,
        task: Task | Rows,
        written_for: str,
        group_size: int | None,
        limit: int | None,
        opening: str,
        failures: float,
    ) -> None:
        self.book, self.layout, self.verify = book, task.layout, task.verify
        self.written_for, self.group_size, self.limit = written_for, group_size, limit
        self.opening, self.failures = opening, failures
        self.last: tuple[Any, Scores] | None = None

    def __call__(self, completions: Sequence[Any], ids: Sequence[Sequence[int]], columns: Mapping[str, Any]) -> Scores:
        texts = [self.opening + self.text(completion) for completion in completions]
        lengths = [len(one) for one in ids] or [0] * len(texts)
        stored = list(columns[COLUMN])
        state = columns.get("trainer_state")
        progress = Progress(state.global_step, max(state.max_steps, 1)) if state is not None else Progress(0, 1)
        batch = (texts, lengths, stored, progress)
        if self.last is None or self.last[0] != batch:
            scores = self.book.score(self.responses(texts, lengths, stored, progress))
            self.report(scores, columns)
            self.last = batch, scores
        return self.last[1]

    def text(self, completion: Any) -> str:
        if isinstance(completion, str):
            return completion
        return "\n".join(spoken(turn, self.layout) for turn in completion if turn.get("role") == "assistant")

    def responses(
        self, texts: Sequence[str], lengths: Sequence[int], stored: Sequence[str], progress: Progress
    ) -> Responses:
        problems = {line: decode(line, self.written_for) for line in dict.fromkeys(stored)}
        size = self.group_size or 1
        items = [
            Response(
                problem=problems[line],
                text=text,
                tokens=length,
                finished=self.limit is None or length < self.limit,
                member=i % size,
                layout=self.layout,
                verify=self.verify,
            )
            for i, (text, length, line) in enumerate(zip(texts, lengths, stored, strict=True))
        ]
        numbers = np.arange(len(items)) // size
        if self.group_size is None:
            return Ungrouped(items, numbers, progress)
        check_groups(stored, size)
        return Responses(items, numbers, progress)

    def report(self, scores: Scores, columns: Mapping[str, Any]) -> None:
        """Counts what could not be scored in TRL's log, and stops the run above the tolerated share."""
        share = scores.failed / max(len(scores.total), 1)
        if "log_metric" in columns:
            columns["log_metric"]("unscored", share)
        if "log_extra" in columns:
            columns["log_extra"]("note", scores.notes)
        if share > self.failures:
            first = next(note for note, total in zip(scores.notes, scores.total, strict=True) if np.isnan(total))
            raise RuntimeError(
                f"{scores.failed} of {len(scores.total)} responses got no reward because their verifier failed "
                f"(first: {first or 'no note'}). Fix the verifier, or allow more with failures=…"
            )


def check_groups(stored: Sequence[str], size: int) -> None:
    """ValueError unless the batch consists of whole groups of `size`, as TRL orders them."""
    if len(stored) % size:
        raise ValueError(
            f"this process has {len(stored)} completions, which are no whole groups of num_generations={size}, and the "
            "rulebook compares the members of a group: make per_device_train_batch_size (or, for evaluation, "
            "per_device_eval_batch_size) a multiple of it, and num_generations_eval the same"
        )
    for start in range(0, len(stored), size):
        if len(set(stored[start : start + size])) > 1:
            raise ValueError(
                f"completions {start} to {start + size - 1} are not to one problem: num_generations={size} differs "
                "from the trainer's"
            )
