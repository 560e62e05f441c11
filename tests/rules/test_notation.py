from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from rule_samples import batch, respond, thought

from merf import (
    Brevity,
    Calibrated,
    Concise,
    Correct,
    Format,
    FreshSteps,
    JsonFormat,
    Linear,
    Matches,
    NoRepetition,
    Overlap,
    Rule,
    Rulebook,
    Script,
    ThinkAnswer,
    best_groups,
    easiest,
    highest,
    lowest,
    priority,
    rule,
    solved,
)

BY_HAND = """told = true

[[part]]                # a right answer is what counts
rule = "Correct"
right = 2
wrong = -1.5

[[part]]
name = "brief"
rule = "Concise"
words = 40
within = 1
over = 0
then = [
    { do = "only_if", condition = { rule = "Correct" } },   # never short and wrong
    { do = "times", weight = 0.5 },
]

[[part]]
name = "quality"
sum = [
    { rule = "Overlap", measure = "recall" },
    { rule = "NoRepetition", then = [{ do = "times", weight = 0.2 }] },
]
then = [{ do = "clip", low = 0 }, { do = "annealed", schedule = { linear = { end = 0.5 } } }]

[[part]]
priority = [
    { rule = "Overlap", at_least = 0.5 },
    { rule = "Format", layout = "boxed" },
    { rule = "Steps" },
]

[[part]]
name = "gold words"
rule = "Overlap"
reference = "gold"
[[part.then]]
do = "only_if"
condition.all = [{ not = { rule = "Format" } }, { any = [{ easiest = 0.2 }, { solved = 0.5 }] }]
otherwise = -1
"""


def test_a_file_written_by_hand_means_what_it_says() -> None:
    from merf import Steps

    quality = (Overlap(measure="recall") + 0.2 * NoRepetition()).clip(low=0).annealed(Linear(1, 0.5))
    gold = Overlap(reference="gold").only_if(~Format() & (easiest(0.2) | solved(0.5)), otherwise=-1)
    assert Rulebook.from_toml(BY_HAND) == Rulebook(
        Correct(2, -1.5),
        (Concise(40, 1, 0).only_if(Correct()) * 0.5).named("brief"),
        quality.named("quality"),
        priority(Overlap().at_least(0.5), Format(layout="boxed"), Steps()),
        gold.named("gold words"),
    )


EXPRESSIONS: tuple[Rule, ...] = (
    Correct(),
    Format(layout=ThinkAnswer("reason", "reply")),
    Format(layout="final-line"),
    JsonFormat({"type": "object", "required": ['naïve "quote" \\']}),
    Matches(r'["\']\d\\`\n', "the final answer is odd\tenough"),
    Script(("Han", "Latin"), of="answer"),
    -Correct(),
    Correct() * -0.5 + 1,
    Correct() * (Overlap() * 0.5 + NoRepetition() * 0.25 + 1) - 2,
    (Overlap() + NoRepetition() - 0.5).named("words") * -1,
    (Correct().clip(0, 1) * 2).squash("reference", 0.5).tiers(3),
    FreshSteps(9).clip_steps(0.5).delta_steps().ranked().within_group(2),
    Correct().named("a").noisy(0.25, per="response", told=False, draw=7),
    lowest(highest(Correct(), Overlap()), Concise() + Calibrated()),
    Brevity().only_if(best_groups(0.5, by=Overlap() * 2) & ~(Correct() | ~Format())),
    priority(Correct().at_least(-1.5), Overlap().at_least(0.5), Concise().centred()),
)


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_toml_and_python_give_the_same_rule_back(expression: Rule) -> None:
    book = Rulebook(expression, told=False)
    toml, python = book.as_toml(), book.as_python()
    assert Rulebook.from_toml(toml) == book
    assert Rulebook.from_toml(toml).as_toml() == toml
    assert Rulebook.from_python(python) == book
    assert Rulebook.from_python(python).as_python() == python


