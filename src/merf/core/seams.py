"""The seams: small protocols between the loop and everything that plugs into it.

Each is one question a method may answer in its own way. A `Recipe` holds one answer per seam; a method is
a function from recipe to recipe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from merf.core.layout import Layout
from merf.core.problem import Problem, Prompt
from merf.core.progress import Progress
from merf.core.response import Responses, Scores, Verdict
from merf.core.rollouts import Rollouts
from merf.core.sampling import Sampling

if TYPE_CHECKING:
    from torch import Tensor


class Task(Protocol):
    """What is asked, and what counts as right."""

    @property
    def name(self) -> str: ...

    @property
    def layout(self) -> Layout: ...

    @property
    def instruction(self) -> str:
        """The system text both arms get: how to lay the response out, nothing about scores."""
        ...

    def problems(self, split: str = "train", seed: int = 0) -> Iterator[Problem]:
        """Problems of a split, lazily and deterministically."""
        ...

    def verify(self, problem: Problem, answer: str) -> Verdict:
        """Judge an extracted answer. Pure, and total: it returns a verdict for any text."""
        ...

    def describe(self) -> str:
        """One line for lists and docs."""
        ...


class Rewards(Protocol):
    """What earns reward, and how it is said: a rulebook as the loop and the framing see it."""

    def score(self, responses: Responses) -> Scores: ...

    def describe(self, style: Any = "full", wording: int = 0) -> str: ...

    def inverted(self) -> Rewards: ...

    def only(self, *names: str) -> Rewards: ...

    def with_parts(self, *parts: Any) -> Rewards: ...

    def __iter__(self) -> Iterator[Any]:
        """Its parts, each with a `name`."""
        ...

    @property
    def range(self) -> tuple[float, float]: ...


class Framing(Protocol):
    """What the model sees. Asked once per group member, so scaffolds may differ inside a group."""

    def __call__(
        self, problem: Problem, member: int, group_size: int, progress: Progress, rulebook: Rewards
    ) -> Prompt: ...

    def telling(self, rulebook: Rewards) -> str:
        """What those who are told anything about the rewards are told, for the record; empty if nobody is."""
        ...


class Rollout(Protocol):
    """How responses come about: rounds, trees, refinements, turns."""

    def collect(self, problems: Sequence[Problem], ctx: Context) -> Rollouts: ...


class Credit(Protocol):
    """Whose merit, whose fault: a pure function from scores to advantages [N, T]."""

    def __call__(self, scores: Scores, rollouts: Rollouts) -> Tensor: ...


@dataclass(frozen=True)
class Batch:
    """One micro-batch as an objective sees it; every tensor is [n, T] unless said otherwise.

    logprobs   of the current policy, with gradient
    old        of the policy that is the denominator of the ratio (the sampler's, or the step's start)
    advantages one per token
    mask       True on tokens that count
    reference  of the frozen reference, where the objective asks for it
    entropy    of the current policy's next-token distribution, where asked for
    hidden     the states [n, T, d] of the current policy that predict the tokens, with gradient, by the names
               asked for; zero where nothing was to be predicted
    rows       [n] row numbers in the step's rollouts
    lengths    [n] number of counting tokens in the whole response that each row is, or is a segment of
    tokens     number of counting tokens in the whole step, over all micro-batches and processes
    sequences  number of counting responses in the whole step
    limit      the response length limit
    source     [n] where each row came from, as in the rollouts
    extras     the rollouts' per-token records of these rows
    whole      the same of all rows of the step, for denominators
    probe      [n] log-prob, with gradient, of the objective's `probe` token right after each response, where asked for
    """

    logprobs: Tensor
    old: Tensor
    advantages: Tensor
    mask: Tensor
    rows: Tensor
    lengths: Tensor
    tokens: int
    sequences: int
    limit: int
    reference: Tensor | None = None
    entropy: Tensor | None = None
    source: Sequence[str] = ()
    extras: Mapping[str, Any] = field(default_factory=dict)
    hidden: Mapping[str, Tensor] = field(default_factory=dict)
    whole: Mapping[str, Any] = field(default_factory=dict)
    probe: Tensor | None = None


@dataclass(frozen=True)
class Loss:
    """This micro-batch's share of the step's loss, and sums to be divided by the step's token count."""

    value: Tensor
    sums: Mapping[str, Tensor] = field(default_factory=dict)


class Objective(Protocol):
    """What the gradient is. Shares are normalised by the whole step, so cutting a step into
    micro-batches never changes the sum of their gradients."""

    @property
    def needs(self) -> frozenset[str]:
        """What it wants from the forward pass beyond log-probs: "reference", "entropy", "hidden:N" (as in
        `Sampling.record`), "probe" (the log-prob of one token after each response: the objective names it as `probe`,
        or with "" leaves it to the policy to find one that responses don't hold). Nothing else is computed."""
        ...

    def __call__(self, batch: Batch) -> Loss: ...


class Curriculum(Protocol):
    """What to try next."""

    def draw(self, n: int, progress: Progress) -> list[Problem]: ...

    def observe(self, problems: Sequence[Problem], scores: Scores) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class Judge(Protocol):
    """A scorer that is itself a model, updated alongside the policy.

    In every step it first judges, before credit is assigned, and then learns from what the rules said.
    """

    def judge(self, rollouts: Rollouts, scores: Scores, policy: Any) -> Scores:
        """The scores with its own opinion added: in the totals, in a part of its own, or per token in
        `scores.tokens` [N, T]."""
        ...

    def update(self, rollouts: Rollouts, scores: Scores) -> Mapping[str, float]: ...

    def examine(self, responses: Responses) -> Mapping[str, float]:
        """What its opinion is worth, by name, on the responses of an evaluation; empty if it gives none there."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class Context(Protocol):
    """What a rollout may use, as often as it likes."""

    progress: Progress
    policy: Any

    @property
    def sampling(self) -> Sampling:
        """How the recipe samples."""
        ...

    def frame(self, problem: Problem, member: int) -> Prompt: ...

    def sample(
        self,
        problems: Sequence[Problem],
        prompts: Sequence[Prompt],
        group: Sequence[int],
        member: Sequence[int],
        how: Sampling | None = None,
    ) -> Rollouts:
        """One response to each prompt, sampled as the recipe says unless `how` says otherwise."""
        ...

    def score(self, rollouts: Rollouts) -> Scores: ...

    def responses(self, rollouts: Rollouts) -> Responses:
        """The attempts as the rules see them."""
        ...
