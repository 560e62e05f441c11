"""Rules that ask the model being trained: what it finds likely, and how sure it was when it wrote.

They can be applied where there is such a model and it has recorded the response's tokens; elsewhere they are NaN.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from merf.core.problem import Message, Problem
from merf.core.response import Array, Likelihood, Response, Responses
from merf.rules.rule import Rule
from merf.rules.wording import Style, pick, plain

Model = Literal["policy", "reference"]
Mean = Literal["product", "mean", "geometric", "log", "mean-log"]
MEANS: dict[str, str] = {
    "product": "the product of the probabilities",
    "mean": "the mean of the probabilities",
    "geometric": "the geometric mean of the probabilities",
    "log": "the sum of the log-probabilities",
    "mean-log": "the mean of the log-probabilities",
}
MARK = "\x00"


def reference_text(problem: Problem) -> str | None:
    """The recorded right answer as text: the answer itself where it is one, or else the solution."""
    stored = problem.answer[0] if isinstance(problem.answer, list | tuple) and problem.answer else problem.answer
    text = stored if isinstance(stored, str) else problem.meta.get("solution")
    return text if isinstance(text, str) and text else None


def answer_place(response: Response) -> int | None:
    """Where in the text the final answer begins: the last place where other text would be read as the answer."""
    text, answer = response.text, response.answer
    place = text.rfind(answer) if answer else -1
    while answer and place >= 0:
        if response.layout.parse(text[:place] + MARK + text[place + len(answer) :]).answer == MARK:
            return place
        place = text.rfind(answer, 0, place + len(answer) - 1)
    return None


def tokens_around(response: Response, start: int, end: int, model: Likelihood) -> tuple[int, int]:
    """How many of the response's tokens end by character `start` of its text, and how many begin before `end`."""
    ids = response.extras["ids"]
    opening = opening_length(response, model)

    def reached(count: int) -> int:
        return opening + len(model.decode(ids[:count]))

    counts = range(len(ids) + 1)
    return max(bisect_right(counts, start, key=reached) - 1, 0), min(bisect_left(counts, end, key=reached), len(ids))


def opening_length(response: Response, model: Likelihood) -> int:
    """Characters at the start of the text that the model was given and didn't write."""
    return max(len(response.text) - len(model.decode(response.extras["ids"])), 0)


@dataclass(frozen=True)
class ReferenceLikelihood(Rule):
    """How likely the model finds the problem's reference answer y* where the response gives its own.

    p_t = π(y*_t | x, z, y*_<t), z being the response up to its final answer; with `reasoning=False` z is the bare
    layout, so that nothing but the question helps. With `model="reference"` π is the model before training.

    "product"    Π p_t                 VeriFree (arXiv 2505.21493)
    "mean"       1/L Σ p_t             RLPR (arXiv 2506.18254)
    "geometric"  exp(1/L Σ log p_t)    NOVER (arXiv 2505.16022)
    "log"        Σ log p_t             JEPO (arXiv 2503.19618); not below `floor`
    "mean-log"   1/L Σ log p_t         arXiv 2602.03979; not below `floor`

    A response without a final answer gets the least there is: 0, or the floor.
    """

    of: Mean = "mean"
    reasoning: bool = True
    model: Model = "policy"
    floor: float = -50.0

    name: ClassVar[str] = "reference-likelihood"
    label: ClassVar[str] = "Reference likelihood"

    def check(self) -> None:
        if self.of not in MEANS:
            raise ValueError(f"of={self.of!r}: choose one of {', '.join(MEANS)}")
        if self.model not in ("policy", "reference"):
            raise ValueError(f"model={self.model!r}: ask the 'policy' or the 'reference'")
        if self.floor >= 0:
            raise ValueError(f"floor={plain(self.floor)}: log-probabilities are negative, and so is their floor")

    def context(self, response: Response, model: Likelihood) -> list[int] | None:
        """Token ids of everything before the answer; None where the response has no place for one."""
        prompt, ids = list(response.extras["prompt_ids"]), response.extras["ids"]
        if not self.reasoning:
            before = response.layout.render("", MARK).partition(MARK)[0]
            return prompt + model.tokenize(before.removeprefix(response.text[: opening_length(response, model)]))
        place = answer_place(response)
        if place is None:
            return None
        whole, _ = tokens_around(response, place, place, model)
        written = opening_length(response, model) + len(model.decode(ids[:whole]))
        return [*prompt, *ids[:whole], *model.tokenize(response.text[written:place])]

    def together(self, logprobs: Array) -> float:
        match self.of:
            case "product":
                value = np.exp(logprobs.sum())
            case "mean":
                value = np.exp(logprobs).mean()
            case "geometric":
                value = np.exp(logprobs.mean())
            case "log":
                value = logprobs.sum()
            case _:
                value = logprobs.mean()
        low, high = self.range
        return float(np.clip(value, low, high))

    def score(self, responses: Responses) -> Array:
        out, model = np.full(len(responses), np.nan), responses.likelihood
        if model is None:
            return out
        rows, contexts, references = [], [], []
        for i, response in enumerate(responses):
            reference = reference_text(response.problem)
            if reference is None or "ids" not in response.extras:
                continue
            out[i] = self.range[0]
            context = self.context(response, model)
            if context is not None:
                rows.append(i)
                contexts.append(context)
                references.append(model.tokenize(reference))
        for i, logprobs in zip(rows, model.logprobs(contexts, references, self.model), strict=True):
            out[i] = self.together(logprobs)
        return out

    @property
    def range(self) -> tuple[float, float]:
        return (self.floor, 0.0) if "log" in self.of else (0.0, 1.0)

    def statement(self, style: Style, wording: int) -> str:
        who = "the model before training" if self.model == "reference" else "the model"
        where = "after the reasoning" if self.reasoning else "right after the question"
        least = plain(self.range[0])
        bounded = "log" in self.of
        if style == "terse":
            return f"{self.of} likelihood of the reference answer {where} to {who}{f', at least {least}' * bounded}"
        if style == "story":
            return f"the likelier {who} finds the reference answer {where}, the more is earned, from {least} points up"
        missing = ""
        if self.reasoning:
            where, missing = "in the place of the response's own final answer", f"; {least} if there is no such answer"
        else:
            where = "right after the question, without any reasoning"
        bound = f", no less than {least}" if bounded else ""
        return pick(
            wording,
            f"{MEANS[self.of]} that {who} gives the tokens of the reference answer {where}{bound}{missing}",
            f"for the reference answer {where}, {MEANS[self.of]} of its tokens according to {who}{bound}{missing}",
        )


