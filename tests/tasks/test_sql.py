"""SQL: what counts as the same result, and what a query can't do."""

from __future__ import annotations

import sqlite3
import time
from itertools import islice
from pathlib import Path

import pytest

from merf.tasks import extras
from merf.tasks.extras import MissingExtra
from merf.tasks.questions import TEMPLATES, make_question
from merf.tasks.sql import (
    SECONDS,
    Reference,
    Sql,
    check_reference,
    extract_query,
    jaccard,
    judge_query,
    schema_items,
    sorting_columns,
    token_pairs,
)

SETUP = """
CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, town TEXT, age INTEGER, height REAL);
INSERT INTO people VALUES (1, 'Ada', 'Oslo', 30, 1.7), (2, 'Ben', 'Turin', 25, 1.8), (3, 'Cleo', 'Oslo', 30, 1.6),
                          (4, 'Dan', 'Porto', 41, NULL), (5, 'Eve', 'Oslo', 19, 1.7);
CREATE TABLE visits (person INTEGER, town TEXT, days INTEGER);
INSERT INTO visits VALUES (1, 'Turin', 3), (1, 'Porto', 2), (2, 'Oslo', 5), (5, 'Porto', 1);
"""


def right(reference: str, query: str) -> bool | None:
    return judge_query(query, Reference(reference, (SETUP,)))[0].correct


SAME = [
    ("SELECT name FROM people WHERE town = 'Oslo'", "select p.name from people p where p.town like 'oslo'"),
    ("SELECT name FROM people WHERE town = 'Oslo'", "SELECT name FROM people WHERE town = 'Oslo' ORDER BY name DESC;"),
    (
        "SELECT name FROM people WHERE town = 'Oslo'",
        "Here:\n```sql\nSELECT name AS who FROM people WHERE id IN (1,3,5)\n```",
    ),
    ("SELECT COUNT(*) FROM people", "SELECT 5"),
    ("SELECT COUNT(*) FROM people", "SELECT SUM(1) * 1.0 FROM people"),
    ("SELECT AVG(height) FROM people", "SELECT SUM(height) / COUNT(height) FROM people"),
    ("SELECT name FROM people ORDER BY age, name", "SELECT name FROM people ORDER BY age ASC, name ASC"),
    # Ada and Cleo are of an age: either may come first.
    ("SELECT name, age FROM people ORDER BY age", "SELECT name, age FROM people ORDER BY age, name DESC"),
    ("SELECT name, age a FROM people ORDER BY a", "SELECT name, age FROM people ORDER BY 2, 1 DESC"),
    ("SELECT town FROM people", "SELECT town FROM people ORDER BY town"),
    ("SELECT name FROM people WHERE height IS NULL", "SELECT 'Dan'"),
    ("WITH t AS (SELECT * FROM visits) SELECT days FROM t", "SELECT days FROM visits"),
]
DIFFERENT = [
    ("SELECT name FROM people WHERE town = 'Oslo'", "SELECT name FROM people"),
    ("SELECT name FROM people WHERE town = 'Oslo'", "SELECT name, town FROM people WHERE town = 'Oslo'"),
    ("SELECT name, age FROM people", "SELECT age, name FROM people"),
    ("SELECT town FROM people", "SELECT DISTINCT town FROM people"),
    ("SELECT DISTINCT town FROM people", "SELECT town FROM people"),
    ("SELECT name FROM people ORDER BY name", "SELECT name FROM people ORDER BY name DESC"),
    ("SELECT name, age FROM people ORDER BY age", "SELECT name, age FROM people ORDER BY age DESC"),
    # Sorted by a column that isn't shown: the order is compared as it is.
    ("SELECT name FROM people ORDER BY age, name", "SELECT name FROM people ORDER BY age, name DESC"),
    ("SELECT COUNT(*) FROM people", "SELECT '5'"),
    ("SELECT name FROM people", "SELECT name FROM people WHERE 0"),
    ("SELECT AVG(height) FROM people", "SELECT SUM(height) / COUNT(*) FROM people"),
]


@pytest.mark.parametrize(("reference", "query"), SAME)
def test_the_same_result_is_right(reference: str, query: str) -> None:
    assert right(reference, query) is True


@pytest.mark.parametrize(("reference", "query"), DIFFERENT)
def test_another_result_is_wrong(reference: str, query: str) -> None:
    assert right(reference, query) is False


