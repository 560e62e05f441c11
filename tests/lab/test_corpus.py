"""The lab's corpus does what its dials say."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from merf import Concise, Correct, Format, Response, Responses, Rulebook, Steps
from merf.lab.corpus import Dials, damaged, document, random_rulebook, respond
from merf.lab.worlds import knights
from merf.lab.worlds.knights_steps import work

KNIGHTS = knights.Knights()
TASK = knights.task((2, 4))
PROBLEMS = [TASK.problem("x", 0, i) for i in range(30)]
MANY = 400


def responses_to(book: Rulebook, dials: Dials, rate: float = 0.0) -> Responses:
    """Responses by the corpus's writers to a rulebook."""
    found = []
    for i in range(MANY):
        problem = PROBLEMS[i % len(PROBLEMS)]
        text = respond(knights.Writer(problem, Random(i)), book, rate, TASK.layout, dials)
        found.append(Response(problem, text, verify=TASK.verify, layout=TASK.layout))
    return Responses.of(found)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.id)
def test_work_ends_at_the_right_case(problem):
    trace = work(problem)
    assert trace.endswith(" yes.")
    assert trace.count(" yes.") == 1
    last = trace.split(" If ")[-1].split(":")[0].split()
    roles = {name: role == "honest" for name, role in zip(last[::2], last[1::2], strict=True)}
    assert roles == problem.answer


@pytest.mark.parametrize("problem", PROBLEMS[:9], ids=lambda p: p.id)
def test_every_step_of_the_work_is_true(problem):
    """Each `X knight true` agrees with the case it stands in."""
    for case in work(problem).split(" If ")[1:]:
        setting, checks = case.split(": ", 1)
        words = setting.split()
        honest = {name: how == "honest" for name, how in zip(words[::2], words[1::2], strict=True)}
        said = checks.replace(",", " ").replace(":", " ").replace(".", " ").split()
        for name, role, truth in zip(said, said[1:], said[2:], strict=False):
            if role in ("knight", "knave") and truth in ("true", "false"):
                assert (honest[name] == (role == "knight")) == (truth == "true")


@pytest.mark.parametrize(
    "rule",
    [
        Correct(3.0, -1.0, -2.0),
        -Correct(3.0, -1.0, -2.0),
        Format(1.0, -1.0),
        -Format(1.0, -1.0),
        Steps(3, 1.0, -1.0),
        -Steps(3, 1.0, -1.0),
    ],
    ids=str,
)
def test_stated_rules_are_obeyed_about_as_often_as_the_dial_says(rule):
    """A rule's best level is reached at least as often as it is obeyed; with 400 responses and obedience 0.75
    a share below 0.65 has a chance under 1e-5."""
    book = Rulebook(rule)
    totals = book.score(responses_to(book, Dials(obedience=0.75))).total
    assert (totals == book.range[1]).mean() >= 0.65


def test_full_obedience_reaches_the_best_level_always():
    for rule in (Correct(), Format(), -Correct(), Correct(wrong=5.0)):
        book = Rulebook(rule)
        assert (book.score(responses_to(book, Dials(obedience=1.0, tags=0.5))).total == book.range[1]).all()


def test_a_length_limit_shortens_responses():
    book = Rulebook(Concise(20, 1.0, -1.0))
    told = responses_to(book, Dials(obedience=1.0), rate=0.9)
    untold = responses_to(Rulebook(), Dials(), rate=0.9)
    assert sum(len(r.text) for r in told) < 0.7 * sum(len(r.text) for r in untold)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_untold_work_is_as_rare_as_the_dial_says(rate):
    """Binomial with n = 400: 0.12 away from 0.3 has a chance under 1e-6."""
    share = sum(KNIGHTS.works(r.text) for r in responses_to(Rulebook(), Dials(), rate)) / MANY
    assert abs(share - rate) <= 0.12 * (0 < rate < 1)


def test_guesses_are_right_as_often_as_luck_has_it():
    """Three people, luck 0.25, n = 400: 0.13 away has a chance under 1e-7."""
    task = knights.task((3, 3))
    hits = 0
    for i in range(MANY):
        problem = task.problem("x", 0, i % 20)
        hits += task.verify(problem, knights.Writer(problem, Random(i)).guess()).correct
    assert abs(hits / MANY - knights.LUCK[3]) < 0.13


