"""Datasets as tasks: files of every kind, whatever is wrong with them."""

from __future__ import annotations

import csv
import json
import pickle
import warnings
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merf.core.problem import Problem
from merf.tasks import extras, get, records
from merf.tasks.answers import ANSWERS, Choice
from merf.tasks.columns import map_columns
from merf.tasks.data import Data, DataWarning, normalised
from merf.tasks.extras import MissingExtra
from merf.tasks.records import open_sources

Rows = Sequence[dict[str, Any]]

COLUMNS = (
    "prompt",
    "answer",
    "solution",
    "reward_model",
    "choices",
    "tests",
    "entry_point",
    "schema",
    "level",
    "images",
)
KEYS = (
    "role",
    "content",
    "ground_truth",
    "text",
    "label",
    "inputs",
    "outputs",
    "fn_name",
    "numbers",
    "target",
    "input",
)


def sums(n: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"question": f"What is {i} plus {2 * i}?", "answer": str(3 * i)} for i in range(start, start + n)]


def write_jsonl(path: Path, rows: Rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_json(path: Path, rows: Rows) -> None:
    path.write_text(json.dumps(rows), encoding="utf-8")


def write_csv(path: Path, rows: Rows) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(path: Path, rows: Rows) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path, row_group_size=70)


def write_folder(path: Path, rows: Rows) -> None:
    import datasets

    datasets.disable_progress_bars()
    datasets.Dataset.from_list(list(rows)).save_to_disk(str(path))


WRITERS: dict[str, Callable[[Path, Rows], None]] = {
    "rows.jsonl": write_jsonl,
    "rows.json": write_json,
    "rows.csv": write_csv,
    "rows.tsv": write_csv,
    "rows.parquet": write_parquet,
    "rows": write_folder,
}


@pytest.mark.parametrize("file", WRITERS)
def test_every_kind_of_file_gives_the_same_problems(file: str, tmp_path: Path) -> None:
    rows = sums(200)
    WRITERS[file](tmp_path / file, rows)
    task = get(f"data:{tmp_path / file}", verifier="math")
    train, test = list(task.problems("train")), list(task.problems("test"))
    assert sorted(str(p.prompt) for p in train + test) == sorted(row["question"] for row in rows)
    assert {str(p.prompt): p.answer for p in train + test} == {row["question"]: row["answer"] for row in rows}
    # A tenth is held out: of 200 fair draws, between 3 and 41 but for one time in a million.
    assert 3 <= len(test) <= 41
    assert list(task.problems("train")) == train
    assert [p.id for p in task.problems("train", 1)] != [p.id for p in train]
    assert sorted(p.id for p in task.problems("train", 1)) == sorted(p.id for p in train)


@pytest.mark.parametrize("file", WRITERS)
def test_files_are_read_a_block_at_a_time_and_shuffled_all_the_same(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "BLOCK", 10)
    monkeypatch.setattr("merf.tasks.data.WINDOW", 3)
    rows = sums(203)
    WRITERS[file](tmp_path / file, rows)
    task = get(f"data:{tmp_path / file}", holdout=0)
    source = task.train.source
    read: list[int] = []
    whole = type(source).block
    monkeypatch.setattr(type(source), "block", lambda self, number: read.append(number) or whole(self, number))
    first = next(task.problems("train"))
    assert len(read) == 3
    order = [p.id for p in task.problems("train")]
    assert order[0] == first.id
    assert len(set(order)) == 203
    assert order != sorted(order, key=lambda i: int(i.rpartition("/")[2]))
    assert pickle.loads(pickle.dumps(task)).verify(first, str(first.answer[0])).correct is True


