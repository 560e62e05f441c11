"""Methods: published ideas as functions from recipe to recipe.

A method lives in a file of its own, registers itself with `@method`, and says which seams it touches.
Methods that touch different seams can be combined; two that both want, say, the objective can't.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints

from merf.core.recipe import Recipe

Seam = Literal["rules", "framing", "rollout", "credit", "objective", "curriculum", "judges"]
SHARED_SEAMS = frozenset({"rules", "judges"})
"""Several methods may add rules or judges; every other seam has one answer at a time."""

NOT_METHODS = frozenset({"registry", "claims"})


@dataclass(frozen=True)
class Claim:
    """What a method is said to achieve, as a measurement that can come out either way.

    says      the claim in one sentence
    world     the base model it is measured with, or a shipped experiment
    arms      the arms by name: method expressions such as "grpo" or "rlcr:weight=0.5", or arms of the experiment.
              The first is the baseline; a single one is compared with zero
    metric    what is compared, as `lab.claims.value` reads it: "accuracy", "told:pass@8", "average:accuracy"
    expect    ">" if the last arm's metric should be larger than the baseline's, "<" if smaller, "=" if
              within `margin` of it
    control   an arm that should *not* show the effect, where the source gives one
    by_work   whether it comes about by working through problems, so that there is no verdict where work doesn't pay
              for the base
    from_seed the first seed that counts. A claim that was written down after runs had been looked at is judged by
              later seeds alone
    """

    says: str
    world: str
    arms: tuple[str, ...]
    metric: str
    expect: Literal[">", "<", "="]
    margin: float = 0.0
    control: str = ""
    by_work: bool = True
    from_seed: int = 0


@dataclass(frozen=True)
class Method:
    """A registered method."""

    name: str
    paper: str
    seams: frozenset[Seam]
    apply: Callable[..., Recipe]
    claims: tuple[Claim, ...]

    @property
    def claim_names(self) -> list[str]:
        """What each claim is called in reports."""
        return [f"{self.name}-{number}" for number, _ in enumerate(self.claims, 1)]

    @property
    def idea(self) -> str:
        """The first line of its file."""
        return self.docs.splitlines()[0]

    @property
    def docs(self) -> str:
        module = inspect.getmodule(self.apply)
        return inspect.cleandoc(module.__doc__ or "") if module else ""

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """What can be set, by name; the first argument, the recipe, is not among them."""
        return dict(list(inspect.signature(self.apply).parameters.items())[1:])


_METHODS: dict[str, Method] = {}


def method(
    name: str, *, paper: str = "", seams: Sequence[Seam], claims: Sequence[Claim] = ()
) -> Callable[[Callable[..., Recipe]], Callable[..., Recipe]]:
    """Register a function from recipe to recipe. `paper` is an arXiv id or a short reference."""

    def register(function: Callable[..., Recipe]) -> Callable[..., Recipe]:
        if name in _METHODS:
            raise ValueError(f"a method called {name!r} is registered already")
        _METHODS[name] = Method(name, paper, frozenset(seams), function, tuple(claims))
        return function

    return register


def load_all() -> dict[str, Method]:
    """Every method that comes with merf (and any registered by the user), by name."""
    package = importlib.import_module("merf.methods")
    for module in pkgutil.iter_modules(package.__path__):
        if module.name not in NOT_METHODS:
            importlib.import_module(f"merf.methods.{module.name}")
    return dict(sorted(_METHODS.items()))


def get(name: str) -> Method:
    """The method called `name`."""
    if name not in _METHODS:
        load_all()
    if name not in _METHODS:
        near = difflib.get_close_matches(name, _METHODS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(_METHODS))}"
        raise ValueError(f"there is no method {name!r}{hint}")
    return _METHODS[name]


@dataclass(frozen=True)
class Choice:
    """A method with the parameters it is used with."""

    method: Method
    parameters: dict[str, Any]

    @classmethod
    def parse(cls, text: str) -> Choice:
        """Read `name` or `name:parameter=value:parameter=value`."""
        name, *rest = (piece.strip() for piece in text.split(":"))
        found = get(name)
        hints = get_type_hints(found.apply)
        parameters = {}
        for part in rest:
            key, equals, value = part.partition("=")
            key = key.strip()
            if not equals or key not in found.parameters:
                known = ", ".join(found.parameters) or "none"
                raise ValueError(f"{part!r} is not a parameter of {found.name}: write name=value; it has {known}")
            parameters[key] = read_value(value.strip(), hints.get(key, str), f"{found.name}:{key}")
        return cls(found, parameters)

    def __call__(self, recipe: Recipe) -> Recipe:
        return self.method.apply(recipe, **self.parameters)


def read_value(text: str, kind: Any, where: str) -> Any:
    """A parameter's value from its text, by its type."""
    if kind is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise ValueError(f"{where} must be true or false, not {text!r}")
    options = getattr(kind, "__args__", ())
    if getattr(kind, "__origin__", None) is Literal:
        if text not in options:
            raise ValueError(f"{where} must be one of {', '.join(map(str, options))}, not {text!r}")
        return text
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise ValueError(f"{where} must be a number, not {text!r}") from None
    return text


def compose(recipe: Recipe, texts: Sequence[str]) -> Recipe:
    """Apply methods one after the other; refuse two that answer the same question, or pay the same part of the
    rulebook differently. Each text is one method, or several with commas between them."""
    choices = [Choice.parse(part) for text in texts for part in text.split(",") if part.strip()]
    taken: dict[str, str] = {}
    for choice in choices:
        for seam in sorted(choice.method.seams - SHARED_SEAMS):
            if seam in taken:
                raise ValueError(
                    f"{taken[seam]} and {choice.method.name} both decide the {seam}, so they can't be combined: "
                    "choose one of them"
                )
            taken[seam] = choice.method.name
    for choice in choices:
        changed = choice(recipe)
        for part in sorted(changed_parts(recipe, changed)):
            if part in taken:
                raise ValueError(
                    f"{taken[part]} and {choice.method.name} both decide what the rulebook's {part!r} pays, so they "
                    "can't be combined: choose one of them"
                )
            taken[part] = choice.method.name
        recipe = changed
    return recipe


def changed_parts(before: Recipe, after: Recipe) -> set[str]:
    """The names of the rulebook's parts that came, went, or pay differently."""
    old, new = ({part.name: part for part in getattr(recipe.rulebook, "parts", ())} for recipe in (before, after))
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


MEASURED = (Path(__file__).with_name("claims.json"), Path(__file__).parents[3] / "docs" / "claims.json")
"""Where the findings are that were published with this version: in the package, or in its source tree."""


def measured() -> dict[str, dict[str, Any]]:
    """What came out of each claim, by its name ("merf-1"), as `merf claims report` wrote it."""
    for path in MEASURED:
        if path.exists():
            return {one["claim"]: one for one in json.loads(path.read_text(encoding="utf-8"))["findings"]}
    return {}
