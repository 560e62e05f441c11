"""Rules as plain data: nested dicts, lists, numbers and strings.

A rule is written as what it looks at, then what is done to its score, in order:

    {"rule": "Concise", "words": 40, "then": [{"do": "only_if", "condition": {"rule": "Correct"}},
                                              {"do": "times", "weight": 2.0}]}

TOML and Python are two ways of writing this down, so they can't disagree.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import partial, reduce
from numbers import Integral, Real
from typing import Any, TypeVar

from merf.core.layout import LAYOUTS, Boxed, FinalLine, Layout, Plain, ThinkAnswer, ThinkAnswerConfidence
from merf.core.progress import Schedule
from merf.rules.arithmetic import Highest, Lowest, NamedLevels, Several, Sum, Weighted
from merf.rules.calibration import Calibrated
from merf.rules.conditions import (
    All,
    AnyOf,
    AtLeast,
    Condition,
    Not,
    Solved,
    Standing,
    as_condition,
    best_groups,
    easiest,
    hardest,
    solved,
)
from merf.rules.correctness import Correct, SaysWhetherRight
from merf.rules.custom import FunctionRule, found, located
from merf.rules.diversity import DistinctAnswer, Diversity
from merf.rules.format import Format, JsonFormat, Matches
from merf.rules.gates import Priority, priority
from merf.rules.language import NoRepetition, Script
from merf.rules.length import Brevity, Concise, Overlong
from merf.rules.likelihood import Hesitation, ReferenceLikelihood, SelfAligned
from merf.rules.overlap import Overlap
from merf.rules.rule import LevelRule, Operation, Rule
from merf.rules.schedules import SCHEDULES
from merf.rules.shaping import Surpassing
from merf.rules.similarity import Similar
from merf.rules.steps import FreshSteps, StepOperation, Steps

Form = dict[str, Any]
"""A rule as nested dicts, lists, numbers and strings, ready for TOML or JSON."""

RULES: dict[str, type[Rule]] = {
    kind.__name__: kind
    for kind in (
        *(Correct, SaysWhetherRight, Calibrated, Format, JsonFormat, Matches, Concise, Overlong, Brevity, Steps),
        *(FreshSteps, NoRepetition, Script, Overlap, Diversity, DistinctAnswer, Similar),
        *(ReferenceLikelihood, SelfAligned, Hesitation),
    )
}
SIDE_BY_SIDE: dict[str, type[Several]] = {kind.key: kind for kind in (Sum, Lowest, Highest)}
LAYOUT_KINDS: dict[str, Callable[..., Layout]] = {
    kind.__name__: kind for kind in (ThinkAnswer, ThinkAnswerConfidence, Boxed, FinalLine, Plain)
}


def times(rule: Rule, weight: float) -> Rule:
    return rule * weight


def plus(rule: Rule, amount: float) -> Rule:
    return rule + amount


def multiplied_by(rule: Rule, factor: Rule) -> Rule:
    return rule * factor


VERBS: dict[str, tuple[str, ...]] = {
    "times": ("weight",),
    "plus": ("amount",),
    "multiplied_by": ("factor",),
    "named": ("title",),
    "only_if": ("condition", "otherwise"),
    "clip": ("low", "high"),
    "squash": ("center", "steepness"),
    "centred": (),
    "tiers": ("count",),
    "annealed": ("schedule",),
    "within_group": ("limit",),
    "ranked": (),
    "noisy": ("flip", "per", "told", "draw"),
    "clip_steps": ("threshold",),
    "delta_steps": (),
}
"""Operations and their parameters: methods of `Rule`, but for the three that Python writes with signs."""
SIGNS: dict[str, Callable[..., Rule]] = {"times": times, "plus": plus, "multiplied_by": multiplied_by}


class Misread(ValueError):
    """Something in a rulebook's text makes no sense; `word` is where to look for it."""

    def __init__(self, message: str, word: str = "") -> None:
        super().__init__(message)
        self.word = word


