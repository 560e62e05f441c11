"""Measuring what methods are said to achieve.

A claim names a world, some arms and a metric (`merf.methods.registry.Claim`). The world is a lab base, and the arms
method expressions, all trained as `claims.toml` says; or it is a shipped experiment, and the arms are that
experiment's. The arms of all claims about one world make one experiment, so an arm that several claims share is
trained once per seed. Verdicts come from differences paired by seed; only seeds below 1000 are ever reported, and
nothing is tuned on them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from merf.core.toml import read_toml
from merf.evaluate.statistics import Interval, paired
from merf.lab.bases import resolve
from merf.lab.card import WORTH_IT, Card
from merf.lab.experiment import SHIPPED, Arm, Experiment
from merf.methods.registry import Claim, Method
from merf.report.runs import RunRecord

Outcome = Literal["reproduced", "contradicted", "inconclusive", "no verdict", "not measured"]
FEWEST_SEEDS = 3
SETTING = Path(__file__).parent / "claims.toml"


@dataclass(frozen=True)
class Case:
    """One claim of one method."""

    method: Method
    number: int
    claim: Claim

    @property
    def name(self) -> str:
        return self.method.claim_names[self.number - 1]

    @property
    def arms(self) -> tuple[str, ...]:
        return (*self.claim.arms, *([self.claim.control] if self.claim.control else []))


@dataclass(frozen=True)
class Finding:
    """What came out: the difference of the claimed arm to its baseline, at the end of training and at equal sampled
    tokens, and the control arm's difference where there is one. `values` are what was compared, by arm, a value per
    seed."""

    case: Case
    outcome: Outcome
    difference: Interval
    at_equal_tokens: Interval
    control: Interval | None = None
    seeds: tuple[int, ...] = ()
    note: str = ""
    values: Mapping[str, Sequence[float]] = field(default_factory=dict)


def cases_of(methods: Iterable[Method]) -> list[Case]:
    return [Case(one, number, claim) for one in methods for number, claim in enumerate(one.claims, 1)]


def experiment_of(world: str, cases: Sequence[Case]) -> Experiment:
    """All arms that these claims about one world need. With a base for a world, half of every group is told the rules
    unless a method decides otherwise."""
    claims = [case for case in cases if case.claim.world == world]
    names = list(dict.fromkeys(arm for case in claims for arm in case.arms))
    shipped = SHIPPED / f"{world}.toml"
    if shipped.exists():
        return Experiment.load(shipped).only(names)
    settings = read_toml(SETTING)["options"]
    arms = tuple(Arm(name, {"methods": [name]}) for name in names)
    return Experiment(f"Claims in {world}", "", {**settings, "model": f"lab:{world}"}, arms)


def worlds_of(cases: Sequence[Case]) -> list[str]:
    return list(dict.fromkeys(case.claim.world for case in cases))


def base_of(experiment: Experiment) -> str:
    """The base model that the experiment's first arm starts from."""
    return experiment.options(experiment.arms[0], 0).model


def pays(model: str) -> float:
    """By how much the rewarded behaviour pays for a base model: work against guessing."""
    card = Card.load(Path(resolve(model)) / "card.json")
    return card.pays[card.level]