ROWS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c"
HOSTILE = {
    "attach": "ATTACH DATABASE '/tmp/merf-attached.db' AS x",
    "attach memory": "ATTACH ':memory:' AS x",
    "pragma": "PRAGMA writable_schema = 1",
    "pragma as a table": "SELECT * FROM pragma_table_info('people')",
    "database list": "SELECT * FROM pragma_database_list",
    "delete": "DELETE FROM people",
    "drop": "DROP TABLE people",
    "insert": "INSERT INTO people SELECT * FROM people",
    "update": "UPDATE people SET name = 'x'",
    "replace": "REPLACE INTO people VALUES (1, 'x', 'x', 1, 1)",
    "create": "CREATE TABLE x AS SELECT * FROM people",
    "temporary table": "CREATE TEMP TABLE x AS SELECT 1",
    "write in a common table expression": "WITH x AS (SELECT 1) DELETE FROM people",
    "returning": "INSERT INTO visits VALUES (1, 'x', 1) RETURNING *",
    "trigger": "CREATE TRIGGER t AFTER INSERT ON people BEGIN DELETE FROM people; END",
    "transaction": "BEGIN",
    "vacuum into a file": "VACUUM INTO '/tmp/merf-vacuumed.db'",
    "extension": "SELECT load_extension('/tmp/x.so')",
    "write a file": "SELECT writefile('/tmp/merf-written', 'x')",
    "two statements": "SELECT 1; SELECT 2",
    "a statement behind a comment": "SELECT 1; -- \n DROP TABLE people",
    "endless rows": f"{ROWS}) SELECT x FROM c",
    "endless count": f"{ROWS}) SELECT COUNT(*) FROM c",
    "endless sort": f"{ROWS}) SELECT x FROM c ORDER BY x",
    "product of rows": "SELECT * FROM " + ", ".join(f"people p{i}" for i in range(15)),
    "product, counted": "SELECT COUNT(*) FROM " + ", ".join(f"people p{i}" for i in range(30)),
    "huge blob": "SELECT zeroblob(2000000000)",
    "huge text": "SELECT printf('%.*c', 900000000, 'x')",
    "huge concatenation": f"SELECT group_concat(hex(zeroblob(100000))) FROM ({ROWS} LIMIT 100000) SELECT x FROM c)",
    "many large rows": f"{ROWS} LIMIT 100000) SELECT randomblob(900000) FROM c",
    "slow pattern": "SELECT 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' GLOB '" + "*a" * 60 + "b'",
    "deep brackets": "SELECT " + "(" * 3000 + "1" + ")" * 3000,
    "many selects": "SELECT 1" + " UNION SELECT 1" * 800,
    "null character": "SELECT 'a\x00b'",
    "lone surrogate": "SELECT '\ud800'",
    "schema": "SELECT sql FROM sqlite_master",
    "empty": "",
    "a bracket": "(",
    "words": "I think the answer is five.",
}


@pytest.mark.parametrize("trick", HOSTILE)
def test_a_hostile_query_fails_in_time_and_changes_nothing(trick: str) -> None:
    reference = Reference("SELECT name FROM people WHERE town = 'Oslo'", (SETUP,))
    start = time.perf_counter()
    verdict, marks = judge_query(HOSTILE[trick], reference)
    assert verdict.correct is False
    assert marks.execution == 0
    assert verdict.note
    assert time.perf_counter() - start < 4 * SECONDS + 20
    assert judge_query(reference.query, reference)[0].correct is True
    for name in ("merf-attached.db", "merf-vacuumed.db", "merf-written"):
        assert not Path("/tmp", name).exists()


def test_files_are_opened_for_reading_only(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(SETUP)
    connection.close()
    before = path.read_bytes()
    reference = Reference("SELECT COUNT(*) FROM people", database=str(path))
    assert judge_query("SELECT 5", reference)[0].correct is True
    for query in ("DELETE FROM people", "DROP TABLE people", "PRAGMA user_version = 7"):
        assert judge_query(query, reference)[0].correct is False
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        (Reference("SELECT missing FROM people", (SETUP,)), "no such column"),
        (Reference("SELECT name FROM people WHERE 0", (SETUP,)), "finds nothing"),
        (Reference("SELECT 1", ("CREATE TABLE",)), "can't be made"),
        (Reference("SELECT 1", database="/nowhere/x.db"), "can't be made"),
        (Reference(f"{ROWS}) SELECT COUNT(*) FROM c", (SETUP,)), "took longer"),
        (Reference("DELETE FROM people", (SETUP,)), "more than read"),
    ],
)
def test_a_reference_that_cant_be_judged_against_is_nobodys_fault(reference: Reference, why: str) -> None:
    assert why in check_reference(reference)
    assert judge_query("SELECT 1", reference)[0].correct is None


