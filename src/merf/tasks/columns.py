"""Which column is what: by option, or recognised from the conventions that datasets follow.

verl    `prompt` (messages), `reward_model.ground_truth`, `data_source`, `extra_info`
TRL     `prompt` (text or messages) and `solution`, `answer` or the like
others  `question`/`problem`/… and `answer`/`solution`/…; GSM8K, MATH, MBPP, HumanEval, ARC and their kin
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from merf.core.problem import Message, Messages
from merf.tasks import nearest
from merf.tasks.records import Row

KNOWN: dict[str, tuple[str, ...]] = {
    "prompt": ("prompt", "question", "problem", "query", "instruction", "input", "text"),
    "answer": (
        *("reward_model.ground_truth", "answer", "ground_truth", "solution", "final_answer", "expected_answer"),
        *("target", "answerKey", "label", "correct", "output", "sql", "SQL", "query"),
    ),
    "solution": ("solution", "rationale", "canonical_solution", "code"),
    "rubric": ("rubric", "rubrics"),
    "images": ("images", "image"),
    "choices": ("choices", "options", "endings"),
    "tests": ("tests", "test_list", "test", "input_output", "test_cases", "public_tests", "reward_model.ground_truth"),
    "entry": ("entry_point", "fn_name"),
    "schema": ("schema", "setup", "context", "create_table"),
    "database": ("database", "db_path"),
    "difficulty": ("difficulty", "level"),
}
"""For every field, the columns it is taken from, the first that is there."""

VERL_SOURCES: dict[str, str] = {
    "openai/gsm8k": "math",
    "lighteval/MATH": "math",
    "DigitalLearningGmbH/MATH-lighteval": "math",
    "HuggingFaceH4/MATH-500": "math",
    "math_dapo": "math",
    "kk_logic": "knights-knaves",
    "countdown": "countdown",
}
"""Values of verl's `data_source` whose verifier is known. Those that begin with "aime" are mathematics too."""

TEMPLATE_SIGNS = ("<|im_start|>", "<|start_header_id|>", "[INST]", "<|user|>", "<start_of_turn>")


def pick(row: Row, column: str) -> Any:
    """A column's value; dots go into nested columns (`reward_model.ground_truth`). KeyError where it isn't there."""
    value: Any = row
    if column in row:
        return row[column]
    for part in column.split("."):
        if not isinstance(value, Mapping):
            raise KeyError(column)
        value = value[part]
    return value


def has(row: Row, column: str) -> bool:
    try:
        return pick(row, column) is not None
    except KeyError:
        return False


def map_columns(row: Row, given: Mapping[str, str]) -> dict[str, str]:
    """The column of every field that the first row has one for: `given` ones, then those recognised.

    ValueError, naming the columns and the nearest, where a given column doesn't exist or there is no prompt.
    """
    for field, column in given.items():
        if not has(row, column):
            raise ValueError(f"the data has no column {column!r} for {field}{nearest(column, row)}")
    found = dict(given)
    for field, columns in KNOWN.items():
        # One column may be both the answer and a worked solution, but never the prompt and something else.
        free = (column for column in columns if has(row, column) and column != found.get("prompt"))
        if field not in found and (column := next(free, "")):
            found[field] = column
    need(found, ("prompt",), row)
    return found


def need(columns: Mapping[str, str], fields: tuple[str, ...], row: Row) -> None:
    """ValueError, listing the columns there are and the nearest, unless one of the fields has a column."""
    if not set(fields) & set(columns):
        usual = [name for field in fields for name in KNOWN[field]]
        close = [column for column in row if difflib.get_close_matches(str(column), usual, 1, cutoff=0.75)]
        raise ValueError(
            f"no column looks like the {' or '.join(fields)}: name it with {fields[0]}=…; "
            f"the columns are {', '.join(map(str, row))}" + (f"; is it {close[0]!r}?" if close else "")
        )


def guess_verifier(row: Row, columns: Mapping[str, str]) -> str:
    """The verifier for a dataset that doesn't name one, from its first row."""
    source = str(row.get("data_source", ""))
    if source in VERL_SOURCES or source.lower().startswith("aime"):
        return VERL_SOURCES.get(source, "math")
    if "choices" in columns:
        return "choice"
    if "tests" in columns and columns["tests"] != "reward_model.ground_truth":
        return "code"
    return "exact"


def read_prompt(value: Any) -> str | Messages:
    """Text, or a conversation with a user's turn. ValueError for anything else."""
    if isinstance(value, str) and value.lstrip().startswith('[{"'):
        with suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, str):
        if not value.strip():
            raise ValueError("an empty prompt")
        return value
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("a prompt that is neither text nor messages")
    turns = []
    for turn in value:
        if not isinstance(turn, Mapping) or "role" not in turn or "content" not in turn:
            raise ValueError("a prompt whose messages have no role or content")
        turns.append(Message(role=str(turn["role"]), content=_content(turn["content"])))
    if not any(turn["role"] == "user" for turn in turns):
        raise ValueError("a prompt without a user's turn")
    return tuple(turns)


def _content(content: Any) -> str:
    """A message's text. In a list of parts, images leave the placeholder that processors know."""
    if isinstance(content, str):
        return content
    if isinstance(content, list | tuple):
        texts = [part.get("text") or f"<{part.get('type', 'image')}>" for part in content if isinstance(part, Mapping)]
        return "".join(map(str, texts))
    raise ValueError("a message whose content is neither text nor parts")


def text_of(prompt: str | Messages) -> str:
    """The prompt as one text, by which rows are compared."""
    return prompt if isinstance(prompt, str) else "\n".join(f"{turn['role']}: {turn['content']}" for turn in prompt)
