"""Writes docs/rules.md: every rule and operation with its formula, its sentence and what it pays.

    python -m merf.rules.gallery

Sentences, ranges, scores, parameters and error messages come from the code when the page is made, so the
page can't say anything that isn't so.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from merf.core.problem import Problem
from merf.core.progress import Progress
from merf.core.response import Response, Responses, Verdict
from merf.rules.form import RULES, VERBS
from merf.rules.python import Evaluator
from merf.rules.rule import Rule
from merf.rules.rulebook import Rulebook
from merf.rules.steps import StepRule
from merf.rules.wording import plain

PAGE = Path(__file__).parents[3] / "docs" / "rules.md"

INTRO = """# Rules that speak

A reward here does two things: it **scores** a response, and it **says in words** how it scores. Both come from the
same object, and every operation on a rule changes the number and the sentence together. So what a model is told
and what it is paid can't drift apart, whatever you build.

```python
{example}```

```text
{output}```

A *rule* looks at a response: is the answer right, is it short, does it keep the layout? An *operation* takes a rule
and makes another one: weighted, gated, clipped, ranked within the group. A *rulebook* adds up named rules. They
read from left to right in the order in which the score is computed, and so does the sentence:

| you write | the model reads |
|---|---|
{order}

## The four responses used on this page

The question is *{question}* Everything below is scored on these four answers to it, as one group.

| | response | |
|---|---|---|
{cast}

Under each rule stand its formula, the sentence of the `full` style, the scores of the four in this order, and the
range that a score can never leave. `—` means *no score*: not applicable, or the verifier failed. Such a response is
left out of means and advantages; it is never turned into 0. There are two more styles, `terse` and `story`, and
several wordings of each (`describe(style, wording)`), because wording is something to experiment with.

