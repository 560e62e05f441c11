"""A taskset in verifiers' own commands and traces. `pytest tests/integrations -m verifiers` where
`pip install 'merf[train,verifiers]'` has been done; elsewhere these are skipped."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from merf import Concise, Correct, Overlong, Rulebook
from merf.integrations.rows import solution_of
from merf.tasks import get
from tests.integrations.page import examples
from tests.integrations.parity import Parity, book

pytestmark = pytest.mark.verifiers
pytest.importorskip("verifiers.v1", reason="needs verifiers: pip install 'merf[train,verifiers]'")
import verifiers.v1 as vf  # noqa: E402
from verifiers.v1.configs.taskset import TasksetConfig  # noqa: E402
from verifiers.v1.trace import AgentInfo, ModelCall, Trace, TraceTask  # noqa: E402


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the documentation's example, found as verifiers finds tasksets."""
    ((code, _),) = examples("## verifiers")
    (tmp_path / "my_countdown.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield importlib.import_module("my_countdown")
    del sys.modules["my_countdown"]


def tasks_of(taskset: Any, count: int, **settings: Any) -> list[Any]:
    config = taskset.__orig_bases__[0].__args__[1](**settings)
    return list(islice(taskset(config), count))


def traced(task: Any, text: str, finish: str = "stop", tokens: int = 5, reasoning: str | None = None) -> Any:
    """What verifiers records of one turn."""
    message = vf.AssistantMessage(content=text, reasoning_content=reasoning)
    return Trace(
        task=TraceTask(type=type(task).__name__, data=task.data, key=task.key, hash=task.hash),
        agent=AgentInfo(config=vf.AgentConfig()),
        nodes=[{"message": message, "sampled": True}],
        calls=[ModelCall(node=0, finish_reason=finish, usage={"prompt_tokens": 9, "completion_tokens": tokens})],
    )


def rewards_of(task: Any, trace: Any) -> dict[str, float | None]:
    asyncio.run(task.score(trace))
    return {name: None if reward is None else reward.score for name, reward in trace.rewards.items()}


def test_validate_accepts_every_task(module: Any, tmp_path: Path) -> None:
    from verifiers.v1.cli import validate

    validate.main(
        ["my-countdown", "-n", "4", "--runtime.type", "subprocess", "--rich", "False", "--output-dir", "runs"]
    )
    (file,) = (tmp_path / "runs").rglob("results.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["reason"] for row in rows] == ["valid"] * 4
    assert all(row["gold"]["valid"] for row in rows), "the verifier accepts the problems' own solutions"
    assert all(row["noop"]["rewards"] == {"correctness": -2, "format": -1} for row in rows)


def test_a_rollout_is_paid_the_rulebooks_total(module: Any) -> None:
    (task,) = tasks_of(module.Countdown, 1)
    solution = solution_of(next(get("countdown").problems("train", 0)))
    right = traced(task, f"<think>so</think><answer>{solution}</answer>")
    assert rewards_of(task, right) == {"correctness": 2, "format": 1}
    assert right.reward == 3
    wrong = traced(task, "<think>so</think><answer>1</answer>")
    assert rewards_of(task, wrong) == {"correctness": -1.5, "format": 1}
    cut = traced(task, f"<think>so</think><answer>{solution}</answer>", finish="length")
    assert rewards_of(task, cut) == {"correctness": -2, "format": -1}


def test_reasoning_that_the_server_took_out_is_read(module: Any) -> None:
    (task,) = tasks_of(module.Countdown, 1)
    trace = traced(task, "<answer>1</answer>", reasoning="hm")
    assert rewards_of(task, trace) == {"correctness": -1.5, "format": 1}


def test_the_prompt_carries_the_motivation_or_not(module: Any) -> None:
    told, bare = (tasks_of(module.Countdown, 1, told=told)[0].data for told in (True, False))
    task = get("countdown")
    assert told.system_prompt == f"{task.instruction}\n{module.book.describe()}"
    assert bare.system_prompt == task.instruction
    assert told.prompt == bare.prompt == next(task.problems("train", 0)).prompt
    held = tasks_of(module.Countdown, 1, split="test", seed=3)[0].data
    assert held.id == "countdown/test/3/0"


def test_tokens_are_counted() -> None:
    taskset = Rulebook(Overlong(limit=20, band=10)).for_verifiers(Parity())
    (task,) = tasks_of(taskset, 1)
    assert rewards_of(task, traced(task, "aa", tokens=15)) == {"overlong": -0.5}


def test_what_cant_be_scored_is_left_open() -> None:
    taskset = book().for_verifiers(Parity(breaks_on="b"))
    (task,) = tasks_of(taskset, 1)
    trace = traced(task, "b")
    with pytest.raises(Exception, match="the verifier broke"):
        rewards_of(task, trace)
    assert set(trace.rewards.values()) == {None}
    fine = traced(task, "aa")
    total = sum(value or 0 for value in rewards_of(task, fine).values())
    assert total == fine.reward == pytest.approx(2 + 0.5 + 0.75 + 1.5)


def test_the_taskset_is_loaded_by_its_id(module: Any) -> None:
    loaded = vf.load_taskset(module.Countdown.__orig_bases__[0].__args__[1](id="my-countdown"))
    assert isinstance(loaded, module.Countdown)
    assert isinstance(loaded.config, TasksetConfig)
    assert not loaded.bounded, "an endless task"
    assert Rulebook(Correct(), Concise()).for_verifiers("countdown").INFINITE
