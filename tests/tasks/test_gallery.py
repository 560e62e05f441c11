"""What is printed and written about the tasks is made from the tasks."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest

from merf.cli.tasks import main, options_of
from merf.core.layout import ThinkAnswer
from merf.core.problem import Problem
from merf.core.response import Verdict
from merf.tasks import TASKS, extras
from merf.tasks.facts import Facts
from merf.tasks.gallery import catalogue, filled_in
from merf.tasks.procedural import Procedural

PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"


def test_the_page_holds_the_tables_that_the_code_makes() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert filled_in(page) == page, "run python -m merf.tasks.gallery"


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="has no <!-- tasks -->"):
        filled_in("# Tasks")


def test_the_pages_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    exec(blocks[0], {})
    assert capsys.readouterr().out.count("correct=True") == 3
    known = {"Random": Random, "Problem": Problem, "Verdict": Verdict, "Facts": Facts, "Procedural": Procedural}
    exec(blocks[1], {})
    assert capsys.readouterr().out.startswith("True 1.0 [")
    exec(blocks[2], scope := {**known, "ThinkAnswer": ThinkAnswer})
    task = scope["Doubling"]()
    problem = next(task.problems("test"))
    assert task.verify(problem, problem.meta["solution"]).correct is True
    assert task.verify(problem, "twice").readable is False


def test_every_task_is_in_the_catalogue() -> None:
    entries = {entry.name: entry for entry in catalogue()}
    assert set(TASKS) <= set(entries)
    assert sum(name.startswith("rg:") for name in entries) == 105
    for entry in entries.values():
        assert entry.about
        assert entry.facts.verifier
        assert entry.dials or entry.name == "rg:list_functions"


def test_the_catalogue_needs_no_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    entries = {entry.name: entry for entry in catalogue(gym=False)}
    assert "merf[sql]" in entries["sql"].about


def test_merf_tasks_lists_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    printed = capsys.readouterr().out
    for name in (*TASKS, "rg:sudoku", "data:PATH", "textarena:GAME"):
        assert name in printed
    main(["list", "--all"])
    assert "min_terms = 2" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["knights-knaves", "countdown", "code", "sql", "rg:coin_flip", "search-qa", "maze"])
def test_merf_tasks_show_prints_problems_with_answers(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["show", name, "-n", "2", "--split", "test", "--seed", "3"])
    printed = capsys.readouterr().out
    assert f"{name}/test/3/1" in printed
    assert printed.count("answer ") >= 2
    assert "verifier: " in printed


def test_merf_tasks_show_says_what_is_wrong_with_a_scorer_and_with_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["show", "rg:coin_flip", "-n", "1"])
    assert "full marks for a fixed answer" in capsys.readouterr().out
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "[bold]a[/]", "answer": 1}\n{"question": "a?", "answer": 2}\n' * 2)
    main(["show", "data:" + str(path), "--set", "holdout=0", "--set", "duplicates=exact", "--set", "verifier=math"])
    printed = capsys.readouterr().out
    assert "[bold]a[/]" in printed
    assert "data:" in printed


def test_options_are_read_as_toml_or_as_text() -> None:
    given = ["people=[2, 3]", "data=a b.jsonl", "holdout=0.5", 'name="x"', "keep=true"]
    assert options_of(given) == {"people": (2, 3), "data": "a b.jsonl", "holdout": 0.5, "name": "x", "keep": True}
    with pytest.raises(ValueError, match="OPTION=VALUE"):
        options_of(["people"])