def test_lines_are_numbered_as_a_person_counts_them(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('question,answer\n"two\nlines",1\nplain,2\n"three\n\nlines",3\nlast,4\n', encoding="utf-8")
    task = get(f"data:{path}", holdout=0)
    assert {p.prompt: p.id.rpartition("/")[2] for p in task.problems()} == {
        "two\nlines": "2",
        "plain": "4",
        "three\n\nlines": "5",
        "last": "8",
    }
    path = tmp_path / "rows.jsonl"
    path.write_text('\n{"question": "a", "answer": 1}\n\n\n{"question": "b", "answer": 2}\n', encoding="utf-8")
    assert {p.prompt: p.id.rpartition("/")[2] for p in get(f"data:{path}", holdout=0).problems()} == {
        "a": "2",
        "b": "5",
    }


CORRUPT = [
    b'{"question": "half',
    b'{"question": "no answer"}',
    b'{"question": "", "answer": 1}',
    b'{"question": null, "answer": 1}',
    b'["a list"]',
    b"\xff\xfe\x00 not utf-8",
    b'{"question": "null answer", "answer": null}',
    b"[" * 5000,
]


def test_corrupt_lines_are_counted_with_their_numbers_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps(row).encode() for row in sums(1000)]
    for number, bad in enumerate(CORRUPT):
        lines.insert(100 * number, bad)
    path.write_bytes(b"\n".join(lines))
    with pytest.warns(DataWarning, match=rf"{len(CORRUPT)} rows left out as unreadable \(lines 1, 101, 201"):
        task = get(f"data:{path}")
    assert [line for _, line, _ in task.report.corrupt] == [100 * n + 1 for n in range(len(CORRUPT))]
    assert all(reason for _, _, reason in task.report.corrupt)
    assert sum(task.report.rows.values()) == 1000


def test_more_than_one_percent_of_corrupt_lines_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([*map(json.dumps, sums(98)), "{", "{"]))
    with pytest.raises(ValueError, match=r"2 of 100 rows can't be used \(2.0%, above 1.0%\): rows.jsonl line 99"):
        get(f"data:{path}")
    with pytest.warns(DataWarning, match="2 rows left out"):
        assert sum(get(f"data:{path}", tolerated=0.05).report.rows.values()) == 98


