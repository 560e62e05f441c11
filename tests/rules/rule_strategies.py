"""Random rules, built the way a user builds them, and random batches for them to score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from rule_samples import HOSTILE, LAYOUTS, batch, respond

from merf import (
    Brevity,
    Calibrated,
    Concise,
    Constant,
    Correct,
    Cosine,
    DistinctAnswer,
    Diversity,
    Exponential,
    Format,
    FreshSteps,
    JsonFormat,
    Linear,
    Matches,
    NoRepetition,
    Overlap,
    Overlong,
    Progress,
    Response,
    Responses,
    Rule,
    SaysWhetherRight,
    Script,
    Sigmoid,
    Steps,
    Switch,
    ThinkAnswer,
    best_groups,
    easiest,
    hardest,
    highest,
    lowest,
    priority,
    solved,
)
from merf.core.layout import LAYOUTS as LAYOUT_NAMES
from merf.rules.conditions import Condition

numbers = st.integers(-300, 300).map(lambda n: n / 100)
positive = st.integers(1, 300).map(lambda n: n / 100)
shares = st.integers(1, 99).map(lambda n: n / 100)
passages = st.sampled_from(("response", "reasoning", "answer"))


def sensible(make: Callable[..., Any], *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What `make` gives for random parts, or its first part where it refuses them."""

    def attempt(*given: Any) -> Any:
        try:
            return make(*given)
        except (ValueError, TypeError):
            return given[0] if isinstance(given[0], Rule) else Correct()

    return st.builds(attempt, *parts)


schedules = st.one_of(
    st.builds(Linear, numbers, numbers, shares | st.just(1.0)),
    st.builds(Cosine, numbers, numbers),
    st.builds(Sigmoid, numbers, shares),
    st.builds(Exponential, positive),
    st.builds(Switch, shares, numbers, numbers),
    st.builds(Constant, positive),
)
layouts = st.sampled_from((*LAYOUT_NAMES, ThinkAnswer("a", "b")))
level_rules = st.one_of(
    sensible(Correct, numbers, numbers, numbers),
    sensible(Format, numbers, numbers, layouts),
    sensible(Concise, st.integers(0, 60), numbers, numbers),
    sensible(Steps, st.integers(1, 5), numbers, numbers),
    sensible(SaysWhetherRight, numbers, numbers, numbers, st.sampled_from(("", "label"))),
    sensible(JsonFormat, st.sampled_from(({}, {"type": "array"}, {"maxLength": 3})), numbers, numbers, passages),
    sensible(
        lambda pattern, *given: Matches(*pattern, *given),
        st.sampled_from(((r"\d+", "it is digits"), (r"[^a]{1,3}", "it has no a"))),
        numbers,
        numbers,
        passages,
    ),
)
degree_rules = st.one_of(
    st.builds(Calibrated),
    st.builds(Overlong, st.integers(50, 99), st.integers(1, 50)),
    st.builds(Brevity, *map(st.sampled_from, (("sigmoid", "span"), ("right", "all"), ("tokens", "words")))),
    st.builds(NoRepetition, st.integers(1, 5), passages),
    st.builds(Script, st.sampled_from((("Latin",), ("Han", "Cyrillic"))), passages),
    st.builds(
        Overlap,
        st.sampled_from(("answer", "gold")),
        st.sampled_from(("f1", "jaccard", "recall")),
        st.integers(1, 3),
        st.sampled_from(("", "names")),
        passages,
    ),
    st.builds(Diversity, st.integers(1, 3), passages),
    st.builds(DistinctAnswer),
)
step_rules = st.one_of(
    st.builds(FreshSteps, st.integers(1, 9)),
    st.builds(lambda n, eta: FreshSteps(n).clip_steps(eta), st.integers(1, 9), shares),
    st.builds(lambda n: FreshSteps(n).delta_steps(), st.integers(1, 9)),
    st.builds(lambda n, eta: FreshSteps(n).clip_steps(eta).delta_steps(), st.integers(1, 9), shares),
)
leaves = st.one_of(level_rules, degree_rules, step_rules)


def between(rule: Rule, share: float) -> float:
    """A threshold inside the rule's range."""
    low, high = rule.range
    return round(low + share * (high - low), 3)


def atom(rule: Rule, share: float) -> Condition:
    try:
        return rule.at_least(between(rule, share))
    except ValueError:
        return Correct().at_least(2)


