"""Problems as rows of other people's datasets.

In every trainer the prompt is data: the motivation is written into it, and what the verifier needs
travels in one text column beside it. That column also carries the rulebook's fingerprint, so that a reward
never scores prompts that promise something else.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from itertools import islice
from typing import Any

import numpy as np

from merf.core.layout import Layout, ThinkAnswer
from merf.core.problem import Message, Messages, Problem
from merf.core.progress import Constant
from merf.core.response import Verdict
from merf.core.seams import Task
from merf.core.seeds import derive
from merf.framing.motivation import Motivated
from merf.rules.custom import located
from merf.rules.rulebook import Rulebook
from merf.tasks import get
from merf.tasks.answers import answers_named
from merf.tasks.columns import map_columns, need, pick, read_prompt, text_of
from merf.tasks.data import normalised

TAG = "$"


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: tuples, keys that aren't text and the tasks' own dataclasses are tagged.

    TypeError for anything else.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, tuple):
        return {TAG: "tuple", "of": [plain(one) for one in value]}
    if isinstance(value, Mapping):
        if TAG not in value and all(type(key) is str for key in value):
            return {key: plain(one) for key, one in value.items()}
        return {TAG: "dict", "of": [[plain(key), plain(one)] for key, one in value.items()]}
    kind = type(value)
    if is_dataclass(value) and kind.__module__.startswith("merf.tasks."):
        of = {entry.name: plain(getattr(value, entry.name)) for entry in fields(value)}
        return {TAG: f"{kind.__module__}:{kind.__name__}", "of": of}
    raise TypeError(f"{kind.__name__} can't be written into a dataset: use text, numbers, lists and dicts")


def unplain(value: Any) -> Any:
    """The reverse of `plain`. ValueError for a tag that it doesn't write."""
    if isinstance(value, list):
        return [unplain(one) for one in value]
    if not isinstance(value, dict):
        return value
    of: Any = value.get("of")
    match value.get(TAG):
        case None:
            return {key: unplain(one) for key, one in value.items()}
        case "tuple":
            return tuple(unplain(of))
        case "dict":
            return {unplain(key): unplain(one) for key, one in of}
        case str(home) if home.startswith("merf.tasks."):
            kind = located(home)
            if isinstance(kind, type) and is_dataclass(kind) and kind.__module__.startswith("merf.tasks."):
                return kind(**unplain(of))
    raise ValueError(f"not a stored problem: {TAG} = {value.get(TAG)!r}")


def fingerprint(book: Rulebook) -> str:
    """Sixteen digits that change with the full description, whether the model is told it or not."""
    return hashlib.blake2b(Rulebook(*book.parts).describe("full").encode(), digest_size=8).hexdigest()


def encode(problem: Problem, book: Rulebook) -> str:
    """The problem as one line of JSON. TypeError where its answer can't be written; images and other things
    in `meta` that can't be are left out, since no rule reads them."""
    meta = {}
    for key, value in problem.meta.items():
        try:
            meta[key] = plain(value)
        except TypeError:
            continue
    try:
        stored = {
            "prompt": plain(problem.prompt),
            "answer": plain(problem.answer),
            "task": problem.task,
            "id": problem.id,
            "meta": meta,
            "rulebook": fingerprint(book),
        }
    except TypeError as error:
        raise TypeError(f"the answer of {problem.id or problem.prompt!r}: {error}") from error
    return json.dumps(stored, ensure_ascii=False)


def decode(text: str, expected: str) -> Problem:
    """The problem that `encode` wrote. ValueError where the text is something else, or was written for a
    rulebook whose fingerprint isn't `expected`."""
    try:
        stored = json.loads(text)
        written = stored.pop("rulebook")
        problem = Problem(**unplain(stored))
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise ValueError(f"not a problem that merf wrote into the dataset: {str(text)[:80]!r}") from error
    if written != expected:
        raise ValueError(
            f"{problem.id}: its prompt was written for another rulebook ({written}, this one is {expected}), so the "
            "model would be paid for something else than it was told: write the dataset again"
        )
    return problem