def test_a_quote_that_is_never_closed_is_refused_rather_than_read_as_one_long_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "LONGEST_RECORD", 50)
    path = tmp_path / "rows.csv"
    path.write_text("question,answer\na,1\n" + '"b,2\n' + "c,3\n" * 100)
    with pytest.raises(ValueError, match="line 3: a quote that is never closed"):
        get(f"data:{path}")


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", {}, "has no rows"),
        ("\n\n", {}, "has no rows"),
        (
            '{"question": "a", "answer": 1}',
            {"prompt": "questoin"},
            "no column 'questoin' for prompt; did you mean 'question'",
        ),
        ('{"question": "a", "answer": 1}', {"answer": "anwser"}, "did you mean 'answer'"),
        (
            '{"question": "a", "reply": 1}',
            {},
            "no column looks like the answer: name it with answer=…; the columns are question, reply",
        ),
        ('{"ask": "a", "answer": 1}', {}, "no column looks like the prompt"),
        ('{"promt": "a", "answer": 1}', {}, "the columns are promt, answer; is it 'promt'?"),
        ('{"question": "a", "answer": 1}', {"verifier": "maths"}, "did you mean 'math'"),
        ('{"question": "a", "answer": 1}', {"verifier": "sql"}, "the schema or database"),
        ('{"question": "a", "answer": 1}', {"hold_out": "x"}, "did you mean 'holdout'"),
        ('{"question": "a", "answer": 1}', {"promt": "question"}, "did you mean 'prompt'"),
        ('{"question": "a", "answer": 1}', {"holdout": 1.0}, "up to 1"),
        ('{"question": "a", "answer": 1}', {"duplicates": "maybe"}, "normalised, exact or keep"),
        ('{"question": "a", "answer": "words"}', {"verifier": "knights-knaves", "tolerated": 0}, "who is a knight"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_before_training(
    content: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    with pytest.raises((ValueError, KeyError)) as caught:
        get(f"data:{path}", **options)
    assert message in str(caught.value)


def test_a_file_of_unknown_kind_and_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "rows.xlsx").write_text("")
    with pytest.raises(ValueError, match="files end in"):
        get(f"data:{tmp_path / 'rows.xlsx'}")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(FileNotFoundError, match="empty folder"):
        get(f"data:{tmp_path / 'nothing'}")


def test_missing_libraries_are_named_with_their_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    with pytest.raises(MissingExtra, match=r"pip install 'merf\[data\]'"):
        open_sources(str(tmp_path / "rows.parquet"))
    with pytest.raises(MissingExtra, match=r"pip install 'merf\[data\]'"):
        open_sources("somebody/some-dataset")


def test_duplicates_are_left_out_and_disputed_answers_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [
        *sums(50),
        {"question": "what IS  3 plus 6 ?", "answer": "9"},
        {"question": "What is 3 plus 6?", "answer": "10"},
    ]
    write_jsonl(path, rows)
    with pytest.warns(DataWarning, match="1 questions occur again with another answer"):
        task = get(f"data:{path}")
    assert (task.report.duplicates, task.report.disputed) == (2, 1)
    assert sum(task.report.rows.values()) == 50
    with pytest.warns(DataWarning):
        assert get(f"data:{path}", duplicates="exact").report.duplicates == 1
    assert get(f"data:{path}", duplicates="keep").report.duplicates == 0


def test_test_questions_in_the_training_data_are_shown(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", sums(60))
    write_jsonl(tmp_path / "test.jsonl", [*sums(20, start=100), {"question": "WHAT IS 7 PLUS 14 ?", "answer": "21"}])
    with pytest.warns(
        DataWarning, match=r"1 of 21 test questions are in the training data: line 21: 'WHAT IS 7 PLUS 14"
    ):
        task = get(f"data:{tmp_path / 'train.jsonl'}", test=str(tmp_path / "test.jsonl"))
    assert task.report.rows == {"train": 60, "test": 21}
    # The test split keeps the order of its file, whatever the seed.
    assert [p.id for p in task.problems("test", 5)] == [f"{task.name}/test/{n}" for n in range(1, 22)]


def test_a_datasets_own_test_split_is_used(tmp_path: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    splits = {"train": datasets.Dataset.from_list(sums(30)), "validation": datasets.Dataset.from_list(sums(10, 100))}
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "both"))
    assert get(f"data:{tmp_path / 'both'}").report.rows == {"train": 30, "test": 10}


def test_a_folder_of_data_files_is_opened_as_the_hub_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "files"
    folder.mkdir()
    write_jsonl(folder / "train.jsonl", sums(30))
    write_jsonl(folder / "test.jsonl", sums(10, 100))
    assert get(f"data:{folder}").report.rows == {"train": 30, "test": 10}


def test_answers_the_verifier_cant_read_are_listed_before_training(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = sums(300)
    rows[7]["answer"] = r"\frac{"
    rows[11]["answer"] = "9^9^9^9"
    write_jsonl(path, rows)
    with pytest.warns(DataWarning, match=r"can't judge 2 of 300 answers checked.*line 8: .*line 12: a tower of powers"):
        task = get(f"data:{path}", verifier="math")
    assert sum(task.report.rows.values()) == 298
    assert [line for _, line, _ in task.report.unusable] == [8, 12]


def test_a_verifier_that_fits_hardly_any_answer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [{"question": f"q{i}", "answer": r"\frac{" + str(i)} for i in range(30)])
    with pytest.raises(ValueError, match=r"can't judge 30 of 30 answers .* another column or another verifier"):
        get(f"data:{path}", verifier="math")


# Conventions.


def one(rows: Rows, tmp_path: Path, **options: Any) -> tuple[Data, Problem]:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, rows)
    task = get(f"data:{path}", holdout=0, **options)
    return task, next(islice(task.problems("test" if False else "train"), 1))


def test_verls_columns_are_recognised(tmp_path: Path) -> None:
    row = {
        "data_source": "openai/gsm8k",
        "prompt": [{"role": "system", "content": "Think."}, {"role": "user", "content": "3 + 4?"}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": "7"},
        "extra_info": {"split": "train", "index": 5},
    }
    task, problem = one([row], tmp_path)
    assert task.answers.name == "math"
    assert problem.prompt == ({"role": "system", "content": "Think."}, {"role": "user", "content": "3 + 4?"})
    assert problem.answer == "7"
    assert problem.meta["extra_info"] == {"split": "train", "index": 5}
    assert task.verify(problem, "7.0").correct is True


@pytest.mark.parametrize(
    "prompt",
    [
        "3 + 4?",
        [{"role": "user", "content": "3 + 4?"}],
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "3 + 4?"}]}],
    ],
)
@pytest.mark.parametrize("column", ["solution", "answer", "ground_truth"])
def test_trls_columns_are_recognised(prompt: Any, column: str, tmp_path: Path) -> None:
    _, problem = one([{"prompt": prompt, column: "7", "source": "mine"}], tmp_path, verifier="math")
    assert problem.messages[-1]["content"].endswith("3 + 4?")
    assert problem.answer == "7"
    assert problem.meta["source"] == "mine"


