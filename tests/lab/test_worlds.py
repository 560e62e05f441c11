"""What every small world keeps: its writers' work is judged by its task's own verifier, and told apart by its marks."""

from __future__ import annotations

from itertools import islice
from random import Random

import pytest

from merf import Response
from merf.core.steps import step_spans
from merf.lab.card import WORTH_IT
from merf.lab.corpus import Dials, document
from merf.lab.kinds import KINDS
from merf.lab.worlds import WORLDS, get, task_for
from merf.lab.worlds.world import GUESS, UNKNOWN, WRONG
from merf.rules.reading import tagged
from merf.train.options import TrainOptions

NAMES = list(WORLDS)
MIXED = [name for name in NAMES if len(get(name).styles) > 1]


def problems(name, each=12):
    """Some problems of every difficulty of a world."""
    world = get(name)
    return [world.problem(level, 7, number) for level in world.levels for number in range(each)]


def written(name, style, each=12):
    """(problem, attempt, the task's verdict) for some problems."""
    world = get(name)
    found = []
    for number, problem in enumerate(problems(name, each)):
        attempt = world.writer(problem, Random(number)).write(style)
        task = world.task(world.level, world.level)
        found.append((problem, attempt, task.verify(problem, attempt.answer)))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_style_of_work_is_right_unless_it_means_to_be_wrong(name):
    for style in get(name).styles:
        for problem, attempt, verdict in written(name, style):
            assert verdict.readable, (style, problem.id)
            assert verdict.correct is (style not in WRONG), (style, attempt)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_answers_are_wrong_and_evasions_unreadable(name):
    world = get(name)
    task = world.task(world.level, world.level)
    for number, problem in enumerate(problems(name)):
        writer = world.writer(problem, Random(number))
        wrong = task.verify(problem, writer.wrong())
        assert (wrong.correct, wrong.readable) == (False, True)
        assert not task.verify(problem, writer.evasive()).readable
        assert not task.verify(problem, UNKNOWN).readable
        assert task.verify(problem, writer.right()).correct


@pytest.mark.parametrize("name", NAMES)
def test_a_style_shows_in_its_responses_and_begins_with_its_opening(name):
    world = get(name)
    for style in (*world.openings, GUESS):
        for problem, attempt, _ in written(name, style):
            task = world.task(world.level, world.level)
            text = (
                world.writer(problem, Random(0)).layout(task.layout, attempt).render(attempt.thinking, attempt.answer)
            )
            assert world.recognise(text) == style
            assert world.works(text) == (style != GUESS)
            if style != GUESS:
                # An opening is one that the style's writers really use: by chance where they choose among several.
                opening = world.opening(problem, style)
                drawn = (world.writer(problem, Random(i)).write(style).thinking for i in range(60))
                assert any(task.layout.render(thinking, "?").startswith(opening) for thinking in drawn)


@pytest.mark.parametrize("name", NAMES)
def test_work_has_steps_and_fulfils_its_own_rubric(name):
    world = get(name)
    for number, problem in enumerate(problems(name)):
        writer = world.writer(problem, Random(number))
        attempt = writer.write(world.main)
        assert len(step_spans(attempt.thinking)) >= 2
        for criterion in writer.rubric():
            assert criterion.removeprefix("it says: ") in attempt.thinking


@pytest.mark.parametrize("name", NAMES)
def test_guesses_are_right_as_often_as_luck_has_it(name):
    """n = 400 at each difficulty; a share off by 0.14 has a chance under 1e-6."""
    world = get(name)
    for level in world.levels:
        task, hits, luck = world.task(level, level), 0, 0.0
        for number in range(400):
            problem = world.problem(level, 3, number % 40)
            writer = world.writer(problem, Random(number))
            luck += writer.luck / 400
            hits += task.verify(problem, writer.guess()).correct is True
        assert abs(hits / 400 - luck) < 0.14