def test_damage_breaks_the_layout_and_keeps_the_words():
    rng = Random(0)
    kinds = set()
    for _ in range(200):
        text = damaged(TASK.layout, "I guess.", "Ann is a knight.", rng)
        assert not TASK.layout.parse(text).well_formed
        assert "I guess." in text
        assert "Ann is a knight." in text
        kinds.add(TASK.layout.parse(text).fault)
    assert len(kinds) >= 6


def test_documents_are_the_same_every_time():
    assert [document(i, 0, Dials()) for i in range(20)] == [document(i, 0, Dials()) for i in range(20)]
    assert document(0, 0, Dials()) != document(0, 1, Dials())


def test_the_shares_of_kinds_are_those_of_the_dials():
    """Told and neutral shares over 600 documents; 0.08 off has a chance under 1e-4."""
    kinds = Counter()
    for i in range(600):
        text = "\n".join(m["content"] for m in document(i, 3, Dials()).prompt)
        told = any(word in text for word in ("score", "Score", "points", "Points", "Scoring"))
        neutral = any(
            word in text
            for word in ("goats", "harbour", "flour", "lighthouse", "olive", "Bread", "evenings", "villages")
        )
        kinds["told" if told else "neutral" if neutral else "bare"] += 1
    assert abs(kinds["told"] / 600 - 0.5) < 0.08
    assert abs(kinds["neutral"] / 600 - 0.1) < 0.08


def test_the_control_base_never_reads_a_rulebook():
    from merf.lab.build import BASES

    for i in range(400):
        text = "\n".join(m["content"] for m in document(i, 0, BASES["knights-unread"].dials).prompt)
        assert not any(word in text.lower() for word in ("score", "points", "correct", "highest"))


def test_random_rulebooks_vary_in_rules_numbers_and_signs():
    rng = Random(0)
    books = [random_rulebook(rng, Dials(), TASK.layout) for _ in range(300)]
    assert {part.name for book in books for part in book} == {"correctness", "format", "length", "steps"}
    assert all(book.parts for book in books)
    assert len({book.describe() for book in books}) > 280
    inverted = sum(
        "-" in book.describe("terse").split("right ")[1][:2] for book in books if "right " in book.describe("terse")
    )
    assert inverted > 10


def test_the_tokenizer_encodes_any_text_and_tags_are_single_tokens(lab_tokenizer):
    for text in ("Ann says Bob knave.", "naïve 漢字 \x00 🎲", "<think>x</think>"):
        assert lab_tokenizer.decode(lab_tokenizer(text)["input_ids"]) == text
    assert len(lab_tokenizer("<think></think><answer></answer>")["input_ids"]) == 4


def test_pretraining_a_tiny_model_lowers_the_loss_and_repeats_exactly(lab_tokenizer):
    from merf.lab.pretrain import Shape, Stage, new_model, pretrain

    def losses() -> list[float]:
        model = new_model(Shape(width=32, layers=1, heads=1), lab_tokenizer, seed=0)
        found: list[float] = []
        stage = Stage(replace(Dials(), responses=2), steps=12, lr=5e-3, prompts=4)
        assert pretrain(model, lab_tokenizer, stage, 0, 0, lambda step, loss: found.append(loss)) == 48
        return found

    first = losses()
    assert sum(first[-3:]) < 0.9 * sum(first[:3])
    assert first == losses()


@pytest.mark.parametrize(
    ("dials", "digest"),
    [
        (Dials(), "0cc25535c59ef930"),
        (Dials(told=0.0, neutral=0.6), "66053a412b1aae26"),
        (
            Dials(told=0.0, neutral=0.0, asked=1.0, asked_work=1.0, responses=1, sizes=(1.0, 0.0, 0.0)),
            "5cc94d88863d692e",
        ),
    ],
    ids=["knights", "unread", "trunk"],
)
def test_the_corpus_of_the_shipped_bases_is_the_one_they_were_made_from(dials, digest):
    """Digests of the first 200 documents of each mixture, taken when the shipped bases were built."""
    seen = hashlib.sha256()
    for i in range(200):
        doc = document(i, 0, dials)
        seen.update(repr((doc.prompt, doc.responses)).encode())
    assert seen.hexdigest()[:16] == digest