def conditions(rules: st.SearchStrategy[Rule]) -> st.SearchStrategy[Condition]:
    single = st.one_of(
        level_rules.map(lambda rule: rule.at_least(rule.range[1])),
        st.builds(atom, rules, shares),
        st.builds(easiest, shares),
        st.builds(hardest, shares),
        st.builds(solved, shares),
        st.builds(best_groups, shares, rules),
    )
    return st.recursive(
        single,
        lambda inner: st.one_of(
            st.builds(lambda c: ~c, inner),
            st.builds(lambda a, b: a & b, inner, inner),
            st.builds(lambda a, b: a | b, inner, inner),
        ),
        max_leaves=2,
    )


def operations(rules: st.SearchStrategy[Rule]) -> st.SearchStrategy[Rule]:
    condition = conditions(leaves)
    return st.one_of(
        sensible(lambda r, w: r * w, rules, numbers),
        sensible(lambda r, c: r + c, rules, numbers),
        sensible(lambda a, b: a + b, rules, rules),
        sensible(lambda a, b: a * b, rules, rules),
        sensible(lambda a, w, b: a * (1 + w * b), rules, numbers, rules),
        sensible(lowest, rules, rules),
        sensible(highest, rules, rules),
        sensible(lambda r, c, x: r.only_if(c, x), rules, condition, numbers),
        sensible(lambda r, c: r.only_if(c), rules, condition),
        sensible(lambda a, share, b: priority(atom(a, share), b), rules, shares, rules),
        sensible(lambda r, a, b: r.clip(min(a, b), max(a, b)), rules, numbers, numbers),
        sensible(lambda r, a: r.clip(low=a), rules, numbers),
        sensible(lambda r, a: r.capped(a), rules, numbers),
        sensible(lambda r, c, k: r.squash(c, k), rules, numbers, positive),
        sensible(lambda r, k: r.squash("reference", k), rules, positive),
        sensible(lambda r: r.centred(), rules),
        sensible(lambda r, k: r.tiers(k), rules, st.integers(1, 9)),
        sensible(lambda r, s: r.annealed(s), rules, schedules),
        sensible(lambda r, k: r.within_group(k), rules, positive),
        sensible(lambda r: r.ranked(), rules),
        sensible(
            lambda r, p, per, draw: r.noisy(p, per, draw=draw),
            rules,
            shares,
            st.sampled_from(("question", "response")),
            st.integers(0, 2),
        ),
    )


expressions: st.SearchStrategy[Rule] = st.recursive(leaves, operations, max_leaves=4)

odd_text = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=40),
    st.text(alphabet="<>/thinkaswer \n.4", max_size=60),
    st.text(alphabet=st.characters(categories=("Cc", "Cf", "Cs", "Lo", "Mn")), max_size=20),
)
answers = st.sampled_from(("4", "5", "?", "FAIL", "12", "a", "[1]")) | st.text(max_size=10)
laid_out = st.builds(
    lambda thinking, answer, tail: f"<think>{thinking}</think><answer>{answer}</answer>{tail}",
    st.sampled_from(("", "two and two", "So. It is. Four.", "so so so so", "wörd слово 字")) | odd_text,
    answers,
    st.sampled_from(("", "", "<confidence>0.7</confidence>", "<verdict>right</verdict>")),
)
stored = st.sampled_from((None, 0.5, [0.25, 1.0], {"overlap": 0.5}, "x", [-1]))
metas = st.fixed_dictionaries(
    {
        "reference_scores": stored,
        "gold": st.sampled_from((None, "4", "two and two", ["a", "4"])),
        "names": st.sampled_from((None, ["two", "4", "a"])),
        "label": st.sampled_from((None, True, False)),
    }
)
responses: st.SearchStrategy[Response] = st.builds(
    lambda text, tokens, layout, finished, meta, member, id: respond(
        text, tokens, layout, member, finished=finished, meta=meta, id=id
    ),
    laid_out | odd_text,
    st.integers(0, 120),
    st.sampled_from(LAYOUTS),
    st.booleans(),
    metas,
    st.integers(0, 3),
    st.sampled_from(("q1", "q2", "")),
)


def together(items: list[Response], groups: list[int], step: int) -> Responses:
    return batch(*items, group=groups[: len(items)], progress=Progress(step, 5))


batches: st.SearchStrategy[Responses] = st.builds(
    together,
    st.lists(responses, max_size=7),
    st.lists(st.integers(0, 2), min_size=7, max_size=7),
    st.integers(0, 6),
)