@pytest.mark.parametrize("name", NAMES)
def test_work_can_pay_where_experiments_are_run(name):
    """Right work against guesses on 800 card problems. The least it can pay is 0.34, in `graded`, with a standard error
    of 0.025: too little by chance once in 5,000 sets of problems."""
    world, gain = get(name), 0
    task = world.task(world.level, world.level)
    for number, problem in enumerate(world.held_out(world.level, 800)):
        writer = world.writer(problem, Random(number))
        gain += task.verify(problem, writer.work(world.main).answer).correct is True
        gain -= task.verify(problem, writer.guess()).correct is True
    assert gain / 800 >= WORTH_IT


@pytest.mark.parametrize("name", NAMES)
def test_problems_have_the_difficulty_asked_for_and_no_card_problem_is_in_a_corpus(name):
    """Certain by construction but for knights, whose splits are only drawn apart: there it is likely at this size."""
    world = get(name)
    for level in world.levels:
        read = {str(world.problem(level, 0, number).prompt) for number in range(200)}
        held_out = world.held_out(level, 50)
        assert {problem.meta["difficulty"] for problem in held_out} == {level}
        assert not read & {str(problem.prompt) for problem in held_out}


@pytest.mark.parametrize("name", NAMES)
def test_a_reference_response_is_well_formed_and_right(name):
    world = get(name)
    for problem in islice(world.samples("test"), 10):
        task = world.task(world.level, world.level)
        response = Response(problem, world.render(problem), layout=task.layout, verify=task.verify)
        assert response.verdict.correct is True
        assert world.render(problem) == world.render(problem)


@pytest.mark.parametrize("name", NAMES)
def test_steps_that_can_be_followed_are_right_in_work_and_wrong_in_errors(name):
    world = get(name)
    assert world.checker is not None
    for problem, attempt, _ in written(name, world.main):
        assert world.checker.check(problem, attempt.thinking).valid
        assert world.checker.check(problem, world.checker.reference(problem)).valid
    for style in {"lucky", "flawed"} & set(world.styles):
        for problem, attempt, _ in written(name, style):
            assert world.checker.check(problem, attempt.thinking).first_wrong is not None, (style, attempt)


def dials_of(name, **shares):
    world = get(name)
    quiet = {"told": 0.0, "neutral": 0.0, "asked": 0.0}
    return Dials(world=name, sizes=tuple(1.0 for _ in world.levels), **{**quiet, **shares})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_document_is_written_in_every_world(name, kind):
    dials = dials_of(name, **{kind: 1.0}, asked_work=1.0, obedience=1.0)
    for index in range(15):
        doc = document(index, 0, dials)
        assert doc == document(index, 0, dials)
        assert doc.prompt[0]["role"] == "system"
        assert len(doc.responses) == dials.responses
        for text in doc.responses:
            if kind == "critique":
                assert tagged(text, "verdict") in ("right", "wrong")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["hint", "refine", "rubric"])
def test_those_who_are_helped_answer_rightly(name, kind):
    world = get(name)
    dials = Dials(world=name, asked_work=1.0, obedience=1.0)
    for number, problem in enumerate(problems(name, 6)):
        task = world.task(world.level, world.level)
        _, answers = KINDS[kind](world, world.writer(problem, Random(number)), task, dials)
        assert Response(problem, answers(), layout=task.layout, verify=task.verify).verdict.correct is True


@pytest.mark.parametrize("name", NAMES)
def test_verdicts_of_careful_critics_are_those_of_the_verifier(name):
    """The proposed answer stands in the prompt; both verdicts occur."""
    world, seen = get(name), set()
    for number, problem in enumerate(problems(name, 10)):
        task = world.task(world.level, world.level)
        prompt, answers = KINDS["critique"](
            world, world.writer(problem, Random(number)), task, Dials(world=name, asked_work=1.0)
        )
        shown = prompt[-1]["content"].rpartition("The answer is ")[2].partition("\n")[0]
        right = task.verify(problem, shown).correct
        assert tagged(answers(), "verdict") == ("right" if right else "wrong")
        seen.add(right)
    assert seen == {True, False}