def value(run: RunRecord, metric: str) -> float:
    """What a claim compares of one run.

    "accuracy" or "told:pass@8" are evaluations at the end of training, asked without the rules unless it says "told";
    "gap" is told less bare. "start:" takes the evaluation before training instead, "average:" the mean over training
    (the area under the curve). "training:" and "late:" are means of a training metric, over all steps or the second
    half of them.
    """
    *how, name = metric.split(":")
    if unknown := set(how) - {"bare", "told", "gap", "start", "average", "training", "late"}:
        raise ValueError(f"{metric!r}: {sorted(unknown)[0]!r} is no way to read a metric")
    if "training" in how or "late" in how:
        steps = run.steps[len(run.steps) // 2 if "late" in how else 0 :]
        return float(np.mean([step[name] for step in steps]))
    read = run.first if "start" in how else run.average if "average" in how else run.final
    if "gap" in how:
        return read("told", name) - read("bare", name)
    return read("told" if "told" in how else "bare", name)


def at_the_end(metric: str) -> bool:
    """Whether the metric is an evaluation at the end of training, so that it has a value at equal tokens."""
    return set(metric.split(":")[:-1]) <= {"bare", "told"}


def within(run: RunRecord, metric: str, tokens: float) -> float:
    """The metric when `tokens` tokens had been sampled in training, on straight lines between evaluations: few runs
    have one just there, and the last before it may be the one before training."""
    mode, _, name = metric.rpartition(":")
    spent = {step["step"] + 1: step["num_tokens"] for step in run.steps}
    curve = run.curve(mode or "bare", name)
    at = [float(spent.get(step, 0)) for step, _ in curve]
    return float(np.interp(tokens, at, [value for _, value in curve])) if curve else float("nan")


def measure(case: Case, runs: dict[str, dict[int, RunRecord]], world_pays: float) -> Finding:
    """Compare the claim's arms over the seeds that all of them finished. `runs` holds finished runs by arm and seed.
    A claim about a single arm compares its metric with zero."""
    claim = case.claim
    nothing = Interval(math.nan, math.nan, math.nan, 0)
    trained = set.intersection(*(set(runs.get(arm, {})) for arm in case.arms))
    seeds = sorted(seed for seed in trained if seed >= claim.from_seed)
    later = f"seeds from {claim.from_seed}, which nobody had seen when it was written down" if claim.from_seed else ""
    if len(seeds) < FEWEST_SEEDS:
        note = f"{len(seeds)} of at least {FEWEST_SEEDS} {later or 'seeds'}"
        return Finding(case, "not measured", nothing, nothing, None, tuple(seeds), note)
    first, last = runs[claim.arms[0]], runs[claim.arms[-1]]
    alone = len(claim.arms) == 1

    def difference(arm: dict[int, RunRecord]) -> Interval:
        baseline = [0.0 if alone else value(first[s], claim.metric) for s in seeds]
        return paired([value(arm[s], claim.metric) for s in seeds], baseline)

    equal = nothing
    if at_the_end(claim.metric) and not alone:
        ours, theirs = [], []
        for seed in seeds:
            budget = min(first[seed].steps[-1]["num_tokens"], last[seed].steps[-1]["num_tokens"])
            ours.append(within(last[seed], claim.metric, budget))
            theirs.append(within(first[seed], claim.metric, budget))
        equal = paired(ours, theirs)
    found = at_start(first[seeds[0]], claim.metric) if claim.metric.startswith("start:") else difference(last)
    control = difference(runs[claim.control]) if claim.control else None
    outcome, note = verdict(found, claim)
    if claim.by_work and world_pays < WORTH_IT:
        outcome, note = "no verdict", f"the rewarded behaviour pays only {world_pays:+.2f} for this base"
    elif control is not None and outcome == "reproduced" and verdict(control, claim)[0] == "reproduced":
        note = "the control shows it too"
    note = "; ".join(filter(None, (later, note)))
    values = {arm: [value(runs[arm][s], claim.metric) for s in seeds] for arm in case.arms}
    return Finding(case, outcome, found, equal, control, tuple(seeds), note, values)


def at_start(run: RunRecord, metric: str) -> Interval:
    """A share before training, with its normal 95 % interval over problems. All seeds ask one untrained base the same
    problems with the same noise, so that seeds say nothing of how certain it is."""
    modes = ("told", "bare") if "gap" in metric else ("told",) if "told" in metric else ("bare",)
    reach = 1.96 * math.hypot(*(run.first(mode, "standard_error") for mode in modes))
    mean = value(run, metric)
    return Interval(mean, mean - reach, mean + reach, 1)


def verdict(found: Interval, claim: Claim) -> tuple[Outcome, str]:
    """Reproduced where the 95 % interval lies on the claimed side, contradicted where it lies on the other."""
    if not math.isfinite(found.low):
        return "not measured", "no interval"
    if claim.expect == "=":
        if -claim.margin <= found.low and found.high <= claim.margin:
            return "reproduced", ""
        if found.low > claim.margin or found.high < -claim.margin:
            return "contradicted", ""
        return "inconclusive", seeds_needed(found, claim.margin - abs(found.mean))
    sign = 1 if claim.expect == ">" else -1
    if min(sign * found.low, sign * found.high) > 0:
        return "reproduced", ""
    if max(sign * found.low, sign * found.high) < 0:
        return "contradicted", ""
    return "inconclusive", seeds_needed(found, abs(found.mean))


def seeds_needed(found: Interval, distance: float) -> str:
    """How many seeds would shrink the interval's half-width to `distance`, if the spread stays what it is."""
    half = (found.high - found.low) / 2
    if distance <= 0 or half <= 0:
        return ""
    needed = math.ceil(found.n * (half / distance) ** 2)
    return f"about {needed} seeds would decide" if needed < 1000 else "an effect of this size is out of reach"


def as_numbers(finding: Finding) -> dict[str, Any]:
    """A finding as plain values."""
    claim = finding.case.claim

    def plain(interval: Interval | None) -> list[float] | None:
        if interval is None or not np.isfinite(interval.mean):
            return None
        return [round(value, 6) for value in (interval.mean, interval.low, interval.high)]

    return {
        "claim": finding.case.name,
        "says": claim.says,
        "paper": finding.case.method.paper,
        "world": claim.world,
        "arms": list(claim.arms),
        "metric": claim.metric,
        "expect": claim.expect,
        "margin": claim.margin,
        "outcome": finding.outcome,
        "difference": plain(finding.difference),
        "at_equal_tokens": plain(finding.at_equal_tokens),
        "control": plain(finding.control),
        "seeds": list(finding.seeds),
        "note": finding.note,
        "values": {arm: [round(float(one), 4) for one in values] for arm, values in finding.values.items()},
    }
