"""Text-to-SQL, judged by running the query in SQLite.

A query is right if it returns what the reference query returns: the same rows, as often each, in the
same order where the reference asks for an order (rows that tie in it may change places). Column names
don't matter, their order does.

The part marks are those of Reasoning-SQL (arXiv 2503.23157): the query runs, its tables and columns are
the reference's (Jaccard), its pairs of neighbouring tokens are (Jaccard).

Queries only read: SQLite asks our authorizer about every step of a statement before it runs. Time and
rows are limited, memory by SQLite's own limits, and all of it happens in a worker that can be killed.
"""

from __future__ import annotations

import itertools
import re
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, ClassVar
from urllib.parse import quote

from merf.core.layout import Layout, ThinkAnswer
from merf.core.problem import Problem
from merf.core.response import Verdict
from merf.tasks.deadline import Failure, KillablePool
from merf.tasks.extras import require
from merf.tasks.facts import Dial, Facts
from merf.tasks.procedural import Procedural, check_range, span, spread
from merf.tasks.questions import make_question

Rows = list[tuple[Any, ...]]

SECONDS = 1.0
"""Time of one query. Ours take a millisecond."""

MOST_ROWS = 10_000
MOST_BYTES = 16 << 20
"""Text and blobs of a whole result."""

LONGEST = 20_000
"""Characters of an answer."""

STEPS_BETWEEN_LOOKS = 10_000
"""Virtual machine instructions between looks at the clock, a millisecond or less."""

READING = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE))
FORBIDDEN_FUNCTIONS = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})


@dataclass(frozen=True)
class Reference:
    """What the verifier needs: the reference query and where to run it.

    `setups` are scripts that each make and fill a database; a query must match on all of them, so that a
    wrong one has to be lucky several times. Or `database`, the path of a file.
    """

    query: str
    setups: tuple[str, ...] = ()
    database: str = ""


@dataclass(frozen=True)
class Marks:
    """Reasoning-SQL's set, each in [0, 1]."""

    execution: float
    syntax: float
    schema: float
    bigrams: float

    @property
    def score(self) -> float:
        """1 for the right result. Otherwise the published sum without its 3 for execution, out of 6, so
        that a wrong query stays at or below one half."""
        return 1.0 if self.execution == 1 else (self.syntax + self.schema + self.bigrams) / 6


def extract_query(answer: str) -> str:
    """The last fenced block, or the whole text where there is none."""
    blocks = re.findall(r"```[ \t]*\w*[ \t]*\n(.*?)(?:\n?[ \t]*```|\Z)", answer, re.DOTALL)
    return (blocks[-1] if blocks else answer).strip().removesuffix(";").strip()


def judge_query(answer: str, reference: Reference) -> tuple[Verdict, Marks]:
    """The verdict with its marks one by one, for rules that pay for them separately."""
    nothing = Marks(0.0, 0.0, 0.0, 0.0)
    query = extract_query(answer)
    if not query or len(answer) > LONGEST:
        note = "no query" if not query else f"longer than {LONGEST} characters"
        return Verdict(correct=False, readable=False, score=0.0, note=note), nothing
    outcome = _judges().call((query, reference))
    if isinstance(outcome, Failure):
        # The query's fault, unless the reference can't be run either.
        blame = None if check_reference(reference) else False
        return Verdict(
            correct=blame, score=0.0, note=f"the query was stopped ({outcome.kind}: {outcome.note})"
        ), nothing
    return outcome


def check_reference(reference: Reference) -> str:
    """Why the reference can't be judged against; empty if it can. A result without rows counts: with it, any
    query that finds nothing would be right."""
    outcome = _judges().call((reference.query, reference))
    if isinstance(outcome, Failure):
        return f"the reference query was stopped ({outcome.kind}: {outcome.note})"
    verdict, _ = outcome
    return "" if verdict.correct else verdict.note


# What runs in the worker.


@cache
def _judges() -> KillablePool[tuple[str, Reference], tuple[Verdict, Marks]]:
    return KillablePool(judge, seconds=4 * SECONDS, memory=512 << 20, prepare=_import_sqlglot)