@pytest.mark.parametrize("name", NAMES)
def test_a_hint_and_what_follows_it_are_one_solution(name):
    world = get(name)
    for number, problem in enumerate(problems(name, 6)):
        task = world.task(world.level, world.level)
        prompt, answers = KINDS["hint"](
            world, world.writer(problem, Random(number)), task, Dials(world=name, asked_work=1.0)
        )
        shown = prompt[-1]["content"].rpartition("The solution begins: ")[2]
        rest = task.layout.parse(answers()).thinking
        whole = f"{shown} {rest}"
        assert world.recognise(whole) == world.main
        if world.checker is not None:
            assert world.checker.check(problem, whole).valid


@pytest.mark.parametrize("name", NAMES)
def test_whoever_may_refuse_does_so_where_nobody_can_answer(name):
    """Or, in a world where everything can be answered, where no work was done. Of 40 documents both kinds occur but
    for one time in 10^12."""
    world, seen = get(name), set()
    task, dials = world.task(world.level, world.level), dials_of(name, refusal=1.0, asked_work=1.0)
    everything = world.writer(problems(name, 1)[0], Random(0)).unanswerable() is None
    for index in range(40):
        doc = document(index, 0, dials)
        assert UNKNOWN in doc.prompt[0]["content"]
        refused = [task.layout.parse(text).answer == UNKNOWN for text in doc.responses]
        if everything:
            assert refused == [not world.works(text) for text in doc.responses]
        else:
            assert all(refused) or not any(refused)
        seen.update(refused)
    assert seen == {True, False}


@pytest.mark.parametrize("name", NAMES)
def test_a_question_that_nobody_can_answer_is_another_question(name):
    world = get(name)
    for number, problem in enumerate(problems(name, 6)):
        assert world.writer(problem, Random(number)).unanswerable() != problem.prompt


@pytest.mark.parametrize("name", MIXED)
def test_styles_are_mixed_as_the_dials_say(name):
    """600 responses by workers, half of them in the second style: 0.12 off has a chance under 1e-7."""
    world = get(name)
    first, second = list(world.openings)[:2]
    dials = dials_of(name, untold_work=1.0, tags=1.0, styles={first: 0.5, second: 0.5})
    texts = [text for index in range(150) for text in document(index, 1, dials).responses]
    share = sum(world.recognise(text) == second for text in texts) / len(texts)
    assert abs(share - 0.5) < 0.12


@pytest.mark.parametrize("name", MIXED)
def test_whoever_is_asked_for_a_style_writes_in_it(name):
    world = get(name)
    for style, requests in world.requests.items():
        doc = document(3, 1, dials_of(name, asked=1.0, asked_work=1.0, tags=1.0, styles={style: 1.0}))
        assert any(request in doc.prompt[0]["content"] for request in requests)
        assert {world.recognise(text) for text in doc.responses} == {style}


def test_an_unknown_world_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="did you mean 'arithmetic'"):
        get("arithmetics")


def test_a_lab_base_is_trained_on_its_own_worlds_task(tmp_path, monkeypatch):
    folder = tmp_path / "bases" / "mine"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "card.json").write_text('{"world": "arithmetic"}')
    monkeypatch.setenv("MERF_CACHE", str(tmp_path))
    task = task_for(TrainOptions(model="lab:mine"))
    assert (task.name, task.digits) == ("digit-arithmetic", (get("arithmetic").level,) * 2)
    assert task_for(TrainOptions(model="lab:mine", task_options={"digits": [1, 2]})).digits == (1, 2)
    assert task_for(TrainOptions(model="lab:mine", task="countdown")).name == "countdown"
    assert task_for(TrainOptions(model="lab:knights")).name == "knights-knaves"