class Rows:
    """The rows of a dataset of your own as a task.

    verifier  how answers are judged: exact, math, choice, knights-knaves, countdown, code or sql
    layout    how responses are laid out; without one, the verifier's usual one
    columns   the column of a field by its name, where it isn't recognised: prompt, answer, choices, tests, …
    """

    def __init__(self, verifier: str = "exact", layout: Layout | None = None, **columns: str) -> None:
        self.answers = answers_named(verifier)
        self.name = f"rows-{verifier}"
        self.layout: Layout = layout or self.answers.layout
        self.given, self.columns = columns, dict[str, str]()

    @property
    def instruction(self) -> str:
        return self.layout.instruction()

    def problems(self, split: str = "train", seed: int = 0) -> Iterator[Problem]:
        raise TypeError("these problems are the rows of your own dataset: hand the rows over")

    def problem(self, row: Mapping[str, Any]) -> Problem:
        """One row as a problem; the first decides which column is what. ValueError where it can't be one."""
        if not self.columns:
            columns = map_columns(dict(row), self.given)
            for group in self.answers.wants:
                need(columns, group, dict(row))
            self.columns = columns
        found: dict[str, Any] = {}
        for name, column in self.columns.items():
            try:
                found[name] = pick(dict(row), column)
            except KeyError:
                found[name] = None
        prompt = read_prompt(found["prompt"])
        for group in self.answers.wants:
            if all(found.get(name) is None for name in group):
                raise ValueError(f"a row has no {' or '.join(group)}: {text_of(prompt)[:80]!r}")
        text = normalised(text_of(prompt))
        try:
            answer = self.answers.read(found, text)
        except (TypeError, KeyError, IndexError, AttributeError, ValueError) as error:
            raise ValueError(f"a row's answer is in no known form ({error}): {text_of(prompt)[:80]!r}") from error
        used = set(self.columns.values())
        meta = {name: value for name, value in row.items() if name not in used}
        meta.update({name: found[name] for name in ("solution", "rubric") if found.get(name) is not None})
        name = str(row.get("id") or f"{self.name}/{derive('question', text):x}")
        return Problem(self.answers.ask(prompt, answer), answer, self.name, name, meta)

    def verify(self, problem: Problem, answer: str) -> Verdict:
        return self.answers.verify(problem, answer)

    def describe(self) -> str:
        return f"Rows of a dataset; judged by {self.answers.facts.verifier}."


def as_task(task: Task | str, options: Mapping[str, Any]) -> Task:
    """A task from its name and options, or the task itself."""
    if isinstance(task, str):
        return get(task, **options)
    if options:
        raise ValueError(f"{', '.join(options)}: options go with a task's name, and {task.name!r} is made already")
    return task


def as_framing(framing: Motivated | None, task: Task) -> Motivated:
    """The framing, by default the whole motivation in the system turn. A dataset is written once, so whatever
    depends on the step, the group member or the gradient is refused."""
    framing = framing or Motivated(system=task.instruction)
    if framing.exposure != Constant(1.0):
        raise ValueError(
            "a dataset's prompts are the same for a whole group and throughout training, so exposure must be "
            "Constant(1.0): leave the motivation out of some of the rows with told=False instead"
        )
    if framing.learning != "acting":
        raise ValueError("other trainers learn from the prompt they act on: learning must be 'acting'")
    return framing


def drawn(task: Task, count: int, split: str, seed: int) -> Iterable[Problem]:
    """`count` problems, or as many as there are, with a progress bar on a terminal. ValueError for none."""
    from rich.progress import track

    if count < 1:
        raise ValueError(f"{count} problems: ask for at least one")
    problems = list(
        track(
            islice(task.problems(split, seed), count),
            f"{task.name} ({split})",
            total=count,
            transient=True,
            disable=not sys.stdout.isatty(),
        )
    )
    if not problems:
        raise ValueError(f"{task.name} has no {split} problems")
    return problems


def as_text(messages: Messages) -> str:
    """A conversation as plain text, for models without a chat template."""
    return "".join(f"{message['content']}\n\n" for message in messages)


def spoken(message: Mapping[str, Any], layout: Layout) -> str:
    """What the model wrote in one turn. Some hosts take the reasoning out of the text; it is put back."""
    content = message.get("content") or ""
    if not isinstance(content, str):
        content = "".join(str(part.get("text") or "") for part in content)
    reasoning = message.get("reasoning_content") or ""
    if reasoning and isinstance(layout, ThinkAnswer):
        opening, closing, *_ = layout.tags
        return f"{opening}{reasoning}{closing}{content}"
    return f"{reasoning}{content}"


def solution_of(problem: Problem) -> str | None:
    """An answer that should be judged right, where the problem states one."""
    answer = problem.answer
    if isinstance(answer, tuple) and answer:
        answer = answer[0]
    stated = answer if isinstance(answer, str) else problem.meta.get("solution")
    return stated if isinstance(stated, str) else None


def as_messages(messages: Messages) -> list[Message]:
    """The conversation as the lists of dicts that datasets hold."""
    return [Message(role=message["role"], content=message["content"]) for message in messages]
