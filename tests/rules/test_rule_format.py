from __future__ import annotations

import time

import numpy as np
import pytest
from rule_samples import batch, respond, thought

from merf import Boxed, FinalLine, Format, JsonFormat, Matches, Plain

SCHEMA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}}}


@pytest.mark.parametrize(
    ("layout", "kept", "broken"),
    [
        ("think-answer", "<think>a</think><answer>4</answer>", "<think>a</think>4"),
        ("boxed", "so \\boxed{4}", "so \\boxed{4"),
        ("final-line", "so\n#### 4", "#### 4\nso"),
        ("plain", "4", " \n "),
        ("think-answer-confidence", "<think></think><answer></answer><confidence>1</confidence>", "<think></think>"),
    ],
)
def test_format_pays_for_keeping_any_layout(layout: str, kept: str, broken: str) -> None:
    rule = Format(good=1, bad=-1, layout=layout)
    assert rule.score(batch(respond(kept), respond(broken), respond(kept, finished=False))).tolist() == [1, -1, -1]
    assert rule.range == (-1, 1)


@pytest.mark.parametrize("layout", [Boxed(), FinalLine("=>"), Plain()])
def test_the_sentence_of_a_free_layout_does_not_claim_that_nothing_else_may_be_written(layout: object) -> None:
    said = Format(layout=layout).describe()
    assert "exactly" not in said
    assert said != Format().describe()


def test_json_is_checked_against_the_schema() -> None:
    rule = JsonFormat(SCHEMA)
    answers = ['{"name": "Ann"}', '{"name": "ann"}', "[]", "{", '{"name": "Ann", "age": NaN}', '{"n": 1}']
    assert rule.score(batch(*(thought("", answer) for answer in answers))).tolist() == [1, -1, -1, -1, -1, -1]


def test_json_can_be_asked_of_the_whole_response_and_without_a_schema() -> None:
    rule = JsonFormat(of="response")
    assert rule.score(batch(respond("[1, 2]"), respond("1, 2"))).tolist() == [1, -1]


def test_equal_schemas_make_equal_rules_however_they_are_written() -> None:
    assert JsonFormat('{"b": 1, "a": 2}') == JsonFormat({"a": 2, "b": 1})
    assert JsonFormat({"type": "array"}).describe() != JsonFormat({"type": "object"}).describe()


@pytest.mark.parametrize(
    ("schema", "advice"),
    [
        ({"type": "objekt"}, "not a JSON schema"),
        ("{", "not a JSON schema"),
        ({"$ref": "https://example.org/schema.json"}, "\\$defs"),
        ({"pattern": "("}, "not a 'regex'"),
        ({"patternProperties": {"[": {}}}, "not a 'regex'"),
    ],
)
def test_a_schema_that_could_fail_later_is_refused_at_once(schema: object, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        JsonFormat(schema)


DATE = Matches(r"\d{4}-\d{2}-\d{2}", "the final answer is a date such as 2024-01-31", good=1, bad=-1)


def test_a_pattern_has_to_match_from_end_to_end() -> None:
    answers = ["2024-01-31", " 2024-01-31\n", "on 2024-01-31", "2024-1-31"]
    assert DATE.score(batch(*(thought("", answer) for answer in answers), respond("2024-01-31"))).tolist() == [
        *(1, 1, -1, -1),
        -1,  # no readable answer
    ]


def test_the_full_style_shows_words_and_pattern() -> None:
    assert "a date such as 2024-01-31" in DATE.describe()
    assert r"`\d{4}-\d{2}-\d{2}`" in DATE.describe()
    assert r"\d" not in DATE.describe("terse")


def test_a_pattern_that_backtracks_for_ever_is_cut_off_and_gives_no_score() -> None:
    rule = Matches(r"(?:a|a|a)+b", "the answer is a row of a and one b")
    begun = time.monotonic()
    scores = rule.score(batch(thought("", "a" * 60 + "c"), thought("", "aab")))
    assert time.monotonic() - begun < 5
    assert np.array_equal(scores, [np.nan, 1.0], equal_nan=True)


@pytest.mark.parametrize(("pattern", "description", "advice"), [("(", "x", "can't be read"), ("a", " ", "describe")])
def test_a_pattern_without_words_or_sense_is_refused(pattern: str, description: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        Matches(pattern, description)


def test_an_unknown_layout_or_passage_is_refused() -> None:
    with pytest.raises(ValueError, match="think-answer"):
        Format(layout="thinkanswer")
    with pytest.raises(ValueError, match="'answer'"):
        JsonFormat(of="reply")
