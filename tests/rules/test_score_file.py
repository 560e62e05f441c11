"""A file is scored once, whole and in order, however often the scoring is stopped."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merf import Brevity, Concise, Correct, Format, Overlong, Responses, Rulebook, easiest
from merf.cli import score as command
from merf.core.progress import Linear
from merf.rules import score_file
from merf.rules.score_file import Job, TooManyFailures, lines_of, prepared
from merf.rules.scoring import Outcome, Scorer

BOOK = Rulebook(Correct(right=1, wrong=0, unreadable=-1), Concise(words=3, within=1, over=0).ranked().named("rank"))
TEXT = Rulebook(Concise(words=3, within=1, over=0), Brevity(unit="words"))


def row(answer: str, truth: str = "4", **more: Any) -> dict[str, Any]:
    return {
        "question": "?",
        "answer": truth,
        "completion": f"<think>{more.pop('work', '')}</think><answer>{answer}</answer>",
    } | more


def write(path: Path, rows: Sequence[Any]) -> Path:
    """A file of rows; text and bytes among them are written as they are."""
    lines = [
        one if isinstance(one, bytes) else (one if isinstance(one, str) else json.dumps(one)).encode() for one in rows
    ]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def score(tmp_path: Path, rows: Sequence[Any], book: Rulebook = BOOK, **options: Any) -> list[dict[str, Any]]:
    job = prepared(book, write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl", **{"workers": 1, **options})
    job.run()
    return read(tmp_path / "out.jsonl")


def test_every_line_has_its_score_in_order(tmp_path: Path) -> None:
    rows = [
        row("4", uid="a"),
        row("5", uid="a", work="1 2 3 4"),
        row("4.0", uid="b"),
        {**row("4", uid="b"), "completion": "4"},
    ]
    assert score(tmp_path, rows) == [
        {"line": 1, "group": "a", "total": 2.0, "parts": {"correctness": 1.0, "rank": 1.0}, "note": ""},
        {"line": 2, "group": "a", "total": 0.0, "parts": {"correctness": 0.0, "rank": 0.0}, "note": ""},
        {"line": 3, "group": "b", "total": 1.5, "parts": {"correctness": 1.0, "rank": 0.5}, "note": ""},
        {
            "line": 4,
            "group": "b",
            "total": -0.5,
            "parts": {"correctness": -1.0, "rank": 0.5},
            "note": "<think> is missing",
        },
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def ranks(scored: Sequence[dict[str, Any]]) -> list[float]:
    return [one["parts"]["rank"] for one in scored]


def test_a_group_is_consecutive_lines_with_the_same_id_or_else_the_same_prompt(tmp_path: Path) -> None:
    long, short = row("4", work="1 2 3 4"), row("4")
    by_id = [short | {"problem_id": 1}, long | {"problem_id": 1}, long | {"problem_id": 2}, short | {"problem_id": 1}]
    assert ranks(score(tmp_path, by_id)) == [1, 0, 0.5, 0.5]
    (tmp_path / "out.jsonl").unlink()
    by_prompt = [short, long, long | {"question": "!"}, short]
    assert ranks(score(tmp_path, by_prompt)) == [1, 0, 0.5, 0.5]
    (tmp_path / "out.jsonl").unlink()
    assert ranks(score(tmp_path, by_prompt, alone=True)) == [0.5] * 4


def test_bad_lines_are_set_aside_with_number_reason_and_text(tmp_path: Path) -> None:
    invalid = b'{"completion": "\xff"}'
    rows = [
        *(row("4"), "{not json", "", "[1]", row("4", work="1 2 3 4"), {"question": "?", "answer": "4"}),
        *(row("4", truth=""), invalid, row("4") | {"completion": ["a", "b"]}, row("4", work="1 2 3 4")),
    ]
    scored = score(tmp_path, rows)
    assert [one["line"] for one in scored] == [1, 5, 10]
    assert ranks(scored) == [1, 0.25, 0.25]  # what can't be read doesn't tear a group apart
    aside = read(tmp_path / "out.bad.jsonl")
    assert [one["line"] for one in aside] == [2, 4, 6, 7, 8, 9]
    reasons = [one["reason"] for one in aside]
    assert reasons[0].startswith("not JSON")
    assert reasons[1:4] == ["a JSON list, not an object", "no completion", "an empty answer"]
    assert reasons[5] == "a list of completions: give each of them a line of its own"
    assert aside[0]["text"] == "{not json"
    assert aside[4]["text"].encode("utf-8", "surrogateescape") == invalid


def test_a_line_of_absurd_length_is_skipped_without_being_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_file, "LONGEST", 1000)
    scored = score(tmp_path, [row("4"), row("4", work="x" * 5000), "y" * 1001, row("5"), "z" * 999])
    assert [one["line"] for one in scored] == [1, 4]
    assert [(one["line"], one["text"]) for one in read(tmp_path / "out.bad.jsonl")] == [
        (2, None),
        (3, None),
        (5, "z" * 999),
    ]


def test_a_file_of_rubbish_is_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_file, "LARGEST", 10)
    job = prepared(BOOK, write(tmp_path / "in.jsonl", [row("4"), *["{"] * 95]), tmp_path / "out.jsonl", workers=1)
    with job.source.open("rb") as file:
        assert max(len(unit.bad) for unit in job._units(file, score_file.Place())) == 10
    assert job.run().bad == 95


def test_a_group_without_an_end_is_refused_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_file, "LARGEST", 10)
    with pytest.raises(ValueError, match=r"lines 1 to 11 would be one group: name the column .*--alone"):
        score(tmp_path, [row("4")] * 30)


class Crash(BaseException):
    """The machine goes off."""


def crashing(function: Callable[..., Any], after: int) -> Callable[..., Any]:
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise Crash
        return function(*args, **kwargs)

    return wrapped


def save_always(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(score_file, "SAVED_EVERY", 0.0)
    patch.setattr(score_file, "SAVING", 1e9)


MANY = [
    one
    for group in range(8)
    for one in (row("4", uid=group), row("5", uid=group, work="1 2 3"), "{bad", row("4", uid=group, work="1"))
]


class InThisProcess(Scorer):
    """Without workers, so that hundreds of runs take no time."""

    def stream(self, batches: Iterable[Responses]) -> Iterator[Outcome]:
        for batch in batches:
            yield Outcome(self.book.score(batch), np.zeros(len(batch), bool))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["as_line", "fsync", "replace"]), st.integers(0, 30)), max_size=4))
def test_a_run_that_is_cut_off_anywhere_gives_the_same_files_in_the_end(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, crashes: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    monkeypatch.setattr(score_file, "Scorer", InThisProcess)
    monkeypatch.setattr(os, "fsync", lambda number: None)  # disks can be slow, and no power fails here
    job = prepared(TEXT, write(folder / "in.jsonl", MANY), folder / "out.jsonl", workers=1)
    whole = prepared(TEXT, folder / "in.jsonl", folder / "whole.jsonl", workers=1)
    whole.run()
    for name, after in crashes:
        with pytest.MonkeyPatch.context() as patch:
            save_always(patch)
            if name == "as_line":
                patch.setattr(score_file, name, crashing(score_file.as_line, after))
            else:
                patch.setattr(os, name, crashing(getattr(os, name), after))
            with contextlib.suppress(Crash, FileExistsError):
                job.run()
    if not job.target.exists():
        job.run()
    assert job.target.read_bytes() == whole.target.read_bytes()
    assert job.aside.read_bytes() == whole.aside.read_bytes()


def test_a_run_that_goes_on_doesnt_begin_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = prepared(TEXT, write(tmp_path / "in.jsonl", MANY), tmp_path / "out.jsonl", workers=1)
    save_always(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(score_file, "as_line", crashing(score_file.as_line, 17))
        with pytest.raises(Crash):
            job.run()
    offsets: list[int] = []
    tally = job.run(lambda offset, _: offsets.append(offset))
    fourth = sum(len(line) + 1 for line in job.source.read_text().split("\n")[:16])
    assert offsets[0] == fourth  # four groups of four lines had been finished
    assert (tally.lines, tally.bad, tally.parts["total"].count) == (24, 8, 24)


def test_killed_for_real_and_started_again(tmp_path: Path) -> None:
    marker = tmp_path / "killed"
    rows = [row("4", uid=n // 2) for n in range(600)]
    rows[401] = row("4", uid=200, work=f"kill unless {marker}")
    write(tmp_path / "in.jsonl", rows)
    script = (
        "from merf.cli.score import main\nfrom merf.rules import score_file\n"
        "score_file.SAVED_EVERY, score_file.SAVING = 0.0, 1e9\n"
        "main(['--rulebook', 'hostile_rules:killer', '--input', 'in.jsonl', '--output', 'out.jsonl', '--workers', '1'])"
    )

    def run() -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        call = [sys.executable, "-c", script]
        return subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)

    first = run()
    assert first.returncode == -signal.SIGKILL, first.stderr
    assert not (tmp_path / "out.jsonl").exists()
    assert 0 < len(read(tmp_path / "out.jsonl.part")) < 600
    second = run()
    assert second.returncode == 0, second.stderr
    scored = read(tmp_path / "out.jsonl")
    assert [one["line"] for one in scored] == list(range(1, 601))
    assert all(one["parts"] == {"correctness": 2.0, "killing": 1.0, "rank": 0.5} for one in scored)


def test_what_was_begun_with_other_rules_or_input_is_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = write(tmp_path / "in.jsonl", MANY), tmp_path / "out.jsonl"
    save_always(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(score_file, "as_line", crashing(score_file.as_line, 9))
        with pytest.raises(Crash):
            prepared(TEXT, source, target, workers=1).run()
    begun = (tmp_path / "out.jsonl.part").read_bytes()
    other = prepared(Rulebook(Concise(words=4, within=1, over=0)), source, target, workers=1)
    with pytest.raises(ValueError, match="another rulebook, input or options"):
        other.run()
    with pytest.raises(ValueError, match="another rulebook, input or options"):
        prepared(TEXT, write(source, MANY[:-1]), target, workers=1).run()
    assert (tmp_path / "out.jsonl.part").read_bytes() == begun
    write(source, MANY)
    other.discard()
    assert other.run().lines == 24


def test_an_output_that_is_there_or_being_written_is_left_alone(tmp_path: Path) -> None:
    job = prepared(TEXT, write(tmp_path / "in.jsonl", MANY), tmp_path / "out.jsonl", workers=1)
    with job.part.open("ab") as file:
        score_file.lock(file, job.part)
        with pytest.raises(ValueError, match="being written by another process"):
            job.run()
    job.run()
    before = job.target.read_bytes()
    with pytest.raises(FileExistsError, match="--overwrite"):
        job.run()
    assert job.target.read_bytes() == before


def test_a_note_without_what_it_speaks_of_is_not_believed(tmp_path: Path) -> None:
    job = prepared(TEXT, write(tmp_path / "in.jsonl", MANY), tmp_path / "out.jsonl", workers=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_file.os, "replace", crashing(os.replace, 1))
        with pytest.raises(Crash):
            job.run()
    job.part.unlink()
    assert job.run().lines == 24
    assert len(read(job.target)) == 24


def test_too_many_failures_stop_the_run_and_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_file, "EARLIEST", 10)
    # A gold answer that can't be read fails whatever is answered.
    rows = [row("9", truth=str(n)) if n % 2 else row("x+1", truth="?!") for n in range(60)]
    source, target = write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl"
    options: dict[str, Any] = {"workers": 1, "task": "math", "alone": True}
    with pytest.raises(TooManyFailures, match=r"could not be judged, more than 5\.0%: .*\n.* higher --max-failed"):
        prepared(BOOK, source, target, **options).run()
    assert not target.exists()
    done = len(read(tmp_path / "out.jsonl.part"))
    assert 10 <= done < 60
    tally = prepared(BOOK, source, target, max_failed=0.6, **options).run()
    scored = read(target)
    assert [one["line"] for one in scored] == list(range(1, 61))
    assert tally.failed == 30
    assert scored[0]["total"] is None
    assert scored[0]["parts"] == {"correctness": None, "rank": 0.5}
    assert "can't be read" in scored[0]["note"]
    assert scored[1]["total"] == 0.5


def test_workers_give_the_same_file_as_one(tmp_path: Path) -> None:
    rows = [row(str(n % 5), uid=n // 4, work="w " * (n % 6)) for n in range(300)]
    one = score(tmp_path, rows)
    (tmp_path / "out.jsonl").unlink()
    assert score(tmp_path, rows, workers=3) == one


def test_questions_are_compared_within_the_batch_that_was_asked_for(tmp_path: Path) -> None:
    book = Rulebook(Correct(1, 0, 0).where(easiest(0.5), otherwise=-1))
    rows = [row("4", uid=1), row("5", uid=2), row("4", uid=3), row("4", uid=3), row("5", uid=4), row("4", uid=5)]
    with pytest.raises(ValueError, match="--batch"):
        score(tmp_path, rows, book)
    assert [one["total"] for one in score(tmp_path, rows, book, groups=2)] == [1, -1, 1, 1, -1, 1]


def test_a_schedule_is_taken_where_it_is_asked_for(tmp_path: Path) -> None:
    book = Rulebook(Concise(words=3, within=1, over=0).annealed(Linear(1, 0)))
    assert [one["total"] for one in score(tmp_path, [row("4")], book, progress=0.25)] == [0.75]


def test_the_rows_can_be_kept(tmp_path: Path) -> None:
    rows = [row("4", extra={"a": [1]}), row("5")]
    assert [one["row"] for one in score(tmp_path, rows, keep=True)] == rows


BAD_JOBS: dict[str, tuple[dict[str, Any], str]] = {
    "no such column": ({"columns": {"completion": "respons"}}, "no column 'respons' .*did you mean 'response'"),
    "no such field": ({"columns": {"completon": "x"}}, "no field 'completon'; did you mean 'completion'"),
    "no such task": ({"task": "mth"}, "no task 'mth'; did you mean 'math'"),
    "a dataset as a task": ({"task": "data:x.jsonl"}, "name a verifier instead"),
    "no batch": ({"groups": 0}, "--batch is at least 1"),
    "no share": ({"max_failed": 2}, "between 0 and 1"),
}


@pytest.mark.parametrize("case", BAD_JOBS)
def test_bad_options_are_refused_before_anything_is_written(tmp_path: Path, case: str) -> None:
    options, message = BAD_JOBS[case]
    rows = [{"question": "?", "answer": "4", "response": "<think></think><answer>4</answer>"}]
    with pytest.raises((ValueError, KeyError), match=message):
        score(tmp_path, rows, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_bad_input_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no column looks like the completion: name it; the columns are question, a"):
        score(tmp_path, [{"question": "?", "answer": "4"}])
    with pytest.raises(ValueError, match="no column looks like the answer"):
        score(tmp_path, [{"question": "?", "completion": "4"}])
    with pytest.raises(ValueError, match="counts tokens, and no column says how many"):
        score(tmp_path, [row("4")], Rulebook(Overlong(limit=10, band=5)))
    with pytest.raises(ValueError, match="has no line that can be read: not JSON"):
        score(tmp_path, ["{", "["])
    with pytest.raises(ValueError, match="has no line that can be read"):
        score(tmp_path, [])
    with pytest.raises(ValueError, match="JSON lines"):
        prepared(BOOK, tmp_path / "in.parquet", tmp_path / "out.jsonl")
    with pytest.raises(ValueError, match="the output can't be the input"):
        prepared(BOOK, write(tmp_path / "in.jsonl", [row("4")]), tmp_path / "in.jsonl")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        prepared(BOOK, tmp_path / "in.jsonl", tmp_path / "nowhere" / "out.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


@given(st.binary(max_size=300), st.integers(0, 12))
def test_lines_are_numbered_and_placed_like_those_of_the_file(tmp_path_factory: Any, content: bytes, skip: int) -> None:
    path = tmp_path_factory.mktemp("lines") / "x"
    path.write_bytes(content)
    with path.open("rb") as file:
        lines = list(lines_of(file))
        raw = re.findall(rb"[^\n]*\n|[^\n]+", content)
        assert [(one.number, one.raw) for one in lines] == [(n, line) for n, line in enumerate(raw, 1) if line.strip()]
        if skip < len(lines):
            assert list(lines_of(file, lines[skip].end, lines[skip].number)) == lines[skip + 1 :]


def test_the_command_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Rulebook(Correct(1, 0, 0), Format(good=1, bad=0)).save(tmp_path / "book.toml")
    write(tmp_path / "in.jsonl", [row("4"), "{", row("5")])
    arguments = ["--rulebook", str(tmp_path / "book.toml"), "--input", str(tmp_path / "in.jsonl")]
    arguments += ["--output", str(tmp_path / "out.jsonl"), "--workers", "1", "--columns", "answer=answer"]
    with pytest.raises(SystemExit) as status:
        command.main(arguments)
    assert status.value.code == command.SET_ASIDE
    out, err = capsys.readouterr()
    assert "total\t1.5\t1\t2\t0\n" in out
    assert "2 responses scored" in out
    assert "1 lines were set aside in" in out
    assert "line 2: not JSON" in out
    assert "layout: think-answer; answers judged by: mathematical equality (math-verify)" in err
    write(tmp_path / "in.jsonl", [row("4")])
    command.main([*arguments, "--overwrite"])
    assert "set aside" not in capsys.readouterr().out
    assert not (tmp_path / "out.bad.jsonl").exists()
    with pytest.raises(ValueError, match="expected FIELD=COLUMN"):
        command.main([*arguments[:-1], "answer"])


def test_a_terminal_shows_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(
        TEXT, prepared(TEXT, write(tmp_path / "in.jsonl", MANY), tmp_path / "o").reading, tmp_path, tmp_path / "o"
    )
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    tally = score_file.Tally(
        lines=1, failed=1, reasons={"slow": 1}, parts={"total": score_file.PartTally()}, warnings=["w"]
    )
    command.report(job, tally)
    out = capsys.readouterr().out
    assert "not applicable" in out
    assert "1 of them could not be judged and got no score: 1 × slow" in out
    assert "warning: w" in out