"""

EXAMPLE = '''\
from merf import Concise, Correct, Rulebook, rule


@rule(low=0, high=1)
def shows_sum(text: str) -> bool:
    """The reasoning writes the sum out, with a plus sign."""
    return "+" in text


book = Rulebook(Correct(right=2, wrong=-1, unreadable=-2), Concise(words=20).only_if(Correct()), 0.5 * shows_sum)
print(book.describe())
print(book.range)
'''

QUESTION = "Ann has 3 apples and buys 4. How many has she?"
META = {
    "reference_scores": [0.5],
    "explanation": "She has 3. She buys 4. So she has 3 + 4 = 7 apples.",
    "facts": ["3", "4", "7", "apples"],
}


def verify(problem: Problem, answer: str) -> Verdict:
    return Verdict(correct=answer == problem.answer)


def said(text: str, member: int) -> Response:
    problem = Problem(QUESTION, answer="7", id="apples", meta=META)
    return Response(problem, text, tokens=2 * len(text.split()), member=member, verify=verify)


CAST = (
    ("right and brief", "<think>She has 3. She buys 4. 3 + 4 = 7. <verdict>right</verdict></think><answer>7</answer>"),
    (
        "right, long-winded",
        "<think>She has 3 apples. She has 3 apples and buys 4 apples. So it may be 7. It may be 6, but no. I think "
        "that it is 7 apples.</think><answer>7</answer>",
    ),
    ("wrong, and sure", "<think>She buys 4, twice 4 is 8. <confidence>0.9</confidence></think><answer>8</answer>"),
    ("no tags, and a Russian word", "It is 7, да."),
)


@dataclass(frozen=True)
class Entry:
    """One rule or operation of the page: Python that makes an example, its formula, and a remark."""

    code: str
    formula: str
    remark: str = ""
    scored: bool = True


RULE_ENTRIES: dict[str, tuple[Entry, ...]] = {
    "Being right": (
        Entry(
            "Correct(right=2, wrong=-1.5, unreadable=-2)",
            "one of three numbers, by the task's verdict on the final answer",
            "The reward of Logic-RL and MeRF. A broken layout makes the answer unreadable, so a wrong format never "
            "earns a right answer's reward.",
        ),
        Entry(
            "SaysWhetherRight(agrees=1, differs=0, missing=0)",
            "1[declared verdict = truth]",
            'About the own answer, or with `about="key"` about a shown solution whose truth is in '
            '`problem.meta["key"]` (Critique-Coder, Critique-RL). An admitted error is paid like a claimed success, '
            "so add `Correct`, or gate it.",
        ),
        Entry(
            "Calibrated()",
            "−(q − c)², q the stated confidence, c = 1[right]",
            "RLCR is `Correct(1, 0, 0) + Calibrated()`. The tag may stand anywhere in the response, once; the layout "
            "`ThinkAnswerConfidence` has a place for it.",
        ),
    ),
    "Keeping to a form": (
        Entry(
            'Format(good=1, bad=-1, layout="think-answer")',
            "1[layout kept] · good + 1[layout broken] · bad",
            "Layouts: `think-answer`, `think-answer-confidence`, `boxed`, `final-line`, `plain`, or one of your own.",
        ),
        Entry(
            'JsonFormat({"type": "integer"})',
            "good where the passage is JSON that fits the schema, bad elsewhere",
            "The schema may be a dict or JSON text. References to other files are refused.",
        ),
        Entry(
            r'Matches("[0-9]+", "the final answer is a whole number")',
            "good where the passage matches the pattern from end to end, bad elsewhere",
            "The description is required. A pattern that backtracks for ever is stopped after a second: no score.",
        ),
    ),
    "Length": (
        Entry("Concise(words=20, within=0.5, over=-0.5)", "within if words ≤ 20, over if more"),
        Entry(
            "Overlong(limit=60, band=20)",
            "clip((limit − band − L) / band, −1, 0), L in tokens",
            "DAPO's soft punishment of responses near the length limit.",
        ),
        Entry(
            "Brevity()",
            "σ(−z), z = (L − mean) / std over the right answers of the group; 0 for other answers",
            "GRPO-λ's length term, as a bonus. It sets no target length: the group does.",
        ),
        Entry(
            'Brevity(shape="span")',
            "(L_max − L) / (L_max − L_min) over the right answers of the group; 0 for other answers",
            "SER-RL's form of the same idea.",
        ),
    ),
    "Steps and language": (
        Entry(
            "Steps(least=2, shown=0.5, missing=-0.5)", "shown if the reasoning has ≥ 2 sentences or lines, else missing"
        ),
        Entry(
            "FreshSteps(most=10)",
            "Σ_k |words of step k that no earlier step used| / |words of step k|",
            "A rule that scores single steps. A process reward model is another: subclass `StepRule`.",
        ),
        Entry("NoRepetition(n=2)", "−(1 − distinct n-grams / n-grams)"),
        Entry(
            'Script(("Latin",))', "−(letters outside the scripts / letters)", "Catches mixed languages and look-alikes."
        ),
    ),
    "Partial credit": (
        Entry("Overlap()", "F1 = 2pr / (p + r) over words", "Of several reference answers the closest counts."),
        Entry(
            'Overlap(reference="explanation", measure="jaccard", n=2, of="reasoning")',
            "|A ∩ B| / |A ∪ B| over word pairs",
            'The n-gram rule of Reasoning-SQL, here with the text in `problem.meta["explanation"]` as reference.',
        ),
        Entry(
            'Overlap(reference="explanation", measure="jaccard", names="facts", of="reasoning")',
            "|A ∩ B| / |A ∪ B| over the words listed in problem.meta",
            "With the tables and columns of a database as the list, this is Reasoning-SQL's schema rule.",
        ),
        Entry(
            "Similar()",
            "max(0, cos(e(passage), e(reference)))",
            "Needs `pip install 'merf[similarity]'`. A pile of the right keywords comes close too: gate it.",
            scored=False,
        ),
    ),
    "What the model itself finds likely": (
        Entry(
            'ReferenceLikelihood(of="mean")',
            "1/L Σ π(y*_t | x, z, y*_<t), y* the reference answer, z the response up to its own",
            "RLPR, VeriFree and their family, by `of`; with `reasoning=False` straight after the question, with "
            '`model="reference"` by the model before training. These three rules need the model, so they score in '
            "training only.",
            scored=False,
        ),
        Entry(
            "SelfAligned()",
            "clip(1 − ppl(a | q) / ppl(a), −1, 1)",
            "SAR is `Correct(1, 0, 0) + 0.2 * SelfAligned()`. Alone it collapses to short guesses.",
            scored=False,
        ),
        Entry(
            "Hesitation()",
            "max(0, H_think − tolerance · H_answer), H mean entropies of the policy's tokens",
            "PEAR is `Correct(1, 0, 0) * (1 - Hesitation())`. The mean is over tokens: filler lowers it.",
            scored=False,
        ),
    ),
    "Differing from the group": (
        Entry("Diversity(n=2)", "share of the response's distinct n-grams that no other member of its group has"),
        Entry("DistinctAnswer()", "share of the other readable answers of the group that differ from this one"),
    ),
}

OPERATION_ENTRIES: dict[str, tuple[Entry, ...]] = {
    "Arithmetic": (
        Entry(
            "Correct(right=2, wrong=-1.5, unreadable=-2) * 0.5",
            "w · r",
            "Outcomes are restated as the products themselves.",
        ),
        Entry("Overlap() * 0.5", "w · r"),
        Entry("Overlap() - 0.5", "r + c", "Invisible to group-relative advantages; needed inside products."),
        Entry("-Correct()", "−r", "`book.inverted()` does this to every part: MeRF's adverse arm."),
        Entry("Overlap() + 0.2 * NoRepetition(n=2)", "Σ r_i"),
        Entry(
            "Correct(1, 0, 0) * (1 + 0.5 * Concise(20, 1, 0) + 0.2 * NoRepetition(n=2))",
            "R · (1 + Σ w_i · aux_i)",
            "A bonus on top of a right answer, worth nothing without one: P-GRPO, SER-RL and GRPO-λ are this.",
        ),
        Entry("lowest(Overlap(), Format(1, 0))", "min(r_1, r_2, …)", "All of them have to be good."),
        Entry("highest(Overlap(), Format(0.5, 0))", "max(r_1, r_2, …)", "One of them is enough."),
        Entry('Concise(20).named("word limit")', "r", "Parts of a rulebook need different names."),
    ),
    "Gates and priorities": (
        Entry(
            "Concise(20).only_if(Correct())",
            "1[condition] · r + 1[not condition] · otherwise",
            "The posterior gate. A rule with outcomes, as a condition, stands for its best one. Behind a closed gate "
            "the rule isn't asked, so its failure doesn't matter there.",
        ),
        Entry(
            "Concise(20).only_if(Format() & ~Correct() | Overlap().at_least(0.8), otherwise=-1)",
            "the same, with and, or, not, and thresholds",
            "Gates that can never open, or never close, are refused.",
        ),
        Entry(
            "Correct(1, 0, 0) * (0.4 + 0.6 * Brevity()).where(easiest(0.2), otherwise=1)",
            "1[right] · (1 − α·σ(z)) on the easiest ⌈λ·B⌉ questions of the batch, 1[right] elsewhere",
            "GRPO-λ with α = 0.6 and λ = 0.2. `where` is `only_if`; it reads better with conditions on the question: "
            "`easiest`, `hardest`, `solved`, `best_groups`.",
        ),
        Entry(
            "Diversity().where(solved(0.5) | best_groups(0.3, by=Overlap()))",
            "conditions on the group: share of right answers, or rank by any rule",
        ),
        Entry(
            "priority(Correct(1, 0.3, 0).at_least(0.3), Format(0.2, 0), Steps(2, 0.05, 0))",
            "Σ_i r_i · Π_{j<i} 1[r_j ≥ v_j]",
            "Gated accumulation (G-RA): cheap low-priority scores can't be farmed while the important one is missed.",
        ),
    ),
    "Shaping": (
        Entry("Correct().clip(0, 1) * 2", "2 · min(max(r, 0), 1)", "Order matters, and shows."),
        Entry("(Correct() * 2).clip(0, 1)", "min(max(2 · r, 0), 1)"),
        Entry("Correct().capped(1)", "min(r, 1)"),
        Entry("Correct().squash(center=0.5, steepness=2)", "σ(k · (r − c))"),
        Entry(
            'Correct().squash("reference")',
            "mean over references of σ(k · (r − r_ref))",
            'PAR. References come from `problem.meta["reference_scores"]`: a number, a list, or a table of them by '
            "rule name.",
        ),
        Entry("Correct().centred()", "r − mean of the reference scores"),
        Entry(
            "Overlap().tiers(4)",
            "low + ⌊K·f⌋ / K · (high − low), f the share of the way from low to high",
            "SSL. Small noisy differences vanish instead of being blown up by group normalisation.",
        ),
    ),
    "Steps": (
        Entry("FreshSteps(most=10).clip_steps(0.5)", "Σ_k min(ρ_k − η, 0)", "Clip: a step can only lose."),
        Entry(
            "FreshSteps(most=10).delta_steps()",
            "r_k = ρ_k − ρ_{k+1} for k < K−1, r_{K−1} = ρ_{K−1}, r_K = 0",
            "Delta: from any step on, the scores add up to that step's own, so more steps don't earn more. It is of "
            "use to credit assignment, which asks for `step_scores`; the sum is just the first step's score.",
        ),
        Entry(
            "FreshSteps(most=10).clip_steps(0.5).delta_steps()",
            "Delta of Clip",
            "What worked best in the paper (arXiv 2410.15115).",
        ),
    ),
    "Within the group": (
        Entry(
            "Overlap().within_group()",
            "clip((r − mean) / std, −3, 3) over the group",
            "Any affine change of the rule inside is invisible outside; a property test holds the library to it.",
        ),
        Entry("Overlap().ranked()", "(members below + ½ ties) / other members"),
    ),
    "Over training": (
        Entry("Overlap().annealed(Linear(1, 0))", "s(t) · r, t the share of training done"),
        Entry("Overlap().annealed(Cosine(1, 0))", "s(t) = end + (start − end) · (1 + cos πt) / 2"),
        Entry("Overlap().annealed(Sigmoid(12, 0.5))", "s(t) = 1 / (1 + exp(k · (t − m)))"),
        Entry("Overlap().annealed(Exponential(0.25))", "s(t) = exp(−t / T)", "SophiaVL-R1's decay."),
        Entry(
            "Overlap().annealed(Switch(0.5, before=0.8, after=1))", "s(t) = 0.8, then 1", "Critique-Coder's two phases."
        ),
        Entry("Overlap().annealed(Constant(0.5))", "s(t) = c"),
    ),
    "Noise": (
        Entry(
            "Correct().noisy(0.4)",
            "with probability p the opposite score, drawn once per question",
            '`per="response"` draws for every response; `draw=1` draws anew; `told=False` keeps it from the model, the '
            "one way to make a description that is not the whole truth.",
        ),
        Entry('Overlap().noisy(0.1, per="response")', "low + high − r for a rule without outcomes"),
    ),
}

BOOKS = """## Rulebooks