def test_part_marks_are_reasoning_sqls() -> None:
    reference = Reference("SELECT name FROM people WHERE town = 'Oslo'", (SETUP,))
    # Runs, with the wrong result. Table and columns: {people, name, town} against {people, name, age}: 2 of 4.
    # Pairs: select-name, name-from, from-people, people-where, where-town, town-=, =-oslo against the same four and
    # where-age, age->, >-20: 4 of 10.
    verdict, marks = judge_query("SELECT name FROM people WHERE age > 20", reference)
    assert (marks.execution, marks.syntax, marks.schema, marks.bigrams) == (0, 1, 2 / 4, 4 / 10)
    assert verdict.score == pytest.approx((1 + 2 / 4 + 4 / 10) / 6)
    # Doesn't run: no mark for syntax.
    _, marks = judge_query("SELECT name FROM people WHERE towns = 'Oslo'", reference)
    assert (marks.syntax, marks.schema) == (0, 2 / 4)
    # Right in other words: all of it.
    verdict, marks = judge_query("SELECT name FROM people WHERE id IN (1, 3, 5)", reference)
    assert verdict.score == 1
    assert marks.execution == 1
    assert marks.schema < 1


def test_a_wrong_query_never_scores_above_one_half() -> None:
    reference = Reference("SELECT name FROM people WHERE town = 'Oslo'", (SETUP,))
    verdict, marks = judge_query("SELECT name FROM people WHERE town = 'Turin'", reference)
    assert verdict.correct is False
    assert marks.schema == 1
    assert 0.4 < marks.score <= 0.5


def test_what_a_query_uses_and_sorts_by() -> None:
    query = "WITH t AS (SELECT Town, COUNT(*) AS n FROM People GROUP BY Town) SELECT town FROM t ORDER BY n DESC, 1"
    assert schema_items(query) == {"table people", "column town", "column n"}
    assert sorting_columns(query) == []
    assert sorting_columns("SELECT a, b AS c FROM t ORDER BY c, t.a") == [1, 0]
    assert sorting_columns("SELECT a, COUNT(*) FROM t GROUP BY a ORDER BY COUNT(*) DESC") == [1]
    assert sorting_columns("SELECT * FROM t ORDER BY a") == []
    assert sorting_columns("SELECT a FROM (SELECT a FROM t ORDER BY a)") is None
    assert sorting_columns("SELECT a FROM t UNION SELECT b FROM u ORDER BY 1") == [0]
    assert token_pairs("SELECT a") == {("select", "a")}
    assert jaccard(frozenset(), frozenset()) == 0


def test_the_last_block_is_the_query() -> None:
    assert extract_query(" SELECT 1 ; ") == "SELECT 1"
    assert extract_query("```sql\nSELECT 1;\n```\nor\n```\nSELECT 2\n```") == "SELECT 2"


@pytest.mark.parametrize("level", TEMPLATES)
def test_generated_questions_have_answers_that_depend_on_the_data(level: int) -> None:
    for seed in range(25):
        question = make_question(seed, level, databases=3)
        results = []
        for setup in question.setups:
            with sqlite3.connect(":memory:") as connection:
                connection.executescript(setup)
                results.append(connection.execute(question.query).fetchall())
            connection.close()
        assert all(results)
        assert any(result != results[0] for result in results)
        assert check_reference(Reference(question.query, question.setups)) == ""


def test_every_level_is_asked_in_equal_shares() -> None:
    task = Sql(levels=(1, 5), databases=1)
    levels = [problem.meta["difficulty"] for problem in islice(task.problems("test"), 25)]
    assert sorted(levels) == sorted([1, 2, 3, 4, 5] * 5)


def test_without_sqlglot_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'merf\[sql\]'"):
        Sql()
