"""Rulebooks as Python expressions: `Concise(words=40).only_if(Correct()) * 2.0`.

They are read back by an evaluator that knows rules, operations, signs and constants, and nothing else.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from merf.rules.arithmetic import highest, lowest
from merf.rules.conditions import Condition, best_groups, easiest, hardest, solved
from merf.rules.custom import located
from merf.rules.form import LAYOUT_KINDS, RULES, SIGNS, VERBS, Form, Reader, nearest, plain_rule
from merf.rules.gates import priority
from merf.rules.rule import Rule
from merf.rules.rulebook import Rulebook
from merf.rules.schedules import SCHEDULES


def to_python(book: Rulebook) -> str:
    """An expression that gives the rulebook, one part per line."""
    lines = [f"    {written(plain_rule(part))},\n" for part in book.parts]
    lines += [] if book.told else ["    told=False,\n"]
    return f"Rulebook(\n{''.join(lines)})" if lines else "Rulebook()"


def written(data: Form) -> str:
    """The plain form of a rule as Python."""
    text, single = written_base(data)
    steps = [*data.get("then", []), *([{"do": "named", "title": data["name"]}] if "name" in data else [])]
    for step in steps:
        verb, given = step["do"], {key: value for key, value in step.items() if key != "do"}
        if verb == "plus":
            amount = given["amount"]
            text, single = f"{text} {'-' if amount < 0 else '+'} {abs(amount)!r}", False
        elif verb in SIGNS:
            ((key, value),) = given.items()
            text, single = f"{bracketed(text)} * {literal(key, value)}", False
        else:
            text, single = f"{text if single else f'({text})'}.{verb}({arguments(given, verb)})", True
    return text


def written_base(data: Form) -> tuple[str, bool]:
    """A rule before its steps, and whether it can stand before a dot without brackets."""
    if "sum" in data:
        return " + ".join(bracketed(written(term)) for term in data["sum"]), False
    for key in ("lowest", "highest"):
        if key in data:
            return f"{key}({', '.join(map(written, data[key]))})", True
    if "priority" in data:
        *first, last = data["priority"]
        return f"priority({', '.join([*map(written_condition, first), written(last)])})", True
    name, given = data["rule"], {k: v for k, v in data.items() if k not in ("rule", "then", "name")}
    if ":" in name:
        return f"imported({', '.join(filter(None, (repr(name), arguments(given))))})", True
    return f"{name}({arguments(given)})", True


def bracketed(text: str) -> str:
    """In brackets unless it is a plain call, or a product, which binds tighter than a sum."""
    tree = ast.parse(text, mode="eval").body
    return f"({text})" if isinstance(tree, ast.BinOp) and not isinstance(tree.op, ast.Mult) else text


def written_condition(data: Form) -> str:
    for key in ("easiest", "hardest", "solved"):
        if key in data:
            return f"{key}({data[key]!r})"
    if "best_groups" in data:
        return f"best_groups({data['best_groups']!r}, by={written(data['by'])})"
    for key, sign in (("all", "&"), ("any", "|")):
        if key in data:
            return "(" + f" {sign} ".join(written_condition(one) for one in data[key]) + ")"
    if "not" in data:
        return f"~{written_condition(data['not'])}"
    rule = written({key: value for key, value in data.items() if key != "at_least"})
    single = isinstance(ast.parse(rule, mode="eval").body, ast.Call)
    rule = rule if single else f"({rule})"
    return f"{rule}.at_least({data['at_least']!r})" if "at_least" in data else rule


def arguments(given: Form, verb: str = "") -> str:
    """Keyword arguments; the first of an operation goes without saying, unless there may be two alike."""
    silent = VERBS[verb][0] if verb and verb != "clip" and VERBS[verb] else ""
    return ", ".join(f"{'' if key == silent else f'{key}='}{literal(key, value)}" for key, value in given.items())


def literal(key: str, value: Any) -> str:
    match key, value:
        case "condition", {"all": _} | {"any": _}:
            return written_condition(value)[1:-1]
        case "condition", _:
            return written_condition(value)
        case "factor", _:
            return f"({written(value)})"
        case "schedule", _:
            ((name, given),) = value.items()
            return f"{SCHEDULES[name].__name__}({arguments(given)})"
        case "layout", dict():
            kind = value["kind"]
            return f"{kind}({arguments({k: v for k, v in value.items() if k != 'kind'})})"
        case _, list():
            return repr(tuple(value))
    return repr(value)


NAMES: dict[str, Callable[..., Any]] = {
    **RULES,
    **LAYOUT_KINDS,
    **{kind.__name__: kind for kind in SCHEDULES.values()},
    **{f.__name__: f for f in (lowest, highest, priority, easiest, hardest, best_groups, solved)},
    "Rulebook": Rulebook,
}
METHODS = frozenset({*VERBS, "at_least", "below", "where", "capped"})
BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
}
UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.USub: operator.neg, ast.Invert: operator.invert}


@dataclass(frozen=True)
class Evaluator:
    """Evaluates the small part of Python in which rules are written: calls of known constructors and
    operations, signs between rules and numbers, and constants. Anything else is refused."""

    trust_code: bool = False

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value) if isinstance(value, str | int | float | bool) or value is None:
                return value
            case ast.Tuple(elts=items) | ast.List(elts=items):
                return tuple(self.value(item) for item in items)
            case ast.Dict(keys=keys, values=values) if None not in keys:
                return {self.value(key): self.value(value) for key, value in zip(keys, values, strict=True) if key}
            case ast.UnaryOp(op=op, operand=inner) if type(op) in UNARY:
                return UNARY[type(op)](self.algebraic(inner))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
                return BINARY[type(op)](self.algebraic(left), self.algebraic(right))
            case ast.Call(func=function, args=args, keywords=keywords):
                return self.call(function, args, keywords)
        raise ValueError(f"{ast.unparse(node)!r} isn't part of a rulebook: only rules, operations and constants are")

    def algebraic(self, node: ast.expr) -> Any:
        value = self.value(node)
        if not isinstance(value, Rule | Condition | int | float):
            raise ValueError(f"{ast.unparse(node)!r} can't be added or multiplied")
        return value

    def call(self, function: ast.expr, args: list[ast.expr], keywords: list[ast.keyword]) -> Any:
        positional = [self.value(arg) for arg in args]
        named = {keyword.arg: self.value(keyword.value) for keyword in keywords if keyword.arg is not None}
        if len(named) != len(keywords):
            raise ValueError("** isn't part of a rulebook")
        match function:
            case ast.Name(id="imported"):
                return Reader(self.trust_code).imported(positional[0] if positional else "", named)
            case ast.Name(id=name):
                if name not in NAMES:
                    raise ValueError(f"no rule is called {name!r}{nearest(name, NAMES)}")
                return NAMES[name](*positional, **named)
            case ast.Attribute(value=owner, attr=name):
                if name not in METHODS:
                    raise ValueError(f"no operation is called {name!r}{nearest(name, METHODS)}")
                rule = self.value(owner)
                if not isinstance(rule, Rule):
                    raise ValueError(f"{name} is an operation on rules, and {ast.unparse(owner)!r} is none")
                return getattr(rule, name)(*positional, **named)
        raise ValueError(f"{ast.unparse(function)!r} can't be called in a rulebook")


def from_python(text: str, trust_code: bool = False) -> Rulebook:
    """The rulebook that an expression describes, without running it as Python."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno}: {error.msg}") from error
    value = Evaluator(trust_code).value(tree.body)
    if isinstance(value, Rulebook):
        return value
    raise ValueError("the expression should begin with Rulebook(")


def imported_rulebook(path: str) -> Rulebook:
    """The rulebook called `package.module:name`."""
    try:
        book = located(path)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"nothing is found at {path!r} ({error})") from error
    if not isinstance(book, Rulebook):
        raise ValueError(f"{path!r} is not a Rulebook but {type(book).__name__}")
    return book