# From rules to plain data


def plain_rule(rule: Rule) -> Form:
    """The rule as nested dicts, lists, numbers and strings."""
    steps: list[Form] = []
    while isinstance(rule, Operation | StepOperation | Weighted | NamedLevels):
        steps.append({"do": rule.verb, **plain_arguments(rule)})
        rule = rule.rule
    steps.reverse()
    # A name given last is a heading, not a step.
    heading = {"name": steps.pop()["title"]} if steps and steps[-1]["do"] == "named" else {}
    return {**heading, **plain_base(rule), **({"then": steps} if steps else {})}


def plain_base(rule: Rule) -> Form:
    if isinstance(rule, Several):
        return {rule.key: [plain_rule(term) for term in rule.rules]}
    if isinstance(rule, Priority):
        return {rule.key: [*map(plain_condition, rule.gates), plain_rule(rule.last)]}
    if isinstance(rule, FunctionRule):
        return plain_function(rule)
    kind = type(rule)
    name = kind.__name__ if RULES.get(kind.__name__) is kind else f"{kind.__module__}:{kind.__qualname__}"
    return {"rule": name, **plain_arguments(rule)}


def plain_function(rule: FunctionRule) -> Form:
    # A script that is being run can't be imported by its name later on.
    home = None if rule.function.__module__ == "__main__" else rule.home
    if home is rule:
        return {"rule": rule.path}
    if home is rule.function:
        return {"rule": rule.path, **plain_arguments(rule, leave_out=("function",))}
    raise ValueError(
        f"the rule {rule.name!r} can't be saved: define its function at the top level of a module that can be imported"
    )


def plain_arguments(value: Any, leave_out: Iterable[str] = ("rule",)) -> Form:
    """The parameters of a rule, operation, layout or schedule. Numbers are always written out, so that a file
    keeps its meaning if a default changes; None, and words that are the default, are left out."""
    given = {"center": "reference"} if isinstance(value, Surpassing) else {}
    for entry in fields(value):
        argument = getattr(value, entry.name)
        usual = isinstance(argument, str | bool | tuple) and argument == entry.default
        if entry.name not in leave_out and argument is not None and not usual:
            given[entry.name] = plain_value(argument)
    return given


def plain_value(value: Any) -> Any:
    match value:
        case bool() | str():
            return value
        case Integral():
            return int(value)
        case Real():
            return float(value)
        case tuple():
            return [plain_value(item) for item in value]
        case Rule():
            return plain_rule(value)
        case Condition():
            return plain_condition(value)
    kind = type(value).__name__.lower()
    if kind in SCHEDULES:
        return {kind: plain_arguments(value)}
    if type(value).__name__ in LAYOUT_KINDS:
        whole = {"kind": type(value).__name__, **plain_arguments(value)}
        return value.name if LAYOUTS.get(value.name) == value else whole
    raise ValueError(f"{value!r} can't be saved")


def plain_condition(condition: Condition) -> Form:
    match condition:
        case AtLeast(rule, threshold):
            best = isinstance(rule, LevelRule) and threshold == rule.range[1]
            return {**plain_rule(rule), **({} if best else {"at_least": plain_value(threshold)})}
        case Not(inner):
            return {"not": plain_condition(inner)}
        case All(conditions):
            return {"all": [plain_condition(one) for one in conditions]}
        case AnyOf(conditions):
            return {"any": [plain_condition(one) for one in conditions]}
        case Solved(share):
            return {"solved": plain_value(share)}
        case Standing(share, best, by):
            kind = ("easiest" if best else "hardest") if by is None else "best_groups"
            return {kind: plain_value(share), **({} if by is None else {"by": plain_rule(by)})}
    raise ValueError(f"{condition!r} can't be saved")


# From plain data to rules


