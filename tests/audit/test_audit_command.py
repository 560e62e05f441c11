"""`merf audit`, its page and its JSON."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from merf import Correct, Format, Response, Responses, Rulebook
from merf.audit import audit, world
from merf.audit.others import (
    LOGIC_RL,
    LOGIC_RL_TOLD,
    TINY_ZERO,
    TINY_ZERO_TOLD,
    LastLine,
    LogicRL,
    TagsInOrder,
    TinyZero,
)
from merf.audit.policies import POLICIES
from merf.audit.world_page import FAMILIES, families, page
from merf.cli.audit import main, shortened
from merf.core.problem import Problem
from merf.tasks.gym import scoring

ROOT = Path(__file__).parents[2]
QUICK = ["-n", "2", "--set", "people=[2, 2]"]


def test_a_sound_rulebook_ends_well_and_its_json_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([*QUICK, "--json", str(tmp_path / "audit.json")])
    told = capsys.readouterr().out
    assert "no holes found on 2 problems of knights-knaves" in told
    written = json.loads((tmp_path / "audit.json").read_text())
    assert written["passed"] is True
    assert written["holes"] == []
    assert written["scale"]["right"] == 3.0
    assert {row["name"] for row in written["rows"]} >= {"empty", "every candidate", "padding"}


def test_a_hole_ends_with_a_status_for_ci(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "book.toml"
    Rulebook(Correct(1, 0, 0), Format(1, 0)).save(file)
    with pytest.raises(SystemExit) as ended:
        main([str(file), *QUICK, "--json", str(tmp_path / "audit.json")])
    assert ended.value.code == 1
    told = capsys.readouterr().out
    assert "hole: tags only." in told
    assert "<think></think><answer></answer>" in told
    assert json.loads((tmp_path / "audit.json").read_text())["holes"][0]["name"] == "tags only"
    with pytest.raises(SystemExit):
        main([str(file), *QUICK, "--threshold", "0.3"])
    assert "tags only" in capsys.readouterr().out


def test_a_prompt_of_ones_own_is_read_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("Use the tags. You earn 2 points for a right answer.")
    with pytest.raises(SystemExit):
        main([*QUICK, "--told", str(prompt)])
    assert "the text doesn't say that these are paid: -1.5, +1, -1" in capsys.readouterr().out


def test_long_texts_are_shown_from_both_ends() -> None:
    assert shortened("a\n b") == "a b"
    assert shortened(" \n") == "' \\n'"
    assert shortened("a" * 100 + "b" * 100) == f"{'a' * 80} … {'b' * 80}"


def test_an_audit_needs_no_torch() -> None:
    code = "import sys, merf.audit, merf.audit.others; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# The rules of others.


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>a</think><answer>b</answer>", "b"),
        ("so <think>a</think> then <answer> b </answer> done", "b"),
        ("<think>a</think><answer>b</answer><answer>c</answer>", None),
        ("<answer>b</answer><think>a</think>", None),
        ("<think>a</think>b", None),
    ],
)
def test_logic_rl_wants_its_tags_once_and_in_order(text: str, answer: str | None) -> None:
    assert TagsInOrder().parse(text).answer == answer


@pytest.mark.parametrize(
    ("answer", "readable", "correct"),
    [
        ("Ann is a knight, Bob is a knave.", True, True),
        ("(1) ann is a knight\n(2) bob  is a  knave", True, True),
        ("Ann is a knave, Bob is a knave.", True, False),
        ("Ann is a knight, Bob is a knight or a knave.", False, False),
        ("Ann: knight, Bob: knave", False, False),
        ("", False, False),
    ],
)
def test_logic_rl_reads_name_is_a_role(answer: str, readable: bool, correct: bool) -> None:
    verdict = LogicRL().verify(Problem("?", answer={"Ann": True, "Bob": False}), answer)
    assert (verdict.readable, verdict.correct) == (readable, correct)


def test_tiny_zero_reads_the_last_answer_of_the_last_line() -> None:
    read = LastLine().parse
    assert read("<answer>1</answer> <answer>2</answer>").answer == "2"
    assert read("<answer>1</answer>\n").answer is None
    assert read("1").answer is None


@pytest.mark.parametrize(
    ("answer", "correct"),
    [
        ("3 * 4 + 5", True),
        ("5 + 3 * 4", True),
        ("3 * 4", False),
        ("3 * 4 + 5 = 17", False),
        ("", False),
        ("zzz", False),
    ],
)
def test_tiny_zero_wants_exactly_the_numbers_given(answer: str, correct: bool) -> None:
    verdict = TinyZero().verify(Problem("?", answer={"numbers": [3, 4, 5], "target": 17}), answer)
    assert verdict.correct is correct
    assert verdict.readable


@pytest.mark.parametrize(
    ("text", "paid"),
    [
        ("<answer>3 * 4 + 5</answer>", 1.0),
        ("<answer>zzz</answer>", 0.1),
        ("<answer></answer>", 0.1),
        ("3 * 4 + 5", 0.0),
    ],
)
def test_tiny_zero_pays_for_any_text_in_the_tag(text: str, paid: float) -> None:
    problem = Problem("?", answer={"numbers": [3, 4, 5], "target": 17})
    response = Response(problem, text, layout=LastLine(), verify=TinyZero().verify)
    assert TINY_ZERO.score(Responses.of([response])).total[0] == pytest.approx(paid)


def test_published_rewards_do_not_say_what_they_pay_and_one_pays_for_empty_tags() -> None:
    logic = audit(LOGIC_RL, LogicRL(people=(3, 3)), problems=2, told=LOGIC_RL_TOLD)
    assert [hole.name for hole in logic.holes] == ["unstated"]
    zero = audit(TINY_ZERO, TinyZero(), problems=2, told=TINY_ZERO_TOLD)
    assert {"tags only", "unstated"} <= {hole.name for hole in zero.holes}
    assert '"line break at the end" costs a right response 1' in " ".join(zero.notes)


# The page.


def hole(name: str, share: float | None = 0.5, example: str = "a | `b`\nc") -> dict[str, object]:
    return {"name": name, "about": "What it does.", "share": share, "example": example}


def test_holes_are_sorted_into_families() -> None:
    held = ["stored answer", "letters", "guess", "every candidate", "padding", "unstated", "being right"]
    expected = [name for name in FAMILIES if name != "can't be scored"]
    assert families({"holes": [hole(name) for name in held]}) == expected
    assert families({"holes": [hole("letters", None)]}) == ["can't be scored"]


def test_the_page_has_the_summary_first_then_the_holes_then_everything() -> None:
    settings = {"problems": 6, "threshold": 0.05, "seed": 0, "reasoning-gym": "0.1.25"}
    clean = {"holes": []}
    results = {
        "published rewards/TinyZero": {"holes": [hole("unstated", None)]},
        "reasoning-gym as it comes/dice": {"holes": [hole("letters", 1.0), hole("echo", 0.25)]},
        "reasoning-gym as it comes/maze": clean,
        "merf/rg:dice": clean,
        "merf/countdown": clean,
    }
    text = page(settings, results)
    assert text.index("## Summary") < text.index("## The holes") < text.index("## Everything")
    assert "| reasoning-gym as it comes | 2 | 1 |" in text
    assert "| dice | letters (and 1 more) | 100% | `a \\| 'b'⏎c` |" in text
    assert "| `dice` | junk | ok |" in text
    assert "| `countdown` |  | ok |" in text
    assert "None was found." in text


def test_the_world_is_audited_into_numbers_and_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring(), "seconds", scoring().seconds)  # what `main` sets goes away with the test
    world.main(["TinyZero", "--out", str(tmp_path)])
    kept = json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))
    assert list(kept["results"]) == ["published rewards/TinyZero"]
    assert kept["settings"]["problems"] == world.PROBLEMS
    assert (tmp_path / "audit.md").read_text(encoding="utf-8") == page(kept["settings"], kept["results"])
    world.main(["Logic-RL", "--out", str(tmp_path)])
    kept = json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))
    assert list(kept["results"]) == ["published rewards/Logic-RL", "published rewards/TinyZero"]


def test_an_unknown_reward_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        world.main(["dicee"])
    assert "nothing here is called dicee" in capsys.readouterr().err


def test_the_published_page_is_made_from_the_published_numbers() -> None:
    folder = ROOT / "docs" / "results"
    kept = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    published = (folder / "audit.md").read_text(encoding="utf-8")
    assert published == page(kept["settings"], kept["results"]), "run python -m merf.audit.world"


@pytest.fixture
def no_trace() -> Iterator[None]:
    """The registry as it was, whatever an example enters into it."""
    known = dict(POLICIES)
    yield
    POLICIES.clear()
    POLICIES.update(known)


@pytest.mark.usefixtures("no_trace")
def test_the_examples_of_the_docs_print_what_they_say(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 4
    for example, output in examples:
        exec(example, {})
        assert capsys.readouterr().out == output