def _import_sqlglot() -> None:
    import sqlglot  # noqa: F401


class Refused(Exception):
    """A query that isn't run, or not to its end."""


class Unreadable(Refused):
    """Not a query at all."""


def judge(order: tuple[str, Reference]) -> tuple[Verdict, Marks]:
    query, reference = order
    places = [(reference.database, "")] if reference.database else [("", setup) for setup in reference.setups]
    try:
        expected = [run(connect(*place), reference.query) for place in places]
    except Refused as error:
        return Verdict(correct=None, note=f"the reference query fails: {error}"), Marks(0.0, 0.0, 0.0, 0.0)
    if not any(expected):
        return Verdict(correct=None, note="the reference query finds nothing"), Marks(0.0, 0.0, 0.0, 0.0)
    schema = jaccard(schema_items(reference.query), schema_items(query))
    bigrams = jaccard(token_pairs(reference.query), token_pairs(query))
    try:
        results = [run(connect(*place), query) for place in places]
    except Refused as error:
        marks = Marks(0.0, 0.0, schema, bigrams)
        return Verdict(False, not isinstance(error, Unreadable), marks.score, str(error)), marks
    order_keys = sorting_columns(reference.query)
    right = all(same_rows(a, b, order_keys) for a, b in zip(expected, results, strict=True))
    marks = Marks(float(right), 1.0, schema, bigrams)
    return Verdict(correct=right, score=marks.score, note="" if right else "another result"), marks


@lru_cache(maxsize=64)
def connect(database: str, setup: str) -> sqlite3.Connection:
    """A database that can only be read. Refused where the file or the script is no database."""
    try:
        if database:
            connection = sqlite3.connect(f"file:{quote(database)}?mode=ro&immutable=1", uri=True)
        else:
            connection = sqlite3.connect(":memory:")
            connection.executescript(setup)
        connection.execute(f"PRAGMA hard_heap_limit = {256 << 20}")
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise Refused(f"the database can't be made: {error}") from error
    if sys.version_info >= (3, 11):
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1 << 20)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.set_authorizer(_authorize)
    return connection


def _authorize(action: int, first: str | None, second: str | None, *_: Any) -> int:
    if action not in READING:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in FORBIDDEN_FUNCTIONS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def run(connection: sqlite3.Connection, query: str) -> Rows:
    """All rows of a query. Refused, with a reason, where it fails or asks for too much."""
    deadline = time.monotonic() + SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS_BETWEEN_LOOKS)
    rows: Rows = []
    size = 0
    try:
        for row in connection.execute(query):
            rows.append(row)
            size += sum(len(cell) for cell in row if isinstance(cell, str | bytes))
            if len(rows) > MOST_ROWS or size > MOST_BYTES:
                raise Refused(f"more than {MOST_ROWS} rows or {MOST_BYTES >> 20} MB")
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
        # ValueError: a null character or a lone surrogate in the text of the query.
        text = str(error)
        if "interrupted" in text:
            raise Refused(f"took longer than {SECONDS:g} s") from error
        if "not authorized" in text or "prohibited" in text:
            raise Refused("does more than read") from error
        unreadable = isinstance(error, ValueError) or any(
            sign in text for sign in ("syntax error", "incomplete input", "unrecognized token", "one statement")
        )
        raise (Unreadable if unreadable else Refused)(text) from error
    return rows


# Comparing results.


def cell(value: Any) -> Any:
    """A cell as it is compared: numbers to twelve digits, since sums depend on the order of rows."""
    return float(f"{value:.12g}") if isinstance(value, float) else value


def same_rows(expected: Rows, given: Rows, order: Sequence[int] | None) -> bool:
    """Whether two results agree. `order` are the columns that the reference sorts by: rows that tie there may
    change places. Without any (an empty list) the order is compared as it is; None means it is free."""
    a, b = ([tuple(map(cell, row)) for row in rows] for rows in (expected, given))
    if order is None or order:
        if order and [[row[i] for i in order] for row in a] != [[row[i] for i in order if i < len(row)] for row in b]:
            return False
        return Counter(a) == Counter(b)
    return a == b