def test_saving_and_loading_goes_through_a_file(tmp_path: Path) -> None:
    book = Rulebook(Correct(), 0.5 * NoRepetition())
    book.save(tmp_path / "book.toml")
    assert Rulebook.load(tmp_path / "book.toml") == book
    assert Rulebook.load(str(tmp_path / "book.toml")) == book


def test_the_python_form_reads_like_hand_written_code() -> None:
    book = Rulebook(Correct(), Concise(40).only_if(Correct()).clip(0, 1) * 2)
    assert book.as_python() == (
        "Rulebook(\n"
        "    Correct(right=2.0, wrong=-1.5, unreadable=-2.0),\n"
        "    Concise(words=40, within=0.5, over=-0.5)"
        ".only_if(Correct(right=2.0, wrong=-1.5, unreadable=-2.0), otherwise=0.0).clip(low=0, high=1) * 2.0,\n"
        ")"
    )


@pytest.mark.parametrize(
    ("line", "change", "advice"),
    [
        (4, ('rule = "Correct"', 'rule = "Corect"'), "no rule is called 'Corect'; did you mean 'Correct'?"),
        (5, ("right = 2", "rihgt = 2"), "Correct has no parameter 'rihgt'; did you mean 'right'?"),
        (5, ("right = 2", 'right = "two"'), "right='two' should be a number"),
        (5, ("right = 2", "right = nan"), "right=nan"),
        (11, ("words = 40", "words = -3"), "words=-3"),
        (15, ('do = "only_if"', 'do = "onlyif"'), "no operation is called 'onlyif'; did you mean 'only_if'?"),
        (16, ("weight = 0.5", "wieght = 0.5"), "times has no parameter 'wieght'; did you mean 'weight'?"),
        (16, ("weight = 0.5", "weight = 0"), "leave it out"),
        (9, ("name =", "nam ="), "Concise has no parameter 'nam'; did you mean 'name'?"),
        (22, ('"recall"', '"recal"'), "measure='recal'"),
        (25, ("linear", "lineer"), "no schedule is called 'lineer'; did you mean 'linear'?"),
        (25, ("low = 0", "low = 0, high = -1"), "lower bound"),
        (29, ("at_least = 0.5", "at_least = 5"), "never reaches 5"),
        (30, ('"boxed"', '"boxt"'), "no layout is called 'boxt'"),
        (40, ("easiest = 0.2", "easiest = 2"), "share=2"),
        (40, ("solved", "solvd"), "exactly one of rule"),
        (1, ("told = true", "tolled = true"), "a rulebook has no parameter 'tolled'; did you mean 'told'?"),
        (1, ("told = true", "told = 3"), "told is true or false"),
        (5, ("right = 2", "right = = 2"), "not valid TOML"),
    ],
)
def test_a_typo_is_answered_with_its_line_and_the_nearest_name(line: int, change: tuple[str, str], advice: str) -> None:
    text = BY_HAND.replace(*change, 1)
    assert text != BY_HAND
    with pytest.raises(ValueError, match="line") as caught:
        Rulebook.from_toml(text)
    message = str(caught.value)
    assert advice in message
    assert re.search(rf"line {line}\b", message)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", r"begin one with a line \[\[part\]\]"),
        ("[part]\nrule = 'Correct'", "double brackets"),
        ("[[part]]\nrule = 'Matches'\npattern = 'a'", "Matches needs description"),
        ("[[part]]\nright = 1", "exactly one of rule"),
        ("[[part]]\nruel = 'Correct'", "did you mean 'rule'"),
        ("[[part]]\nrule = 'Concise'\n[[part]]\nrule = 'Concise'", "another name"),
        ("[[part]]\nsum = 'Correct'", "sum takes a list"),
        ("[[part]]\nrule = 'Correct'\nthen = 3", "then takes a list"),
        ("[[part]]\nrule = 'Correct'\nname = 3", "title=3 should be text"),
        ("[[part]]\nrule = 'Concise'\nthen = [{ do = 'only_if', condition = { all = [] } }]", "at least one condition"),
        ("[[part]]\nrule = 'Correct'\nsum = []", "says rule and sum"),
        ("[[part]]\nsum = [{ rule = 'Correct' }]", "at least two"),
        ("[[part]]\nrule = 3", "in quotes"),
        ("[[part]]\nrule = 'Correct'\nthen = ['times']", "do ="),
        ("[[part]]\nrule = 'Correct'\nthen = [{ do = 'delta_steps' }]", "single steps"),
        ("[[part]]\nrule = 'Correct'\nthen = [{ do = 'only_if', condition = 'right' }]", "a condition is a table"),
        ("[[part]]\nrule = 'Format'\nlayout = { kind = 'Thinker' }", "did you mean"),
        ("part = [3]", "a rule is a table"),
    ],
)
def test_other_mistakes_are_answered_with_what_to_write(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        Rulebook.from_toml(text)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "Rulebook(Correct().__class__)",
        "Rulebook(Correct().score)",
        "Rulebook(Correct().__init__())",
        "Rulebook(*[Correct()])",
        "Rulebook(**{})",
        "Rulebook(Correct() if True else 0)",
        "Rulebook([Correct() for i in 'ab'])",
        "Rulebook('a' * 10**9)",
        "Rulebook(Correct() * 10 ** 9)",
        "Rulebook(Correct().describe())",
        "(lambda: Rulebook())()",
        "Correct()",
        "Rulebook(",
        "Rulebook(Corect())",
        "Rulebook(Correct().tier(3))",
        "Rulebook(imported('os:system'))",
    ],
)
def test_python_that_is_not_a_rulebook_is_refused_and_not_run(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        Rulebook.from_python(text)


@rule(low=0, high=2)
def shouted(text: str) -> float:
    """The share of letters in upper case, doubled."""
    letters = [c for c in text if c.isalpha()]
    return 2 * sum(c.isupper() for c in letters) / len(letters) if letters else 0.0


def vowels(text: str) -> float:
    return float(any(c in "aeiou" for c in text))


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that can be imported by name, with one rule and one plain function in it."""
    module = ModuleType("house_rules")
    for function in (shouted.function, vowels):
        monkeypatch.setattr(function, "__module__", "house_rules")
    module.shouted, module.vowels, module.book = shouted, vowels, Rulebook(Correct(), shouted)
    monkeypatch.setitem(sys.modules, "house_rules", module)
    return "house_rules"


def test_a_function_is_saved_by_its_import_path_and_loaded_only_with_trust(home: str) -> None:
    spoken = rule(vowels, description="There is a vowel.", name="vowels")
    book = Rulebook(Correct(), shouted.only_if(Correct()) * 0.5, spoken)
    assert f'rule = "{home}:shouted"' in book.as_toml()
    assert f"imported('{home}:shouted')" in book.as_python()
    for load, text in ((Rulebook.from_toml, book.as_toml()), (Rulebook.from_python, book.as_python())):
        with pytest.raises(ValueError, match="trust_code=True"):
            load(text)
        again = load(text, trust_code=True)
        assert again == book
        assert again.describe() == book.describe()
        responses = batch(thought("AB"), respond("xyz"))
        assert again.score(responses).total.tolist() == book.score(responses).total.tolist()


def test_a_function_that_cannot_be_found_again_cannot_be_saved() -> None:
    local = rule(lambda text: 1.0, description="Anything.", name="anything")
    with pytest.raises(ValueError, match="top level of a module"):
        Rulebook(local).as_toml()


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("house_rules:nothing", "nothing is found"),
        ("no_such_house:book", "nothing is found"),
        ("os:sep", "is not a rule"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(home: str, path: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        Rulebook.from_toml(f"[[part]]\nrule = '{path}'", trust_code=True)


def test_a_rulebook_in_python_is_loaded_by_import_path_only(home: str, tmp_path: Path) -> None:
    assert Rulebook.load(f"{home}:book") == Rulebook(Correct(), shouted)
    with pytest.raises(ValueError, match="not a Rulebook"):
        Rulebook.load(f"{home}:vowels")
    (tmp_path / "book.py").write_text("raise SystemExit('was run')")
    with pytest.raises(ValueError, match=r"package\.module:name"):
        Rulebook.load(tmp_path / "book.py")
