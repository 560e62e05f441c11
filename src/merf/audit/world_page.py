"""The page on the audit of the world: summary, holes, everything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from merf.audit.changes import CHANGES
from merf.audit.policies import POLICIES

FAMILIES: dict[str, str] = {
    "its own answer": "The answer stored with the problem isn't paid, or isn't a text that could be.",
    "junk": "Something is paid for no answer, or for a text that nobody could take for one.",
    "wrong answers": "A guess that isn't the stored answer is paid more than a wrong answer.",
    "lists": "Candidates are listed, the right one somewhere among them, and that is paid more than a wrong answer.",
    "changes": "A right response is paid more after a change that makes it no better.",
    "can't be scored": "The scorer raises or runs out of time, so a trainer has to make up a reward.",
    "unsaid": "The prompt doesn't say what is paid.",
    "no difference": "Right and wrong are paid alike.",
}
"""What a hole can be, and what that means."""

LISTS = ("every candidate", "several answers", "several answer blocks", "nested tags")
OTHERS = ("published rewards", "reasoning-gym as it comes")
OWN = "merf"


def family(hole: Mapping[str, Any]) -> str:
    """Which of FAMILIES a hole belongs to."""
    name = hole["name"]
    if name in POLICIES or name in CHANGES:
        if hole["share"] is None:
            return "can't be scored"
        if name in CHANGES:
            return "changes"
        if name in LISTS:
            return "lists"
        return "wrong answers" if POLICIES[name].offers == "guess" else "junk"
    return {
        "stored answer": "its own answer",
        "unstated": "unsaid",
        "broken promise": "unsaid",
    }.get(name, "no difference")


def families(found: Mapping[str, Any]) -> list[str]:
    """The families of an audit's holes, in the order of FAMILIES."""
    held = {family(hole) for hole in found["holes"]}
    return [name for name in FAMILIES if name in held]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *rows)]


def code(text: str, most: int = 90) -> str:
    """A text as code in a table's cell, on one line, its middle left out where it is long."""
    line = text.replace("\n", "⏎").replace("`", "'").replace("|", "\\|")
    if not line.strip():
        return f"{len(text)} blanks" if text else "(empty)"
    return f"`{line if len(line) <= most else f'{line[: most // 2]} … {line[-most // 2 :]}'}`"


def page(settings: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """Markdown from `audit.json`."""
    split = {key: key.split("/", 1) for key in results}
    groups = {group: {n: results[k] for k, (g, n) in split.items() if g == group} for group in (*OTHERS, OWN)}
    others = {name: found for group in OTHERS for name, found in groups[group].items()}
    lines = [
        "# What rewards pay for",
        "",
        "Policies that know nothing, right responses changed in ways that make them no better, and what the prompt",
        "says, held against rewards that people train with: all scorers of reasoning-gym as the package ships them,",
        "the public rules of Logic-RL and TinyZero, and for comparison MeRF's rulebook with the verifiers of this",
        "package on the same problems. [How to read an audit](../audit.md) explains the policies and the limits.",
        "",
        "## Summary",
        "",
        *summary(groups),
        "",
        "A reward can be in several columns. Part marks alone are no hole: what counts is being paid for junk, or more",
        "than an honest wrong answer for a list.",
        "",
        "## The holes",
        "",
        "One row for each reward, with the response that shows it best, and how far its pay goes from the least (0 %)",
        "to the most (100 %) that anything was paid.",
        "",
        *(line for name in FAMILIES for line in chapter(name, others)),
        "## Holes in what this package does",
        "",
        *own(groups[OWN]),
        "",
        "## Everything",
        "",
        *everything(groups),
        "",
        "## How it was made",
        "",
        "```bash",
        "python -m merf.audit.world --fresh",
        "```",
        "",
        f"{settings['problems']} problems per reward, threshold {settings['threshold']:g}, seed {settings['seed']}, "
        f"reasoning-gym {settings['reasoning-gym']}.",
        "What every policy was paid is in [audit.json](audit.json). The scorers of reasoning-gym get the whole",
        "response as the answer, as the package means them to. The rules of Logic-RL and TinyZero are restated in",
        "`merf.audit.others`, their prompts in substance.",
        "",
    ]
    return "\n".join(lines)


def summary(groups: Mapping[str, Mapping[str, Any]]) -> list[str]:
    rows = []
    for group, audits in groups.items():
        if audits:
            clean = sum(not found["holes"] for found in audits.values())
            counts = [sum(name in families(found) for found in audits.values()) for name in FAMILIES]
            title = "MeRF's rulebook, this package's verifiers" if group == OWN else group
            rows.append([title, str(len(audits)), str(clean), *(str(count or "") for count in counts)])
    return table(["", "audited", "no hole", *FAMILIES], rows)


def chapter(name: str, audits: Mapping[str, Any]) -> list[str]:
    """All rewards with a hole of one family, the best paid first."""
    rows = []
    for reward, found in audits.items():
        held = [hole for hole in found["holes"] if family(hole) == name]
        if held:
            worst = max(held, key=lambda hole: hole["share"] or 0.0)
            rows.append((worst["share"] or 0.0, reward, worst, len(held)))
    if not rows:
        return []
    rows.sort(key=lambda row: (-row[0], row[1]))
    lines = [f"### {name[0].upper()}{name[1:]}: {len(rows)}", "", FAMILIES[name], ""]
    if name in ("its own answer", "unsaid", "no difference"):
        return [*lines, *table(["reward", "found"], [[reward, hole["about"]] for _, reward, hole, _ in rows]), ""]
    texts = [
        [
            reward,
            hole["name"] + (f" (and {more - 1} more)" if more > 1 else ""),
            *([] if name == "can't be scored" else [f"{share:.0%}"]),
            code(hole["example"]),
        ]
        for share, reward, hole, more in rows
    ]
    header = ["reward", "what was played", *([] if name == "can't be scored" else ["paid"]), "example"]
    return [*lines, *table(header, texts), ""]


def own(audits: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, found in audits.items():
        if held := found["holes"]:
            more = f" (and {len(held) - 1} more)" if len(held) > 1 else ""
            rows.append([f"`{name}`", ", ".join(families(found)), held[0]["about"] + more])
    if not rows:
        return ["None was found."]
    return [
        "Where no answer is stored with the problems, or only an example of one, there is none to check with.",
        "",
        *table(["task", "hole", "found"], rows),
    ]


def everything(groups: Mapping[str, Mapping[str, Any]]) -> list[str]:
    def cell(found: Mapping[str, Any] | None) -> str:
        return "" if found is None else ", ".join(families(found)) or "ok"

    mine = groups[OWN]
    rows = [[name, cell(found), ""] for name, found in groups[OTHERS[0]].items()]
    rows += [[f"`{name}`", cell(found), cell(mine.get(f"rg:{name}"))] for name, found in groups[OTHERS[1]].items()]
    shared = {f"rg:{name}" for name in groups[OTHERS[1]]}
    rows += [[f"`{name}`", "", cell(found)] for name, found in mine.items() if name not in shared]
    return table(["reward", "as it comes", "in this package"], rows)