@lru_cache(maxsize=1024)
def sorting_columns(query: str) -> list[int] | None:
    """Which output columns the query sorts by; [] where it sorts by something that isn't among them, None
    where it doesn't sort."""
    import sqlglot
    from sqlglot import exp

    try:
        tree = sqlglot.parse_one(query, read="sqlite")
    except sqlglot.errors.SqlglotError:
        return [] if re.search(r"\border\s+by\b", query, re.IGNORECASE) else None
    ordering = tree.args.get("order")
    if ordering is None:
        return None
    outputs = list(getattr(tree, "selects", []))
    shown = [{e.alias_or_name.lower(), e.unalias().sql(dialect="sqlite").lower()} - {""} for e in outputs]
    columns = []
    for term in ordering.expressions:
        key = term.this
        if isinstance(key, exp.Literal) and key.is_int and 1 <= int(key.this) <= len(shown):
            columns.append(int(key.this) - 1)
            continue
        names = {key.sql(dialect="sqlite").lower()} | ({key.name.lower()} if isinstance(key, exp.Column) else set())
        found = [i for i, known in enumerate(shown) if known & names]
        if not found or any(isinstance(e, exp.Star) for e in outputs):
            return []
        columns.append(found[0])
    return columns


# Part marks.


def jaccard(a: frozenset[Any], b: frozenset[Any]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


@lru_cache(maxsize=1024)
def schema_items(query: str) -> frozenset[str]:
    """The tables and columns a query uses, in lower case; those that it defines itself left out."""
    import sqlglot
    from sqlglot import exp

    try:
        tree = sqlglot.parse_one(query, read="sqlite")
    except (sqlglot.errors.SqlglotError, RecursionError):
        return frozenset()
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    tables = {f"table {table.name.lower()}" for table in tree.find_all(exp.Table) if table.name.lower() not in own}
    return frozenset(tables | {f"column {column.name.lower()}" for column in tree.find_all(exp.Column)})


@lru_cache(maxsize=1024)
def token_pairs(query: str) -> frozenset[tuple[str, str]]:
    """Pairs of neighbouring tokens, in lower case."""
    import sqlglot

    words = query.lower().split()
    with suppress(sqlglot.errors.SqlglotError):
        words = [token.text.lower() for token in sqlglot.tokenize(query, read="sqlite")]
    return frozenset(itertools.pairwise(words))


@dataclass(frozen=True)
class Sql(Procedural):
    """Questions about small databases of three tables. `levels` is the inclusive range of difficulty, in equal
    shares: 1 a filter or count, 2 grouping and sorting, 3 a join, 4 subqueries and groups of joined rows,
    5 several of these."""

    levels: tuple[int, int] = (1, 4)
    databases: int = 3
    name: str = "sql"
    layout: Layout = ThinkAnswer()

    facts: ClassVar[Facts] = Facts(
        verifier="the query's result equals the reference's on several SQLite databases",
        partial="runs, schema overlap, token pairs (Reasoning-SQL); at most 1/2 for a wrong result",
        dials=(Dial("levels", "1 to 5"), Dial("databases", "1 to 10 fillings that must all match")),
    )

    def __post_init__(self) -> None:
        require("sqlglot", "sql", "the task sql")
        check_range("levels", self.levels, 1, 5)
        if not 1 <= self.databases <= 10:
            raise ValueError(f"databases={self.databases}: expected 1 to 10")

    @property
    def instruction(self) -> str:
        return self.layout.instruction()

    def draw(self, seed: int, index: int) -> Problem:
        level = spread(*self.levels, index)
        question = make_question(seed, level, self.databases)
        return Problem(
            prompt=(
                f"A SQLite database has these tables:\n{question.tables}\n{question.text} Answer with one SQL query."
            ),
            answer=Reference(question.query, question.setups),
            meta={"difficulty": level, "solution": question.query},
        )

    def verify(self, problem: Problem, answer: str) -> Verdict:
        return judge_query(answer, problem.answer)[0]

    def describe(self) -> str:
        return f"Questions of level {span(*self.levels)} about databases of three tables, to be answered in SQL."
