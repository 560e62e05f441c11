"""Rules written as plain Python functions.

    @rule(low=0, high=1)
    def cites(text: str, answer: str | None) -> float:
        '''The share of sentences that name a source.'''
        ...

    book = Rulebook(Correct(), 0.5 * cites)

The docstring is what a model is told, so a function without one (and without `description=`) is refused.
"""

from __future__ import annotations

import importlib
import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, overload

import numpy as np

from merf.core.response import Array, Response, Responses
from merf.rules.arithmetic import check_title
from merf.rules.rule import Rule
from merf.rules.wording import Style, heading, plain

VIEWS: dict[str, Callable[[Response], Any]] = {
    "response": lambda response: response,
    "problem": lambda response: response.problem,
    "text": lambda response: response.text,
    "thinking": lambda response: response.thinking,
    "answer": lambda response: response.answer,
    "tokens": lambda response: response.tokens,
    "finished": lambda response: response.finished,
}
"""What a function may ask for by naming a parameter. A parameter with any other name gets the response."""


@dataclass(frozen=True)
class FunctionRule(Rule):
    """A Python function as a rule. Make one with `@rule`.

    True pays `high` and False `low`; None and NaN mean that the rule can't be applied. An exception
    raised on some response counts as that too, with a warning; a result that no response should be able to
    cause (text, a list, a number outside the declared range) is an error that names the rule.
    """

    function: Callable[..., Any]
    description: str
    low: float = 0.0
    high: float = 1.0
    title: str = ""
    whole_batch: bool = False

    @property
    def name(self) -> str:
        return self.title

    @property
    def label(self) -> str:
        return heading(self.title)

    @property
    def path(self) -> str:
        """Where the function is found again: `module:name`."""
        return f"{self.function.__module__}:{self.function.__qualname__}"

    @property
    def home(self) -> Any:
        """What is really there: this rule, the plain function, or None if neither can be found again."""
        try:
            return located(self.path)
        except (ImportError, AttributeError):
            return None

    def check(self) -> None:
        check_title(self.title)
        if not self.description.strip():
            raise ValueError(
                f"the rule {self.title!r} has no description: give its function a docstring that says what earns "
                "reward, or pass description="
            )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The plain function, as if it had not been decorated."""
        return self.function(*args, **kwargs)

    def __reduce__(self) -> Any:
        # In its module the decorated name is this rule, not the function, so pickle has to find the rule.
        if self.home is self:
            return found, (self.path,)
        return FunctionRule, tuple(getattr(self, entry.name) for entry in fields(self))

    def checked(self, value: Any) -> float:
        """One result as a score, or an error that says what is wrong with it."""
        if value is None:
            return math.nan
        if isinstance(value, bool | np.bool_):
            return self.high if value else self.low
        if not isinstance(value, Real):
            raise TypeError(
                f"the rule {self.title!r} returned {value!r} ({type(value).__name__}): return a number, True or False, "
                "or None where it can't be applied"
            )
        number = float(value)
        if math.isnan(number):
            return math.nan
        if not self.low <= number <= self.high:
            raise ValueError(
                f"the rule {self.title!r} returned {plain(number)}, outside its declared range {plain(self.low)} to "
                f"{plain(self.high)}: correct the function, or declare the range it really has with low= and high="
            )
        return number

    def attempt(self, function: Callable[..., Any], given: Response | Responses) -> Any:
        """The function's result; None, with a warning, where it fails."""
        try:
            return function(given)
        except Exception as error:
            warnings.warn(
                f"the rule {self.title!r} failed with {type(error).__name__}: {error}; the response gets no score",
                RuntimeWarning,
                stacklevel=4,
            )
            return None

    def score(self, responses: Responses) -> Array:
        if self.whole_batch:
            results = self.attempt(self.function, responses)
            if results is None:
                return np.full(len(responses), np.nan)
            if isinstance(results, str) or not isinstance(results, Sequence | np.ndarray):
                raise TypeError(f"the rule {self.title!r} returned {type(results).__name__}: return a list of numbers")
            if len(results) != len(responses):
                raise ValueError(
                    f"the rule {self.title!r} returned {len(results)} scores for {len(responses)} responses: "
                    "return one per response, in order, with None where it can't be applied"
                )
        else:
            views = parameters(self.function)
            results = [
                self.attempt(
                    lambda given: self.function(**{name: view(given) for name, view in views.items()}), response
                )
                for response in responses
            ]
        return np.array([self.checked(value) for value in results], np.float64)

    @property
    def range(self) -> tuple[float, float]:
        return float(self.low), float(self.high)

    def statement(self, style: Style, wording: int) -> str:
        said = " ".join(self.description.split()).rstrip(".")
        # In the middle of a sentence, but without touching a name or an acronym.
        if style != "story" and said[1:2].islower():
            said = said[0].lower() + said[1:]
        low, high = plain(self.low), plain(self.high)
        return f"{said}, {low} to {high}" if style == "terse" else f"{said} (from {low} to {high} points)"


def parameters(function: Callable[..., Any]) -> dict[str, Callable[[Response], Any]]:
    """How each parameter without a default is filled."""
    wanted = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    strangers = [name for name in wanted if name not in VIEWS]
    if not wanted or len(strangers) > 1:
        raise TypeError(
            f"{function.__name__} should take the response, or some of {', '.join(VIEWS)} by name, "
            f"but takes ({', '.join(wanted)})"
        )
    return {name: VIEWS.get(name, VIEWS["response"]) for name in wanted}


@overload
def rule(function: Callable[..., Any], /) -> FunctionRule: ...


@overload
def rule(
    function: None = None,
    /,
    *,
    description: str = "",
    low: float = 0.0,
    high: float = 1.0,
    name: str = "",
    whole_batch: bool = False,
) -> Callable[[Callable[..., Any]], FunctionRule]: ...


@overload
def rule(
    function: Callable[..., Any],
    /,
    *,
    description: str = "",
    low: float = 0.0,
    high: float = 1.0,
    name: str = "",
    whole_batch: bool = False,
) -> FunctionRule: ...


def rule(
    function: Callable[..., Any] | None = None,
    /,
    *,
    description: str = "",
    low: float = 0.0,
    high: float = 1.0,
    name: str = "",
    whole_batch: bool = False,
) -> Any:
    """Turn a function into a rule: `@rule`, `@rule(low=-1, high=1)` or `rule(function, description="…")`.

    The function takes a response, or any of `text, answer, thinking, problem, tokens, finished, response` by
    name, and gives a number from `low` to `high`, True or False (which pay `high` and `low`), or None. With
    `whole_batch=True` it takes all `Responses` at once and gives a list, for scores relative to a group.
    """

    def make(function: Callable[..., Any]) -> FunctionRule:
        if not callable(function):
            raise TypeError(f"rule() takes a function, not {function!r}")
        if not whole_batch:
            parameters(function)
        said = description or (inspect.getdoc(function) or "").split("\n\n")[0]
        title = name or function.__name__.strip("_").replace("_", "-")
        return FunctionRule(function, said, low, high, title, whole_batch)

    return make if function is None else make(function)


def located(path: str) -> Any:
    """What `module:name` points to."""
    module, _, name = path.partition(":")
    value: Any = importlib.import_module(module)
    for part in name.split("."):
        value = getattr(value, part)
    return value


def found(path: str) -> Rule:
    """The rule at `module:name`. Importing the module runs its code, so only follow paths you trust."""
    try:
        value = located(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"nothing is found at {path!r} ({error}): is the module installed, the name right?") from error
    if not isinstance(value, Rule):
        raise ValueError(f"{path!r} is not a rule: put @rule above the function")
    return value
