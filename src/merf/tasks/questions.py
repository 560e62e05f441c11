"""Small databases of three tables, and questions about them with their SQL.

Every database has the same shape, two kinds of things and a table of what happened between them
(customers, products, orders), under many names. Databases are filled at random several times, so that
a query that is right by accident on one filling is found out by another.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random


@dataclass(frozen=True)
class Column:
    """A column of words takes its values from `words`, one of numbers lies between `low` and `high`."""

    name: str
    words: tuple[str, ...] = ()
    low: int = 0
    high: int = 0


@dataclass(frozen=True)
class Thing:
    """A table of things: what one of them is called, its column of unique names, and its other columns."""

    table: str
    one: str
    name: str
    names: tuple[str, ...]
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Domain:
    """Two kinds of things and the table of what happened between them, `amount` times or units each."""

    first: Thing
    second: Thing
    link: str
    did: str
    amount: str


PEOPLE = ("Ada", "Ben", "Cleo", "Dan", "Ella", "Finn", "Gina", "Hugo", "Iris", "Jon", "Kim", "Lara", "Max", "Nora")
TOWN = Column("town", ("Oslo", "Turin", "Porto", "Leeds", "Ghent"))
COLOUR = Column("colour", ("red", "blue", "silver", "green"))
AGE = Column("age", low=18, high=80)
YEAR = Column("year", low=1980, high=2024)

DOMAINS = (
    Domain(
        Thing("customers", "customer", "name", PEOPLE, (TOWN, AGE, Column("visits", low=1, high=60))),
        Thing(
            *("products", "product", "title"),
            ("ball", "atlas", "spade", "jam", "kite", "novel", "rake", "tea", "puzzle", "comic"),
            (
                Column("category", ("toys", "books", "garden", "food")),
                COLOUR,
                Column("price", low=2, high=90),
                Column("stock", low=0, high=200),
            ),
        ),
        *("orders", "ordered", "quantity"),
    ),
    Domain(
        Thing("students", "student", "name", PEOPLE, (TOWN, AGE, Column("house", ("north", "south", "east")))),
        Thing(
            *("courses", "course", "title"),
            ("Algebra", "Painting", "Rome", "Cells", "Graphs", "Sculpture", "Plagues", "Logic", "Maps", "Fungi"),
            (
                Column("subject", ("maths", "art", "history", "biology")),
                Column("credits", low=2, high=30),
                Column("seats", low=8, high=120),
            ),
        ),
        *("enrolments", "took", "hours"),
    ),
    Domain(
        Thing("members", "member", "name", PEOPLE, (TOWN, YEAR, Column("fines", low=0, high=50))),
        Thing(
            *("books", "book", "title"),
            ("Dust", "Tides", "Atlas", "Quarks", "Embers", "Odes", "Passage", "Moss", "Verdict", "Orbit"),
            (
                Column("genre", ("crime", "poetry", "travel", "science")),
                Column("language", ("English", "Dutch", "Greek")),
                Column("pages", low=60, high=900),
                Column("copies", low=1, high=12),
            ),
        ),
        *("loans", "borrowed", "days"),
    ),
    Domain(
        Thing("drivers", "driver", "name", PEOPLE, (Column("team", COLOUR.words), AGE, Column("wins", low=0, high=40))),
        Thing(
            *("races", "race", "title"),
            ("Coast Cup", "Night Ring", "Hill Climb", "Bay Loop", "Dune Dash", "Lake Tour", "Old Town", "Pine Run"),
            (
                Column("country", ("Spain", "Japan", "Brazil", "Italy")),
                YEAR,
                Column("laps", low=20, high=80),
            ),
        ),
        *("starts", "drove in", "overtakes"),
    ),
    Domain(
        Thing(
            *("cooks", "cook", "name", PEOPLE),
            (Column("kitchen", ("east", "west", "roof", "cellar")), Column("wage", low=12, high=60), AGE),
        ),
        Thing(
            *("dishes", "dish", "title"),
            ("soup", "pasta", "tart", "salad", "stew", "sorbet", "toast", "curry", "crumble", "dumplings"),
            (
                Column("course", ("starter", "main", "dessert", "snack")),
                Column("minutes", low=5, high=120),
                Column("calories", low=50, high=1200),
            ),
        ),
        *("servings", "cooked", "portions"),
    ),
)


@dataclass(frozen=True)
class Question:
    """`tables` are the CREATE statements, `setups` scripts that make and fill the database in several ways."""

    text: str
    query: str
    tables: str
    setups: tuple[str, ...]


def create_statements(domain: Domain) -> str:
    first, second = domain.first, domain.second
    statements = []
    for thing in (first, second):
        columns = "".join(f", {c.name} {'TEXT' if c.words else 'INTEGER'}" for c in thing.columns)
        statements.append(f"CREATE TABLE {thing.table} (id INTEGER PRIMARY KEY, {thing.name} TEXT{columns});")
    statements.append(
        f"CREATE TABLE {domain.link} (id INTEGER PRIMARY KEY, {first.one}_id INTEGER REFERENCES {first.table}(id), "
        f"{second.one}_id INTEGER REFERENCES {second.table}(id), {domain.amount} INTEGER);"
    )
    return "\n".join(statements)


def fill(domain: Domain, rng: Random) -> str:
    """INSERT statements. Names are unique, so that sorting by them breaks every tie; some things take part in
    nothing, and the first and last thing have the same numbers."""
    lines = []
    sizes = []
    for thing in (domain.first, domain.second):
        names = rng.sample(thing.names, rng.randint(5, min(9, len(thing.names))))
        sizes.append(len(names))
        tied = [rng.randint(c.low, c.high) for c in thing.columns]
        for number, name in enumerate(names, 1):
            values = [str(number), f"'{name}'"]
            for column, shared in zip(thing.columns, tied, strict=True):
                if column.words:
                    values.append(f"'{rng.choice(column.words)}'")
                else:
                    values.append(str(shared if number in (1, len(names)) else rng.randint(column.low, column.high)))
            lines.append(f"INSERT INTO {thing.table} VALUES ({', '.join(values)});")
    for number in range(1, rng.randint(11, 21)):
        # The last of each kind is left out, most of the time.
        one, other = (rng.randint(1, size - (rng.random() < 0.9)) for size in sizes)
        lines.append(f"INSERT INTO {domain.link} VALUES ({number}, {one}, {other}, {rng.randint(1, 9)});")
    return "\n".join(lines)


def varied(domain: Domain, rng: Random) -> Domain:
    """The domain with its tables' columns in another order and perhaps one fewer: at least one column of words
    and one of numbers stay."""

    def vary(thing: Thing) -> Thing:
        columns = rng.sample(thing.columns, len(thing.columns))
        for column in columns:
            alike = [c for c in columns if bool(c.words) == bool(column.words)]
            if len(alike) > 1 and rng.random() < 0.3:
                columns.remove(column)
                break
        return replace(thing, columns=tuple(columns))

    return replace(domain, first=vary(domain.first), second=vary(domain.second))


Template = Callable[[Domain, Random], tuple[str, str]]
"""Makes the question and its query."""


def _either(domain: Domain, rng: Random) -> Thing:
    return rng.choice((domain.first, domain.second))


def _word(thing: Thing, rng: Random) -> Column:
    return rng.choice([column for column in thing.columns if column.words])


def _number(thing: Thing, rng: Random) -> Column:
    return rng.choice([column for column in thing.columns if not column.words])


def _bound(column: Column, rng: Random) -> int:
    """A number that some things are above and some below."""
    quarter = (column.high - column.low) // 4
    return rng.randint(column.low + quarter, column.high - quarter)


def _compared(rng: Random) -> tuple[str, str]:
    return rng.choice((("greater than", ">"), ("less than", "<"), ("at least", ">="), ("at most", "<=")))


def _joined(domain: Domain) -> str:
    a, b, link = domain.first, domain.second, domain.link
    return (
        f"{a.table} JOIN {link} ON {link}.{a.one}_id = {a.table}.id JOIN {b.table} ON {link}.{b.one}_id = {b.table}.id"
    )


def by_word(d: Domain, rng: Random) -> tuple[str, str]:
    t = _either(d, rng)
    word = _word(t, rng)
    value = rng.choice(word.words)
    return (
        f"What is the {t.name} of each {t.one} whose {word.name} is {value}?",
        f"SELECT {t.name} FROM {t.table} WHERE {word.name} = '{value}'",
    )


def by_number(d: Domain, rng: Random) -> tuple[str, str]:
    t = _either(d, rng)
    word, number = _word(t, rng), _number(t, rng)
    bound, (says, sign) = _bound(number, rng), _compared(rng)
    return (
        f"List the {t.name} and {word.name} of each {t.one} whose {number.name} is {says} {bound}.",
        f"SELECT {t.name}, {word.name} FROM {t.table} WHERE {number.name} {sign} {bound}",
    )


def by_both(d: Domain, rng: Random) -> tuple[str, str]:
    t = _either(d, rng)
    word, number = _word(t, rng), _number(t, rng)
    value, bound, (says, sign) = rng.choice(word.words), _bound(number, rng), _compared(rng)
    both, connective = rng.choice((("and", "AND"), ("or", "OR")))
    return (
        f"List the {t.name} of each {t.one} whose {word.name} is {value} {both} whose {number.name} is {says} {bound}.",
        f"SELECT {t.name} FROM {t.table} WHERE {word.name} = '{value}' {connective} {number.name} {sign} {bound}",
    )


def how_many(d: Domain, rng: Random) -> tuple[str, str]:
    t = _either(d, rng)
    number = _number(t, rng)
    bound, (says, sign) = _bound(number, rng), _compared(rng)
    return (
        f"How many {t.table} have {number.name} {says} {bound}?",
        f"SELECT COUNT(*) FROM {t.table} WHERE {number.name} {sign} {bound}",
    )


def extreme_value(d: Domain, rng: Random) -> tuple[str, str]:
    t = _either(d, rng)
    word, number = _word(t, rng), _number(t, rng)
    value = rng.choice(word.words)
    says, function = rng.choice((("largest", "MAX"), ("smallest", "MIN"), ("average", "AVG")))
    return (
        f"What is the {says} {number.name} among the {t.table} whose {word.name} is {value}?",
        f"SELECT {function}({number.name}) FROM {t.table} WHERE {word.name} = '{value}'",
    )


def per_word(d: Domain, rng: Random) -> tuple[str, str]:
    t = _either(d, rng)
    word, number = _word(t, rng), _number(t, rng)
    phrase, value = rng.choice(
        (
            (f"the number of {t.table}", "COUNT(*)"),
            (f"the average {number.name}", f"AVG({number.name})"),
            (f"the largest {number.name}", f"MAX({number.name})"),
        )
    )
    return (
        f"For each {word.name} that occurs among the {t.table}, give the {word.name} and {phrase}.",
        f"SELECT {word.name}, {value} FROM {t.table} GROUP BY {word.name}",
    )


def top_few(d: Domain, rng: Random) -> tuple[str, str]:
    t = _either(d, rng)
    number, count = _number(t, rng), rng.randint(2, 4)
    says, order = rng.choice((("highest", "DESC"), ("lowest", "ASC")))
    return (
        f"Give the {t.name} of the {count} {t.table} with the {says} {number.name}, {says} first; "
        f"break ties by {t.name} in alphabetical order.",
        f"SELECT {t.name} FROM {t.table} ORDER BY {number.name} {order}, {t.name} LIMIT {count}",
    )


def sorted_list(d: Domain, rng: Random) -> tuple[str, str]:
    t = _either(d, rng)
    word, number = _word(t, rng), _number(t, rng)
    value = rng.choice(word.words)
    says, order = rng.choice((("from low to high", "ASC"), ("from high to low", "DESC")))
    return (
        f"List the {t.name} and {number.name} of each {t.one} whose {word.name} isn't {value}, "
        f"sorted by {number.name} {says}.",
        f"SELECT {t.name}, {number.name} FROM {t.table} WHERE {word.name} <> '{value}' ORDER BY {number.name} {order}",
    )


def who_did(d: Domain, rng: Random) -> tuple[str, str]:
    a, b = d.first, d.second
    word = _word(b, rng)
    value = rng.choice(word.words)
    return (
        f"Give the {a.name} of every {a.one} who {d.did} a {b.one} whose {word.name} is {value}, each {a.name} once.",
        f"SELECT DISTINCT {a.table}.{a.name} FROM {_joined(d)} WHERE {b.table}.{word.name} = '{value}'",
    )


def total_per_name(d: Domain, rng: Random) -> tuple[str, str]:
    t = _either(d, rng)
    word = _word(t, rng)
    value = rng.choice(word.words)
    return (
        f"For each {t.one} in {d.link} whose {word.name} isn't {value}, give the {t.name} and the sum of {d.amount}.",
        f"SELECT {t.table}.{t.name}, SUM({d.link}.{d.amount}) FROM {t.table} JOIN {d.link} "
        f"ON {d.link}.{t.one}_id = {t.table}.id WHERE {t.table}.{word.name} <> '{value}' GROUP BY {t.table}.id",
    )


def pairs(d: Domain, rng: Random) -> tuple[str, str]:
    a, b = d.first, d.second
    word = _word(b, rng)
    bound, (says, sign) = rng.randint(3, 7), _compared(rng)
    return (
        f"For each row of {d.link} with {d.amount} {says} {bound}, give the {a.one}'s {a.name} "
        f"and the {b.one}'s {word.name}.",
        f"SELECT {a.table}.{a.name}, {b.table}.{word.name} FROM {_joined(d)} WHERE {d.link}.{d.amount} {sign} {bound}",
    )


def never(d: Domain, rng: Random) -> tuple[str, str]:
    t = _either(d, rng)
    word = _word(t, rng)
    bound = rng.randint(1, 5)
    return (
        f"Give the {t.name} and {word.name} of each {t.one} that has no row in {d.link} with {d.amount} above {bound}.",
        f"SELECT {t.name}, {word.name} FROM {t.table} WHERE id NOT IN "
        f"(SELECT {t.one}_id FROM {d.link} WHERE {d.amount} > {bound})",
    )


def above_average(d: Domain, rng: Random) -> tuple[str, str]:
    t = _either(d, rng)
    word, number = _word(t, rng), _number(t, rng)
    value = rng.choice(word.words)
    says, sign = rng.choice((("above", ">"), ("below", "<")))
    return (
        f"Give the {t.name} of each {t.one} whose {number.name} is {says} the average {number.name} "
        f"of the {t.table} whose {word.name} is {value}.",
        f"SELECT {t.name} FROM {t.table} WHERE {number.name} {sign} "
        f"(SELECT AVG({number.name}) FROM {t.table} WHERE {word.name} = '{value}')",
    )


def often(d: Domain, rng: Random) -> tuple[str, str]:
    t = _either(d, rng)
    count, bound = rng.randint(2, 3), rng.randint(1, 4)
    return (
        f"Which {t.table} occur in at least {count} rows of {d.link} with {d.amount} above {bound}? "
        f"Give the {t.name} and the number of these rows.",
        f"SELECT {t.table}.{t.name}, COUNT(*) FROM {t.table} JOIN {d.link} ON {d.link}.{t.one}_id = {t.table}.id "
        f"WHERE {d.link}.{d.amount} > {bound} GROUP BY {t.table}.id HAVING COUNT(*) >= {count}",
    )


def best_word(d: Domain, rng: Random) -> tuple[str, str]:
    a, b = d.first, d.second
    word, best = _word(a, rng), _word(b, rng)
    value = rng.choice(word.words)
    return (
        f"Over all rows of {d.link} by {a.table} whose {word.name} is {value}, which {best.name} of {b.table} has the "
        f"highest sum of {d.amount}? Give that {best.name} alone; break ties in alphabetical order.",
        f"SELECT {b.table}.{best.name} FROM {_joined(d)} WHERE {a.table}.{word.name} = '{value}' "
        f"GROUP BY {b.table}.{best.name} ORDER BY SUM({d.link}.{d.amount}) DESC, {b.table}.{best.name} LIMIT 1",
    )


def first_of_each(d: Domain, rng: Random) -> tuple[str, str]:
    t = _either(d, rng)
    word, number = _word(t, rng), _number(t, rng)
    says, order = rng.choice((("highest", "DESC"), ("lowest", "ASC")))
    return (
        f"For each {word.name} among the {t.table}, give the {word.name} and the {t.name} of the {t.one} with the "
        f"{says} {number.name}; break ties by {t.name} in alphabetical order.",
        f"SELECT {word.name}, {t.name} FROM (SELECT {word.name}, {t.name}, ROW_NUMBER() OVER (PARTITION BY "
        f"{word.name} ORDER BY {number.name} {order}, {t.name}) AS rank FROM {t.table}) WHERE rank = 1",
    )


def above_own_average(d: Domain, rng: Random) -> tuple[str, str]:
    t = _either(d, rng)
    word = _word(t, rng)
    says, sign = rng.choice((("above", ">"), ("below", "<")))
    return (
        f"Give the {t.name} and {word.name} of each {t.one} whose sum of {d.amount} in {d.link} is {says} the average "
        f"of these sums over all {t.table} that occur there.",
        f"WITH sums AS (SELECT {t.one}_id AS who, SUM({d.amount}) AS total FROM {d.link} GROUP BY {t.one}_id) "
        f"SELECT {t.table}.{t.name}, {t.table}.{word.name} FROM {t.table} JOIN sums ON sums.who = {t.table}.id "
        f"WHERE sums.total {sign} (SELECT AVG(total) FROM sums)",
    )


TEMPLATES: dict[int, tuple[Template, ...]] = {
    1: (by_word, by_number, by_both, how_many, extreme_value),
    2: (per_word, top_few, sorted_list),
    3: (who_did, total_per_name, pairs),
    4: (never, above_average, often),
    5: (best_word, first_of_each, above_own_average),
}
"""Kinds of questions by difficulty."""


def make_question(seed: int, level: int, databases: int) -> Question:
    """A question of a level whose answer has rows in every filling and isn't the same in all of them."""
    rng = Random(seed)
    while True:
        domain = varied(rng.choice(DOMAINS), rng)
        text, query = rng.choice(TEMPLATES[level])(domain, rng)
        tables = create_statements(domain)
        setups = tuple(f"{tables}\n{fill(domain, rng)}" for _ in range(databases))
        results = []
        for setup in setups:
            with sqlite3.connect(":memory:") as connection:
                connection.executescript(setup)
                results.append(connection.execute(query).fetchall())
            connection.close()
        if all(results) and (databases == 1 or any(result != results[0] for result in results)):
            return Question(text, query, tables, setups)