def test_fields_land_where_rules_look_for_them(tmp_path: Path) -> None:
    row = {
        "q": "3 + 4?",
        "a": "7",
        "why": "count",
        "marks": ["clear"],
        "pictures": ["a.png"],
        "level": "Level 4",
        "id": 9,
    }
    options = {"prompt": "q", "answer": "a", "solution": "why", "rubric": "marks", "images": "pictures"}
    _, problem = one([row], tmp_path, **options)
    assert problem.meta == {"solution": "count", "rubric": ["clear"], "images": ["a.png"], "difficulty": 4, "id": 9}


def test_nested_columns_are_named_with_dots(tmp_path: Path) -> None:
    _, problem = one(
        [{"item": {"text": "3 + 4?", "gold": {"value": "7"}}}], tmp_path, prompt="item.text", answer="item.gold.value"
    )
    assert (problem.prompt, problem.answer) == ("3 + 4?", ("7",))
    with pytest.raises(ValueError, match=r"no column .item\.txt."):
        map_columns({"item": {"text": "a"}}, {"prompt": "item.txt"})


def test_prompts_that_were_templated_already_are_told(tmp_path: Path) -> None:
    with pytest.warns(DataWarning, match="chat template already"):
        one([{"prompt": "<|im_start|>user\n3 + 4?<|im_end|>", "answer": "7"}], tmp_path)


@pytest.mark.parametrize(
    "prompt", [[], [{"role": "assistant", "content": "hi"}], [{"content": "x"}], 7, {"role": "user"}, "  "]
)
def test_prompts_that_are_none_are_refused(prompt: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="prompt"):
        one([{"prompt": prompt, "answer": "7"}], tmp_path)


# Verifiers.


CHOICES = {"question": "Which is a fruit?", "choices": ["stone", "apple", "river", "spoon"], "answer": 1}


@pytest.mark.parametrize(
    "row",
    [
        CHOICES,
        {**CHOICES, "answer": "B"},
        {**CHOICES, "answer": "apple"},
        {**CHOICES, "choices": {"text": CHOICES["choices"], "label": ["1", "2", "3", "4"]}, "answer": "2"},
        {**CHOICES, "choices": dict(zip("ABCD", CHOICES["choices"], strict=True)), "answer": "B"},
        {**CHOICES, "choices": repr(CHOICES["choices"]), "answer": "1"},
    ],
)
def test_multiple_choice_in_the_forms_it_is_stored_in(row: dict[str, Any], tmp_path: Path) -> None:
    task, problem = one([row], tmp_path)
    assert task.answers.name == "choice"
    letter = problem.answer["letter"]
    assert f"{letter}) apple" in str(problem.prompt)
    others = [other for other in "ABCD" if other != letter]
    for right in (
        letter,
        letter.lower(),
        f"({letter})",
        f"{letter}.",
        f"{letter}) apple",
        "apple",
        "Apple.",
        f"option {letter}",
    ):
        assert task.verify(problem, right).correct is True
    for wrong in (*others, "stone", f"({others[0]})"):
        assert task.verify(problem, wrong) == task.verify(problem, others[0])
    for unreadable in (
        "E",
        f"{letter} or {others[0]}",
        f"{letter}{others[0]}",
        "a fruit",
        f"{letter}) stone",
        "ABCD",
        "",
        "all of them",
    ):
        assert task.verify(problem, unreadable).correct is False
        assert task.verify(problem, unreadable).readable is False


def test_options_are_shuffled_the_same_way_every_time_and_evenly(tmp_path: Path) -> None:
    rows = [{"question": f"Which is {n}?", "choices": ["right", "b", "c", "d"], "answer": 0} for n in range(2000)]
    task, _ = one(rows, tmp_path)
    letters = {p.id: p.answer["letter"] for p in task.problems("train", 0)}
    assert letters == {p.id: p.answer["letter"] for p in task.problems("train", 1)}
    # 2,000 fair draws give each letter 500 ± 95 but for one time in a million.
    counts = [list(letters.values()).count(letter) for letter in "ABCD"]
    assert all(abs(count - 500) < 95 for count in counts)
    assert Choice(shuffled=False).read({"choices": ["x", "y"], "answer": "y"}, "k") == {
        "options": ["x", "y"],
        "letter": "B",
    }


