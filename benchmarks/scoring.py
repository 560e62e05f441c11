"""Scoring throughput: our scorer against TRL's reward function and verl's naive manager, on the same completions.

Mathematics is judged by math-verify in all three. TRL's `accuracy_reward` is called once per group of eight, as
`GRPOTrainer` calls it; verl's naive manager scores one response after the other, each with a fresh metric, as its
`math_verify` scorer does (the pattern is written out here; verl itself needs a GPU machine's environment). Ours is a
rulebook with `Correct`, in worker processes. As in training, a group has a few distinct answers, so that some of them
occur twice; ours compares those once. Contestants take turns, every round brings completions none has seen, and
the share of responses on which they agree is reported beside the times. Processor time, summed over all processes, is
reported as well: it means something on a busy machine too.

    python benchmarks/scoring.py [--workers 2] [--rounds 5] [--questions 60]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from common import machine, median, publish, show, spread

from merf import Boxed, Concise, Correct, Format, NoRepetition, Problem, Response, Responses, Rulebook, Script
from merf.rules.score_file import prepared
from merf.rules.scoring import Scorer
from merf.tasks.answers import answers_named

GROUP = 8
MATH = Rulebook(Correct(right=1, wrong=0, unreadable=0))
TEXT = Rulebook(Format(), Concise(words=120), NoRepetition(), Script())

Question = tuple[str, list[str]]
"""A gold answer, and answers to draw from: right ones in several forms, then wrong ones."""


def whole_number(rng: Random) -> Question:
    n = rng.randrange(10, 100_000)
    return str(n), [str(n), f"{n:,}", f"{n}.0", str(n), str(n + rng.randrange(1, 9)), str(n * 2), str(n // 2)]


def formula(rng: Random) -> Question:
    a, b, c, d = (rng.randrange(2, 60) for _ in range(4))
    kinds: tuple[Question, ...] = (
        (
            rf"\frac{{{a}}}{{{a + b}}}",
            [rf"\dfrac{{{2 * a}}}{{{2 * (a + b)}}}", f"{a}/{a + b}", rf"\frac{{{b}}}{{{a + b}}}"],
        ),
        (rf"{a}\sqrt{{{b}}}", [rf"\sqrt{{{a * a * b}}}", rf"{a}\sqrt{{{b}}}", rf"{b}\sqrt{{{a}}}"]),
        (rf"x^2+{a}x+{b}", [rf"x^2 + {a}x + {b}", rf"{b}+{a}x+x^2", rf"x^2-{a}x+{b}", rf"x^2+{b}x+{a}"]),
        (rf"[{a},{a + b})", [rf"[{a}, {a + b})", rf"\left[{a},{a + b}\right)", rf"({a},{a + b})", rf"[{a},{a + b}]"]),
        (rf"({a},{b},{c})", [rf"({a}, {b}, {c})", rf"\left({a},{b},{c}\right)", rf"({b},{a},{c})"]),
        (rf"\{{{a},{a + b},{a + b + c}\}}", [rf"\{{{a + b},{a},{a + b + c}\}}", rf"\{{{a},{a + b}\}}"]),
        (
            rf"\begin{{pmatrix}}{a}&{b}\\{c}&{d}\end{{pmatrix}}",
            [
                rf"\begin{{pmatrix}} {a} & {b} \\ {c} & {d} \end{{pmatrix}}",
                rf"\begin{{pmatrix}}{a}&{c}\\{b}&{d}\end{{pmatrix}}",
            ],
        ),
        (rf"\frac{{{a}\pi}}{{{b}}}", [rf"\frac{{{2 * a}\pi}}{{{2 * b}}}", rf"{a}\pi/{b}", rf"\frac{{{b}\pi}}{{{a}}}"]),
        (rf"{a}e^{{{b}}}", [rf"{a} e^{{{b}}}", rf"e^{{{b}}}\cdot {a}", rf"{b}e^{{{a}}}"]),
    )
    return rng.choice(kinds)


WORK = (
    "First I write down what is known: $a_{%d} = %d$ and $b = %d$.",
    "Substituting gives $%d \\cdot %d = %d$, so the sum is smaller than it seems.",
    "By symmetry the cases $x = %d$ and $x = -%d$ count once each, %d in all.",
    "Let us check the bound: $\\frac{%d}{%d} < %d$ holds.",
    "Then I divide both sides by %d and by %d, which leaves %d.",
)


def completions(questions: int, kind: Callable[[Random], Question], rng: Random) -> tuple[list[str], list[str]]:
    """Gold answers and completions, a group at a time; a fifteenth of the completions has no answer."""
    golds, texts = [], []
    for _ in range(questions):
        gold, answers = kind(rng)
        for _ in range(GROUP):
            numbers = [[rng.randrange(2, 999) for _ in range(3)] for _ in range(rng.randrange(4, 10))]
            work = " ".join(rng.choice(WORK) % tuple(three) for three in numbers)
            end = rf"The answer is $\boxed{{{rng.choice(answers)}}}$." if rng.randrange(15) else "I don't know."
            golds.append(gold)
            texts.append(f"{work}\n{end}")
    return golds, texts


def by_trl(golds: list[str], texts: list[str]) -> list[float | None]:
    from trl.rewards import accuracy_reward

    rewards: list[float | None] = []
    for start in range(0, len(texts), GROUP):
        group = [[{"role": "assistant", "content": text}] for text in texts[start : start + GROUP]]
        rewards += accuracy_reward(group, [f"${gold}$" for gold in golds[start : start + GROUP]])
    return rewards


def by_verl(golds: list[str], texts: list[str]) -> list[float | None]:
    from math_verify.errors import TimeoutException
    from math_verify.metric import math_metric
    from math_verify.parser import ExprExtractionConfig, LatexExtractionConfig

    rewards: list[float | None] = []
    for gold, text in zip(golds, texts, strict=True):
        metric = math_metric(
            gold_extraction_target=(LatexExtractionConfig(),),
            pred_extraction_target=(ExprExtractionConfig(), LatexExtractionConfig()),
        )
        try:
            rewards.append(float(metric([rf"\boxed{{{gold}}}"], [text])[0]))
        except (Exception, TimeoutException):
            rewards.append(0.0)
    return rewards


def responses(golds: list[str], texts: list[str]) -> Responses:
    verify = answers_named("math").verify
    items = [
        Response(Problem(f"question {i // GROUP}", answer=gold), text, member=i % GROUP, layout=Boxed(), verify=verify)
        for i, (gold, text) in enumerate(zip(golds, texts, strict=True))
    ]
    return Responses.of(items, [i // GROUP for i in range(len(items))])


def processor_time() -> float:
    """Seconds of processor time of this process and its children so far (Linux)."""
    children = " ".join(path.read_text() for path in Path("/proc/self/task").glob("*/children"))
    # What clock_getcpuclockid(3) gives for a process, which Python doesn't offer.
    return time.process_time() + sum(time.clock_gettime((~int(pid) << 3) | 2) for pid in children.split())


def compare(kind: Callable[[Random], Question], rounds: int, questions: int, workers: int) -> dict[str, Any]:
    """Of each contestant in each round: responses per minute and milliseconds of processor time per response; and
    how often the others agree with ours."""
    with Scorer(MATH, workers=1) as alone, Scorer(MATH, workers=workers) as several:
        contestants: dict[str, Callable[[list[str], list[str]], list[float | None]]] = {
            "TRL": by_trl,
            "verl's pattern": by_verl,
            "ours, 1 worker": lambda golds, texts: paid(alone, golds, texts),
            f"ours, {workers} workers": lambda golds, texts: paid(several, golds, texts),
        }
        rates: dict[str, list[float]] = {name: [] for name in contestants}
        spent: dict[str, list[float]] = {name: [] for name in contestants}
        agreed: dict[str, list[bool]] = {name: [] for name in contestants}
        for round_ in range(-1, rounds):
            # The first round warms everything up. Ours would otherwise meet in the second turn what it cached in the
            # first, so the two of ours get texts of their own from the same source.
            rng = Random(f"round {round_}")  # numbers won't do: -1 and 1 are the same seed
            same = completions(questions, kind, rng)
            other = completions(questions, kind, rng)
            order = [*contestants][round_ % len(contestants) :] + [*contestants][: round_ % len(contestants)]
            found = {}
            for name in order:
                golds, texts = other if name == "ours, 1 worker" else same
                began, used = time.perf_counter(), processor_time()
                found[name] = contestants[name](golds, texts)
                rates[name].append(60 * len(texts) / (time.perf_counter() - began))
                spent[name].append(1000 * (processor_time() - used) / len(texts))
            ours = found[f"ours, {workers} workers"]
            for name in ("TRL", "verl's pattern"):
                agreed[name] += [a == b for a, b in zip(found[name], ours, strict=True)]
    return {
        "per minute": {name: values[1:] for name, values in rates.items()},
        "processor ms": {name: values[1:] for name, values in spent.items()},
        "agreement": {name: float(np.mean(values)) for name, values in agreed.items() if values},
    }


def paid(scorer: Scorer, golds: list[str], texts: list[str]) -> list[float | None]:
    return [None if np.isnan(total) else float(total) for total in scorer.score(responses(golds, texts)).total]


def text_rules(rounds: int, questions: int, workers: int) -> dict[str, list[float]]:
    """Responses per minute of a rulebook of pure text rules: called plainly, in workers, and as a file."""
    rates: dict[str, list[float]] = {"in this process": [], f"{workers} workers": [], "merf score": []}
    with Scorer(TEXT, workers=workers) as scorer, tempfile.TemporaryDirectory() as folder:
        for round_ in range(rounds + 1):
            golds, texts = completions(questions, whole_number, Random(1000 + round_))
            texts = [f"<think>{text}</think><answer>{gold}</answer>" for gold, text in zip(golds, texts, strict=True)]
            batch = Responses.of(
                [Response(Problem("?"), text, member=i % GROUP) for i, text in enumerate(texts)],
                [i // GROUP for i in range(len(texts))],
            )
            source = Path(folder) / f"{round_}.jsonl"
            rows = ({"uid": i // GROUP, "completion": text} for i, text in enumerate(texts))
            source.write_text("".join(json.dumps(row) + "\n" for row in rows))
            job = prepared(TEXT, source, source.with_suffix(".scored"), workers=workers)
            contestants = (lambda b=batch: TEXT.score(b), lambda b=batch: scorer.score(b), job.run)
            for name, score in zip(rates, contestants, strict=True):
                began = time.perf_counter()
                score()
                rates[name].append(60 * len(texts) / (time.perf_counter() - began))
    return {name: values[1:] for name, values in rates.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--questions", type=int, default=60, help="questions per round, eight completions each")
    parser.add_argument("--texts", type=int, default=2500, help="the same for text rules")
    asked = parser.parse_args()
    if find_spec("trl") is None:
        raise SystemExit("this compares with TRL: pip install 'merf[trl]'")

    # What math-verify has to say of every text it can't read would cost the others time.
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    before = os.getloadavg()
    kinds = {"whole numbers": whole_number, "formulas": formula}
    math = {}
    for name, kind in kinds.items():
        print(f"{name}: {asked.rounds} rounds", file=sys.stderr)
        math[name] = compare(kind, asked.rounds, asked.questions, asked.workers)
    print("text rules", file=sys.stderr)
    text = text_rules(asked.rounds, asked.texts, asked.workers)
    ratios: dict[str, dict[str, list[float]]] = {}
    rows = []
    for kind, found in math.items():
        rates = found["per minute"]
        ours = rates[f"ours, {asked.workers} workers"]
        ratios[kind] = {}
        for name, values in rates.items():
            ratio = ""
            if name in found["agreement"]:
                ratios[kind][name] = [a / b for a, b in zip(ours, values, strict=True)]
                ratio = spread(ratios[kind][name], 1)
            agreement = f"{found['agreement'][name]:.1%}" if name in found["agreement"] else ""
            used = f"{median(found['processor ms'][name]):.2f}"
            rows.append([f"{kind}: {name}", f"{median(values):,.0f}", ratio, used, agreement])
    rows += [[f"text rules: {name}", f"{median(values):,.0f}", "", "", ""] for name, values in text.items()]
    header = ["", "per minute", "ours is so many times faster", "processor ms per response", "same verdict"]
    show("Responses scored", header, rows)
    publish(
        "scoring",
        {
            "machine": machine(1),
            "load": {"before": before, "after": os.getloadavg()},
            "asked": vars(asked),
            "mathematics": math,
            "ratios": ratios,
            "text rules": text,
        },
    )


if __name__ == "__main__":
    main()