@dataclass(frozen=True)
class SelfAligned(Rule):
    """By how much the question makes the response likelier (SAR, arXiv 2509.05489):

        R = clip(1 − ppl(a | q) / ppl(a), −1, 1) = clip(1 − exp(−mean_j v_j), −1, 1),
        v_j = log π(a_j | q, a_<j) − log π(a_j | a_<j)

    Without the question, the conversation is empty. Repetitions and filler are as likely without it and dilute the
    mean. Not to be used alone: very short guesses then pay best.
    """

    name: ClassVar[str] = "self-aligned"
    label: ClassVar[str] = "Fit to the question"

    def score(self, responses: Responses) -> Array:
        out, model = np.full(len(responses), np.nan), responses.likelihood
        rows = [i for i, response in enumerate(responses) if response.extras.get("ids")]
        if model is None or not rows:
            return out
        nothing = model.prompt((Message(role="user", content=""),))
        alone = model.logprobs([nothing] * len(rows), [responses[i].extras["ids"] for i in rows], "policy")
        for i, without in zip(rows, alone, strict=True):
            gain = float(np.mean(np.asarray(responses[i].extras["logprobs"], np.float64) - without))
            out[i] = np.clip(-np.expm1(-max(gain, -1.0)), -1.0, 1.0)
        return out

    @property
    def range(self) -> tuple[float, float]:
        return -1.0, 1.0

    def statement(self, style: Style, wording: int) -> str:
        if style == "terse":
            return "1 - perplexity with the question / perplexity without it, -1 to 1"
        if style == "story":
            return (
                "a response that only this question explains, without filler, earns up to 1 point, any other down to -1"
            )
        return pick(
            wording,
            "1 - (the response's perplexity given the question / its perplexity without the question), from -1 to 1",
            "the share by which knowing the question lowers the response's perplexity, between -1 and 1",
        )


@dataclass(frozen=True)
class Hesitation(Rule):
    """How unsure the policy was of its tokens while thinking, beyond what it was while answering (PEAR, arXiv
    2510.08026):

        P = max(0, H_think − tolerance · H_answer), at most `most`

    H are mean entropies in nats of the next-token distributions before and after the first `closing`, whose own
    tokens don't count. Without it everything is thinking, and H_answer is 0. No distribution over fewer than 160,000
    tokens has an entropy above 12.
    """

    tolerance: float = 1.0
    most: float = 12.0
    closing: str = "</think>"

    name: ClassVar[str] = "hesitation"
    label: ClassVar[str] = "Hesitation"

    def check(self) -> None:
        if self.most <= 0:
            raise ValueError(f"most={plain(self.most)}: entropies are positive, in nats; 12 is above all that occur")
        if not self.closing.strip():
            raise ValueError("closing='': name the text that ends the thinking, such as </think>")

    def pay(self, response: Response, model: Likelihood) -> float:
        entropy = np.asarray(response.extras["entropy"], np.float64)
        start = response.text.find(self.closing)
        before, after = len(entropy), len(entropy)
        if start >= 0:
            before, after = tokens_around(response, start, start + len(self.closing), model)
        think, answer = (float(part.mean()) if len(part) else 0.0 for part in (entropy[:before], entropy[after:]))
        return float(np.clip(think - self.tolerance * answer, 0.0, self.most))

    def score(self, responses: Responses) -> Array:
        model = responses.likelihood
        return np.array(
            [np.nan if model is None or "entropy" not in r.extras else self.pay(r, model) for r in responses],
            np.float64,
        )

    @property
    def range(self) -> tuple[float, float]:
        return 0.0, self.most

    def statement(self, style: Style, wording: int) -> str:
        factor, most = plain(self.tolerance), plain(self.most)
        if style == "terse":
            return f"mean entropy before {self.closing} - {factor} x after it, 0 to {most} nats"
        if style == "story":
            return (
                f"being less sure of one's words before {self.closing} than {factor} times how unsure one is after it "
                f"counts, from 0 to {most} points"
            )
        return pick(
            wording,
            f"the mean entropy, in nats, of the words' distributions before {self.closing} minus {factor} times that "
            f"after it, from 0 to {most}",
            f"mean uncertainty (entropy in nats) up to {self.closing}, less {factor} times that of what follows, kept "
            f"between 0 and {most}",
        )