`Rulebook(rule, rule, …)` adds up its parts and keeps them by name.

| | |
|---|---|
| `book.describe(style="full", wording=0)` | the motivation, in words |
| `book.score(responses)` | `total` [N], `parts` {{name: [N]}}, `notes` [N] |
| `book.range` | the lowest and highest total |
| `book.only("correctness")` | some of the parts (MeRF's suboptimal arm) |
| `book.inverted()` | every sign flipped, in number and word (the adverse arm) |
| `book.silent()` | pays the same, says nothing (plain RLVR) |
| `book.save(path)`, `Rulebook.load(path)` | TOML |
| `book.as_python()`, `Rulebook.from_python(text)` | Python, read back without running it |
| `merf describe book.toml` | all styles, the range and the parts, in the terminal |

It scores text from anywhere, given the question and a function that knows the right answer:

```python
{scoring}```

## A rulebook as a file

```toml
{toml}```

Each part is `rule = "Name"` with its parameters, or a list of rules under `sum`, `lowest`, `highest` or `priority`;
`then` lists operations in the order in which they are applied; `name` renames the part. A condition is a rule (its
best outcome, or `at_least = number`), `{{ not = … }}`, `{{ all = [ … ] }}`, `{{ any = [ … ] }}`, `{{ easiest = 0.2 }}`,
`{{ hardest = 0.2 }}`, `{{ solved = 0.5 }}` or `{{ best_groups = 0.3, by = {{ … }} }}`. Saving and loading change
neither a score nor a word. This file says:

> {told}

| rule | parameters and defaults |
|---|---|
{parameters}

| `do` | parameters | in Python |
|---|---|---|
{verbs}

A rule of your own is `rule = "package.module:name"`. Loading such a file imports that module, so it has to be allowed:
`Rulebook.load(path, trust_code=True)`, `merf describe --trust-code`. A whole rulebook written in Python is named the
same way, `Rulebook.load("package.module:book")`.

"""

SCORING = """\
from merf import Problem, Response, Responses, Verdict


def verify(problem: Problem, answer: str) -> Verdict:
    return Verdict(correct=answer == problem.answer)


question = Problem("What is 2 + 2?", answer="4", id="sum-1")
texts = ["<think>2 + 2</think><answer>4</answer>", "four"]
group = Responses.of([Response(question, text, member=i, verify=verify) for i, text in enumerate(texts)])
scores = book.score(group)  # scores.total, scores.parts["correctness"], scores.notes
"""

TOML = """\
[[part]]
rule = "Correct"        # a right answer is what counts
right = 2.0
wrong = -1.5
unreadable = -2.0

[[part]]
name = "brief"
rule = "Concise"
words = 40
then = [
    { do = "only_if", condition = { rule = "Correct" } },
    { do = "times", weight = 0.5 },
]
"""

OWN = """## A rule of your own

Put `@rule` above a function. Its docstring (the first paragraph) is what the model is told; without one it is refused.
It may ask by name for `text`, `thinking`, `answer`, `problem`, `tokens`, `finished` or `response`, and returns a number
from `low` to `high`, True or False (which pay `high` and `low`), or None where it can't be applied. With
`whole_batch=True` it gets all `Responses` at once and returns a list. If it raises on some response, that response gets
no score, with a warning; if it returns text, a list of the wrong length, or a number outside its range, the error names
it.

```python
@rule(low=-1, high=0)
def no_apology(text: str) -> float:
    \"\"\"An apology costs a point.\"\"\"
    return -float("sorry" in text.lower())
```

For more than a function, subclass `LevelRule` (outcomes, each with a number and a wording), `StepRule` (a score per
step) or `Rule` (`score`, `statement`, `range`) as a frozen dataclass.

## Promises

For every rule and operation on this page, and every combination of them, these hold, and are tested on thousands of
randomly built expressions:

1. Rules that read the same in the `full` style score the same.
2. A changed number, condition or order changes the sentence, and every number that can move the score is in it. (What
   an outcome pays is left out where the outcome is only asked about, as in `only_if(Correct())`.)
3. A score never leaves the declared range.
4. Scoring raises on no text: empty, ten megabytes, control characters, nested tags, look-alike letters.
5. `inverted()` twice, and saving and loading, give the original back.
6. Under group normalisation an affine change of the total is invisible.

"""

BAD = (
    ("a rule without a description", "rule(lambda text: 1.0)"),
    ("a pattern without one", 'Matches("[0-9]+", "")'),
    ("weights that cancel", "Correct() + Format() - Format()"),
    ("a rule that pays everybody the same", "Correct(1, 1, 1)"),
    ("a weight of zero", "Overlap() * 0"),
    ("contradictory gates", "Concise().only_if(Correct()).only_if(~Correct())"),
    ("a gate that is always open", "Concise().only_if(Correct() | ~Correct())"),
    ("a threshold out of reach", "Concise().only_if(Correct().at_least(3))"),
    ("a condition without a threshold", "Concise().only_if(Overlap())"),
    ("numbers that are none", "Correct(right=1e999)"),
    ("two parts with one name", "Rulebook(Concise(10), Concise(20))"),
    ("an empty rulebook that is asked to score", "Rulebook().score(responses)"),
    ("a typo in TOML", '[[part]]\\nrule = "Corect"'),
)


OPERATIONS = """
## Operations

Each is a method of every rule, or a sign. To keep the page short, the sentences of `Overlap()`, `NoRepetition(n=2)`,
`Brevity()` and `Diversity()` are cut down to `…` from here on.

"""
SHORTENED = ("Overlap()", "NoRepetition(n=2)", "Brevity()", "Diversity()")


def value(code: str) -> Any:
    """The rule that `code` makes, read the way rulebooks in Python are read."""
    import ast

    return Evaluator().value(ast.parse(code, mode="eval").body)


def cast() -> Responses:
    responses = Responses.of([said(text, member) for member, (_, text) in enumerate(CAST)])
    return Responses(responses.items, responses.group, Progress(1, 5))


def shown(score: float) -> str:
    return "—" if np.isnan(score) else f"{round(score, 3) + 0.0:g}".replace("-", "−")


def escaped(text: str) -> str:
    """Text that Markdown shows as it is: tags would vanish, and stars would turn into emphasis."""
    return text.replace("<", "&lt;").replace("*", "\\*").replace("|", "\\|").replace("\n", " ")


def row(numbers: Iterable[float]) -> str:
    return " · ".join(map(shown, numbers))


def entry_text(entry: Entry, shorten: Sequence[str] = ()) -> str:
    rule: Rule = value(entry.code)
    sentence = rule.describe()
    for statement in shorten:
        sentence = sentence.replace(f"{statement}.", "…").replace(statement, "…")
    low, high = (shown(end) for end in rule.range)
    pays = f"Pays {row(rule.score(cast()))}, always from {low} to {high}." if entry.scored else f"From {low} to {high}."
    if isinstance(rule, StepRule):
        steps = rule.step_scores(cast()[1])
        pays += "" if steps is None else f" The steps of response 2 get {row(steps)}."
    remark = f" {entry.remark}" if entry.remark else ""
    return f"#### `{entry.code}`\n\n`{entry.formula}`\n\n> {escaped(sentence)}\n\n{pays}{remark}\n"


def entries_text(sections: dict[str, tuple[Entry, ...]], shorten: Sequence[str] = ()) -> str:
    texts = []
    for title, entries in sections.items():
        texts.append(f"### {title}\n\n" + "\n".join(entry_text(entry, shorten) for entry in entries))
    return "\n".join(texts)


def complaint(code: str) -> str:
    """What the library says to a mistake."""
    from merf.rules.custom import rule

    try:
        if code.startswith("[["):
            Rulebook.from_toml(code.replace("\\n", "\n"))
        elif code.startswith("rule("):
            rule(lambda text: 1.0, name="mine")
        elif code.endswith("score(responses)"):
            Rulebook().score(cast())
        else:
            value(code)
    except (ValueError, TypeError) as error:
        return str(error)
    raise AssertionError(f"{code} was accepted")


def parameters(kind: type[Rule]) -> str:
    said = []
    for entry in fields(kind):  # type: ignore[arg-type]
        default = getattr(entry.default, "name", entry.default)
        if isinstance(default, int | float) and not isinstance(default, bool):
            text = plain(default)
        else:
            text = repr(default).replace("'", '"')
        said.append(f"`{entry.name}`" if entry.default is MISSING else f"`{entry.name} = {text}`")
    return ", ".join(said) or "none"


SIGNS = {"times": "rule * weight", "plus": "rule + amount", "multiplied_by": "rule * factor"}


def call(verb: str, names: tuple[str, ...]) -> str:
    return f"rule.{verb}({', '.join(names)})"


def page() -> str:
    """The whole page, as Markdown."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(EXAMPLE, {"__name__": "example"})
    orders = ("Correct().clip(0, 1) * 2", "(Correct() * 2).clip(0, 1)", "Concise(20).only_if(Correct()) * 0.5")
    intro = INTRO.format(
        example=EXAMPLE,
        output=output.getvalue(),
        question=QUESTION,
        order="\n".join(f"| `{code}` | {escaped(value(code).describe())} |" for code in orders),
        cast="\n".join(f"| {i} | `{text}` | {what} |" for i, (what, text) in enumerate(CAST, start=1)),
    )
    books = BOOKS.format(
        toml=TOML,
        told=Rulebook.from_toml(TOML).describe().replace("\n", "\n> "),
        scoring=SCORING,
        parameters="\n".join(f"| `{name}` | {parameters(kind)} |" for name, kind in RULES.items()),
        verbs="\n".join(
            f"| `{verb}` | {', '.join(names) or 'none'} | `{SIGNS.get(verb, call(verb, names))}` |"
            for verb, names in VERBS.items()
        ),
    )
    bad = ["## What is refused, and what it says", "", "| mistake | for example | answer |", "|---|---|---|"]
    for mistake, code in BAD:
        cell = code.replace("|", "\\|")
        bad.append(f"| {mistake} | `{cell}` | {escaped(complaint(code))} |")
    return "".join(
        [
            "<!-- Written by `python -m merf.rules.gallery`; edit that, not this. -->\n\n",
            intro,
            "## Rules\n\n",
            entries_text(RULE_ENTRIES),
            OPERATIONS,
            entries_text(OPERATION_ENTRIES, [value(code).statement("full", 0) for code in SHORTENED]),
            "\n",
            books,
            OWN,
            "\n".join(bad),
            "\n",
        ]
    )


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(), encoding="utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