@pytest.mark.parametrize(
    "row",
    [
        {**CHOICES, "answer": "E"},
        {**CHOICES, "choices": ["one"]},
        {**CHOICES, "choices": ["a", "A."]},
        {**CHOICES, "choices": 3},
    ],
)
def test_choices_without_a_right_option_are_refused(row: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="option"):
        one([row], tmp_path)


def test_exact_text_is_compared_up_to_case_space_and_punctuation(tmp_path: Path) -> None:
    task, problem = one([{"prompt": "Capital of Norway?", "answer": ["Oslo", "the city of Oslo"]}], tmp_path)
    for right in ("Oslo", " oslo. ", "OSLO!", "The  city of\nOslo", "“Oslo”"):
        assert task.verify(problem, right).correct is True
    for wrong in ("Bergen", "Oslo or Bergen", "not Oslo", "", "..."):
        assert task.verify(problem, wrong).correct is False
    plus, _ = one([{"prompt": "Sign of addition?", "answer": "!"}], tmp_path)
    assert plus.verify(Problem("", ("!",)), "!").correct is True
    assert plus.verify(Problem("", ("!",)), "?").correct is False


def test_knights_and_knaves_from_a_file(tmp_path: Path) -> None:
    stored = {"solution_text_format": "(1) Zoey is a knave\n(2) Oliver is a knight", "statements": "…"}
    row = {
        "data_source": "kk_logic",
        "prompt": [{"role": "user", "content": "Who?"}],
        "reward_model": {"ground_truth": stored},
    }
    task, problem = one([row], tmp_path)
    assert problem.answer == {"Zoey": False, "Oliver": True}
    assert task.verify(problem, "Zoey is a knave, Oliver is a knight.").correct is True
    assert task.verify(problem, "Zoey is a knight, Oliver is a knight.").correct is False


def test_countdown_code_and_sql_from_a_file(tmp_path: Path) -> None:
    task, problem = one(
        [{"prompt": "Reach 10.", "answer": {"numbers": [2, 5], "target": 10}}], tmp_path, verifier="countdown"
    )
    assert task.verify(problem, "2 * 5").correct is True
    task, problem = one([{"text": "Add.", "code": "…", "test_list": ["assert add(1, 2) == 3"]}], tmp_path)
    assert task.answers.name == "code"
    assert task.verify(problem, "def add(a, b): return a + b").correct is True
    assert problem.meta["solution"] == "…"
    setup = "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2);"
    task, problem = one(
        [{"question": "Largest?", "query": "SELECT MAX(a) FROM t", "schema": setup}], tmp_path, verifier="sql"
    )
    assert task.verify(problem, "SELECT a FROM t ORDER BY a DESC LIMIT 1").correct is True
    with pytest.raises(ValueError, match="finds nothing"):
        one(
            [{"question": "Largest?", "query": "SELECT a FROM t", "schema": "CREATE TABLE t (a INTEGER);"}],
            tmp_path,
            verifier="sql",
        )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*KEYS, "x"]), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=st.dictionaries(st.sampled_from(COLUMNS), JSON, min_size=2), verifier=st.sampled_from(sorted(ANSWERS)))
def test_whatever_a_row_holds_it_is_a_problem_or_refused(row: dict[str, Any], verifier: str, tmp_path: Path) -> None:
    prompt = ""
    try:
        prompt = str(one([{"prompt": "What?", **row}], tmp_path, verifier=verifier)[1].prompt)
    except ValueError as error:
        prompt = f"refused: {error}"
    assert prompt not in ("", "refused: ")


def test_every_verifier_is_described() -> None:
    for name, kind in ANSWERS.items():
        assert kind.name == name
        assert kind.facts.verifier
        assert all(group for group in kind.wants)


def test_questions_are_compared_without_case_space_and_punctuation_but_with_signs() -> None:
    assert normalised("  What IS 3+4?\n") == normalised("what is 3+4")
    assert normalised("3 + 4") != normalised("3 - 4")


def test_clean_data_warns_of_nothing(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", sums(20))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = get("gsm8k", data=str(tmp_path / "rows.jsonl"))
    assert task.report.corrupt == task.report.unusable == []
    assert task.report.checked == 20
