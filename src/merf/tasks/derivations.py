"""Who follows the derivations of which task, and the checkers that take a few lines.

checker_for("dependency-graph").check(problem, response.thinking)
"""

from __future__ import annotations

import re
from collections.abc import Callable

from merf.core.problem import Problem
from merf.core.steps import Checked, CheckedStep, StepChecker, step_spans
from merf.tasks import load
from merf.tasks.two_hop import Universe, make_universe

CHECKERS: dict[str, str] = {
    "dependency-graph": "merf.tasks.dependency_steps:DependencySteps",
    "two-hop": "merf.tasks.derivations:FactSteps",
    "two-hop-search": "merf.tasks.derivations:FactSteps",
    "graded": "merf.tasks.derivations:CountSteps",
    "distractors": "merf.tasks.derivations:QuoteSteps",
}
"""Task names and the step checkers of their problems, as `module:class`."""


def checker_for(task: str) -> StepChecker | None:
    """The step checker of a task's problems, None where there is none."""
    if task not in CHECKERS:
        return None
    made: StepChecker = load(CHECKERS[task])()
    return made


Judged = tuple[bool | None, str, str]
"""Whether a step is right, what it establishes, what is wrong with it."""


def each_step(reasoning: str, judge: Callable[[str], Judged], needed: tuple[str, ...]) -> Checked:
    """Every sentence or line, judged by itself."""
    steps = [CheckedStep((start, end), *judge(reasoning[start:end].strip())) for start, end in step_spans(reasoning)]
    return Checked(tuple(steps), needed)


class FactSteps:
    """Two-hop questions: a step states a fact, `The mother of Dorel is Tufin.` Every fact of the chain is needed."""

    FACT = re.compile(r"(?:.*: )?(the (?:[a-z]+|home town) of [^.:]+?) is ([A-Z][a-z]+)\.?", re.IGNORECASE)

    def check(self, problem: Problem, reasoning: str) -> Checked:
        known = {fact.phrase: fact.value for fact in self.universe(problem).facts.values()}

        def judge(step: str) -> Judged:
            found = self.FACT.fullmatch(step[:400])
            if not found:
                return None, "", ""
            key = found[1][:1].lower() + found[1][1:]
            if key not in known:
                return False, "", "no such fact"
            if known[key] != found[2]:
                return False, key, f"{key} is not {found[2]}"
            return True, key, ""

        return each_step(reasoning, judge, tuple(fact.phrase for fact in problem.meta["facts"]))

    def reference(self, problem: Problem) -> str:
        return " ".join(fact.sentence() for fact in problem.meta["facts"])

    @staticmethod
    def universe(problem: Problem) -> Universe:
        return make_universe(*problem.meta["universe"])


class CountSteps:
    """Bags of balls: a step says how many balls are of a colour, `6 are red.`, or of which most are, `Most are red, 6
    of 10.` That last is needed."""

    COUNT = re.compile(r"(\d{1,3}) (?:is|are) ([a-z]+)\.?")
    MOST = re.compile(r"Most are ([a-z]+), (\d{1,3}) of (\d{1,3})\.?")

    def check(self, problem: Problem, reasoning: str) -> Checked:
        counts = problem.meta["counts"]

        def judge(step: str) -> Judged:
            if found := self.COUNT.fullmatch(step):
                right = counts.get(found[2]) == int(found[1])
                return right, found[2], "" if right else f"not {found[1]} are {found[2]}"
            if found := self.MOST.fullmatch(step):
                right = found[1] == problem.meta["best"] and int(found[2]) == counts[found[1]]
                right = right and int(found[3]) == sum(counts.values())
                return right, "most", "" if right else "another colour is the commonest, or by another number"
            return None, "", ""

        return each_step(reasoning, judge, ("most",))

    def reference(self, problem: Problem) -> str:
        counts, best = problem.meta["counts"], problem.meta["best"]
        said = [f"{count} {'is' if count == 1 else 'are'} {colour}." for colour, count in counts.items()]
        return " ".join([*said, f"Most are {best}, {counts[best]} of {sum(counts.values())}."])


class QuoteSteps:
    """Distractors: a step quotes a sentence of the context. Of sentences about a place, those that the context
    doesn't hold are wrong; the one that answers is needed."""

    PLACE = re.compile(r"(?:[A-Z][a-z ]+ )?[A-Z][a-z]+'s [a-z]+ (?:is|was) in the [a-z]+(?: today)?\.?")

    def check(self, problem: Problem, reasoning: str) -> Checked:
        said, evidence = problem.meta["sentences"], problem.meta["evidence"]

        def judge(step: str) -> Judged:
            if step == evidence:
                return True, "evidence", ""
            if step in said:
                return True, "", ""
            return (False, "", "the context doesn't say so") if self.PLACE.fullmatch(step[:200]) else (None, "", "")

        return each_step(reasoning, judge, ("evidence",))

    def reference(self, problem: Problem) -> str:
        return str(problem.meta["evidence"])
