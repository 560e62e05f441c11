"""The rulebook: named parts, their sum, and the motivation in words."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from merf.core.response import Responses, Scores
from merf.rules.arithmetic import refuse_cancelling
from merf.rules.rule import Rule, must_be_rule
from merf.rules.wording import Style, assemble

if TYPE_CHECKING:
    from merf.core.seams import Task
    from merf.framing.motivation import Motivated
    from merf.integrations.rows import Rows
    from merf.integrations.trl import TrlRewards
    from merf.integrations.verl import Rowlike, VerlFiles


@dataclass(frozen=True, init=False)
class Rulebook:
    """Adds up its rules' scores, and describes them in words: the motivation.

    `book.describe()` is what a model is told, `book.score(responses)` what it is paid. Both come
    from the same parts, so they can't drift apart.
    """

    parts: tuple[Rule, ...]
    told: bool

    def __init__(self, *parts: Rule, told: bool = True) -> None:
        for part in parts:
            must_be_rule(part)
        names = [part.name for part in parts]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(
                f"two parts are called {', '.join(sorted(twice))}: give one of them another name with .named(…), "
                "or add them up to one part"
            )
        refuse_cancelling(parts)
        object.__setattr__(self, "parts", tuple(parts))
        object.__setattr__(self, "told", told)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.parts)

    def describe(self, style: Style = "full", wording: int = 0) -> str:
        """The motivation: how responses are scored, in words. Empty for a silent or empty rulebook."""
        said = self.parts if self.told else ()
        return assemble([part.describe(style, wording) for part in said], style, wording)

    def score(self, responses: Responses) -> Scores:
        """Scores of N responses. A response one of whose parts is NaN has a NaN total."""
        if not self.parts:
            raise ValueError(
                "an empty rulebook can't score: give it at least one rule, such as Rulebook(Correct()); "
                "to pay in silence, use .silent()"
            )
        parts = {part.name: part.score(responses) for part in self.parts}
        total = np.sum(list(parts.values()), axis=0)
        notes = [response.note for response in responses]
        for i in np.flatnonzero(np.isnan(total)):
            failed = [name for name, scores in parts.items() if np.isnan(scores[i])]
            notes[i] = notes[i] or f"not applicable: {', '.join(failed)}"
        return Scores(total=total, parts=parts, notes=notes)

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and highest total that could be paid."""
        return sum(part.range[0] for part in self.parts), sum(part.range[1] for part in self.parts)

    def inverted(self) -> Rulebook:
        """Every score's sign flipped, in number and word (MeRF's adverse arm)."""
        return Rulebook(*(-part for part in self.parts), told=self.told)

    def only(self, *names: str) -> Rulebook:
        """Just the named parts (MeRF's suboptimal arm keeps correctness alone)."""
        known = [part.name for part in self.parts]
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"this rulebook has {', '.join(known) or 'none'}"
                raise KeyError(f"no part is called {name!r}; {hint}")
        return Rulebook(*(part for part in self.parts if part.name in names), told=self.told)

    def with_parts(self, *parts: Rule) -> Rulebook:
        """This rulebook with these parts: each in the place of the one of its name, or after the others."""
        named = {part.name: part for part in (*self.parts, *parts)}
        return Rulebook(*named.values(), told=self.told)

    def silent(self) -> Rulebook:
        """Pays the same and says nothing (plain RLVR)."""
        return Rulebook(*self.parts, told=False)

    def save(self, path: str | Path) -> None:
        """Write it as TOML, to be read by `Rulebook.load` and by people."""
        Path(path).write_text(self.as_toml(), encoding="utf-8")

    @classmethod
    def load(cls, source: str | Path, trust_code: bool = False) -> Rulebook:
        """A rulebook from a TOML file, or from Python as `package.module:name`.

        Naming a module runs its code. A TOML file that refers to functions in modules does so as well, and is
        refused unless `trust_code` is set.
        """
        from merf.rules.python import imported_rulebook
        from merf.rules.toml import from_toml

        if not isinstance(source, Path) and not source.endswith(".toml") and ":" in source:
            return imported_rulebook(source)
        path = Path(source)
        if path.suffix == ".py":
            raise ValueError(
                f"{path} is a Python file: name the rulebook in it by its import path, package.module:name, "
                "which runs that module"
            )
        return from_toml(path.read_text(encoding="utf-8"), str(path), trust_code)

    def as_toml(self) -> str:
        """The rulebook as a TOML document."""
        from merf.rules.toml import to_toml

        return to_toml(self)

    @classmethod
    def from_toml(cls, text: str, trust_code: bool = False) -> Rulebook:
        from merf.rules.toml import from_toml

        return from_toml(text, "the rulebook", trust_code)

    def as_python(self) -> str:
        """The rulebook as a Python expression."""
        from merf.rules.python import to_python

        return to_python(self)

    @classmethod
    def from_python(cls, text: str, trust_code: bool = False) -> Rulebook:
        """Read what `as_python` writes. Nothing but rules, operations and constants is evaluated."""
        from merf.rules.python import from_python

        return from_python(text, trust_code)

    def for_trl(
        self,
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
        """Reward functions, their weights and motivated prompts for TRL's trainers.

        task                   a task, its name (with `options`), or `Rows` for a dataset of your own
        framing                where the motivation goes and what it says; all of it in the system turn by default
        num_generations        the trainer's group size, needed where a rule compares the members of a group
        max_completion_length  the trainer's limit; a completion that reaches it counts as cut off
        opening                what the chat template has written of the response already, such as `<think>`
        chat                   False for prompts as plain text, for models without a chat template
        split_weights          take the parts' weights out of the scores and into `reward_weights`, for
                               `multi_objective_aggregation="normalize_then_sum"`
        failures               the share of a batch that may go unscored before the run stops

        ValueError for a rulebook that TRL can't pay as described.
        """
        from merf.integrations.trl import for_trl

        return for_trl(
            self,
            task,
            framing=framing,
            num_generations=num_generations,
            max_completion_length=max_completion_length,
            opening=opening,
            chat=chat,
            split_weights=split_weights,
            failures=failures,
            **options,
        )

    def for_verl(
        self,
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
        """Write prompts and a `compute_score` for verl into a new `folder`; the result names the files and the
        options that point verl to them.

        train, test  how many problems of the task's splits, or for `Rows` the rows themselves
        seed         of the task's problems

        The other arguments are those of `for_trl`. ValueError for a rulebook that verl can't pay as described:
        it scores one response at a time, without the group, the step or a count of tokens.
        """
        from merf.integrations.verl import for_verl

        return for_verl(
            self, folder, task, train=train, test=test, seed=seed, framing=framing, opening=opening, **options
        )

    def for_verifiers(self, task: Task | str, *, framing: Motivated | None = None, **options: Any) -> Any:
        """A `verifiers.v1` taskset class. Bind it in a module that lists it in `__all__`, whose name is then the
        taskset's id.

        ValueError for a rulebook that verifiers can't pay as described: it scores one response at a time, without
        the group or the step.
        """
        from merf.integrations.verifiers import for_verifiers

        return for_verifiers(self, task, framing=framing, **options)