@dataclass(frozen=True)
class Reader:
    """Builds rules from the plain form; `trust_code` allows it to import modules that the text names."""

    trust_code: bool = False

    def rule(self, data: Any) -> Rule:
        if not isinstance(data, Mapping):
            raise Misread(f'a rule is a table such as {{ rule = "Correct" }}, not {data!r}')
        known = ("rule", *SIDE_BY_SIDE, "priority")
        bases = [key for key in data if key in known]
        if len(bases) != 1:
            near = [key for key in data if difflib.get_close_matches(key, known, 1)]
            hint = nearest(near[0], known) if near and not bases else ""
            said = " and ".join(bases) or "none of these"
            raise Misread(
                f"a rule is given by exactly one of {', '.join(known)}; this one says {said}{hint}",
                (near or list(data) or [""])[0],
            )
        rule = self.base(bases[0], data)
        for step in listed(data, "then"):
            rule = self.step(rule, step)
        return build("name", {}, lambda: rule.named(data["name"])) if "name" in data else rule

    def base(self, key: str, data: Mapping[str, Any]) -> Rule:
        given = {k: v for k, v in data.items() if k not in (key, "then", "name")}
        if key == "rule":
            return self.leaf(data["rule"], given)
        check_keys(f"a {key}", given, ())
        if key == "priority":
            *first, last = listed(data, key) or [None]
            return build(key, {}, lambda: priority(*map(self.condition, first), self.rule(last)))
        return build(key, {}, lambda: SIDE_BY_SIDE[key](tuple(self.rule(term) for term in listed(data, key))))

    def leaf(self, name: Any, given: Form) -> Rule:
        if not isinstance(name, str):
            raise Misread(f"rule = {name!r}: a rule's name is a text in quotes", "rule")
        if ":" in name:
            return self.imported(name, given)
        if name not in RULES:
            raise Misread(f"no rule is called {name!r}{nearest(name, RULES)}", name)
        rule: Rule = self.construct(name, RULES[name], given)
        return rule

    def imported(self, path: str, given: Form) -> Rule:
        if not self.trust_code:
            raise Misread(
                f"{path} is Python code, and reading this rulebook would run it: pass trust_code=True "
                "(merf describe --trust-code) if you trust where it comes from",
                path,
            )
        try:
            target = located(path)
        except (ImportError, AttributeError, ValueError):
            target = None
        if isinstance(target, type) and issubclass(target, Rule):
            made: Rule = self.construct(path, target, given)
            return made
        if callable(target) and not isinstance(target, Rule):
            return build(path, given, lambda: FunctionRule(target, **given))
        check_keys(path, given, ())
        return build(path, {}, lambda: found(path))

    def construct(self, name: str, kind: Callable[..., Any], given: Mapping[str, Any]) -> Any:
        entries = {entry.name: entry for entry in fields(kind)} if is_dataclass(kind) else {}
        general = ("name", "then") if isinstance(kind, type) and issubclass(kind, Rule) else ()
        check_keys(name, given, (*entries, *general))
        needed = [n for n, e in entries.items() if e.default is MISSING and e.default_factory is MISSING]
        missing = [n for n in needed if n not in given]
        if missing:
            raise Misread(f"{name} needs {' and '.join(missing)}", name)
        arguments = {key: self.argument(key, value) for key, value in given.items()}
        return build(name, arguments, lambda: kind(**arguments))

    def argument(self, key: str, value: Any) -> Any:
        match key:
            case "condition":
                return self.condition(value)
            case "factor":
                return self.rule(value)
            case "schedule":
                return self.schedule(value)
            case "layout":
                return self.layout(value)
        return tuple(value) if isinstance(value, list) else value

    def step(self, rule: Rule, data: Any) -> Rule:
        if not isinstance(data, Mapping) or not isinstance(data.get("do"), str):
            raise Misread('every step after `then` is a table such as { do = "times", weight = 2.0 }', "then")
        verb, given = data["do"], {k: v for k, v in data.items() if k != "do"}
        if verb not in VERBS:
            raise Misread(f"no operation is called {verb!r}{nearest(verb, VERBS)}", verb)
        check_keys(verb, given, VERBS[verb])
        arguments = {key: self.argument(key, value) for key, value in given.items()}
        if verb in SIGNS:
            return build(verb, arguments, lambda: SIGNS[verb](rule, **arguments))
        method = getattr(rule, verb, None)
        if method is None:
            raise Misread(f"{verb} works on rules that score single steps, which {rule.name!r} does not", verb)
        done: Rule = build(verb, arguments, lambda: method(**arguments))
        return done

    def condition(self, data: Any) -> Condition:
        if not isinstance(data, Mapping):
            raise Misread(f'a condition is a table such as {{ rule = "Correct" }} or {{ easiest = 0.2 }}, not {data!r}')
        for key, of_share in (("easiest", easiest), ("hardest", hardest), ("solved", solved)):
            if key in data:
                check_keys(key, data, (key,))
                return build(key, {}, partial(of_share, data[key]))
        if "best_groups" in data:
            check_keys("best_groups", data, ("best_groups", "by"))
            by = self.rule(data["by"]) if "by" in data else None
            return build("best_groups", {}, lambda: best_groups(data["best_groups"], by))
        for key, join in (("all", operator.and_), ("any", operator.or_)):
            if key in data:
                check_keys(key, data, (key,))
                conditions = [self.condition(one) for one in listed(data, key)]
                if not conditions:
                    raise Misread(f"{key} takes at least one condition", key)
                return reduce(join, conditions)
        if "not" in data:
            check_keys("not", data, ("not",))
            return ~self.condition(data["not"])
        rule = self.rule({key: value for key, value in data.items() if key != "at_least"})
        if "at_least" in data:
            return build("at_least", {}, lambda: rule.at_least(data["at_least"]))
        return build("condition", {}, lambda: as_condition(rule))

    def schedule(self, data: Any) -> Schedule:
        if not isinstance(data, Mapping) or len(data) != 1:
            raise Misread("a schedule is a table such as { linear = { start = 1.0, end = 0.0 } }", "schedule")
        ((name, given),) = data.items()
        if name not in SCHEDULES:
            raise Misread(f"no schedule is called {name!r}{nearest(name, SCHEDULES)}", name)
        if not isinstance(given, Mapping):
            raise Misread(f"{name} takes a table of its parameters", name)
        schedule: Schedule = self.construct(name, SCHEDULES[name], given)
        return schedule

    def layout(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data  # a name, which `Format` looks up
        given = {key: value for key, value in data.items() if key != "kind"}
        kind = data.get("kind")
        if not isinstance(kind, str) or kind not in LAYOUT_KINDS:
            raise Misread(f"no layout is of kind {kind!r}{nearest(str(kind), LAYOUT_KINDS)}", str(kind))
        return self.construct(kind, LAYOUT_KINDS[kind], given)


def listed(data: Mapping[str, Any], key: str) -> list[Any]:
    """The list under `key`, empty if there is none."""
    value = data.get(key, [])
    if not isinstance(value, list):
        raise Misread(f"{key} takes a list, in square brackets", key)
    return value


T = TypeVar("T")


def build(word: str, given: Mapping[str, Any], make: Callable[[], T]) -> T:
    """`make()`, with what it complains about said to be near `word`, or near the parameter it names."""
    try:
        return make()
    except Misread:
        raise
    except (TypeError, ValueError, KeyError) as error:
        message = str(error.args[0]) if error.args else str(error)
        blamed = [key for key in given if f"{key}=" in message]
        raise Misread(message, blamed[0] if blamed else word) from error


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'Correct'?`, or the known words where none is near."""
    known = list(known)
    folded = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), folded, 1)
    return f"; did you mean {folded[near[0]]!r}?" if near else f"; known: {', '.join(known) or 'none'}"


def check_keys(owner: str, given: Mapping[str, Any], known: Iterable[str]) -> None:
    known = list(known)
    for key in given:
        if key not in known:
            raise Misread(f"{owner} has no parameter {key!r}{nearest(key, known)}", key)
