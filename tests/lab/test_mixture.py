"""Mixtures: what a TOML file may say of a base model, and how mistakes in it are answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from merf.lab.build import BASES, base_named, known
from merf.lab.mixture import Mixture, mixtures
from merf.lab.worlds import WORLDS, get

TEXT = """
about = "a test"
world = "arithmetic"
[shape]
width = 64
[[trunk]]
steps = 3
sizes = [1, 0, 0, 0]
[branch]
steps = 5
[dials]
told = 0.5
sizes = [0.5, 0.5, 0, 0]
critique = 0.1
[dials.styles]
careful = 0.8
terse = 0.2
"""


def load(tmp_path: Path, text: str = TEXT) -> Mixture:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return Mixture.load(path)


def test_the_branch_reads_the_dials_and_the_trunk_worked_solutions(tmp_path):
    mixture = load(tmp_path)
    assert mixture.branch.dials.told == 0.5
    assert mixture.branch.dials.styles == {"careful": 0.8, "terse": 0.2}
    (trunk,) = mixture.trunk
    assert (trunk.steps, trunk.dials.told, trunk.dials.asked, trunk.dials.critique) == (3, 0.0, 1.0, 0.0)
    assert trunk.dials.sizes == (1, 0, 0, 0)
    assert trunk.dials.styles == {}
    assert mixture.shape.width == 64


@pytest.mark.parametrize("name", mixtures())
def test_every_worlds_mixture_can_be_read_and_is_small(name):
    base = base_named(name)
    assert base.dials.world in WORLDS
    assert base.about
    assert base.stage.end == 0.0
    assert base.trunk
    # At most 2 million parameters: 12 width² per layer, and the embedding.
    shape = base.shape
    assert 12 * shape.width**2 * shape.layers + shape.vocabulary * shape.width <= 2e6
    assert known()[name] == base


def test_every_world_can_be_built():
    built = {base.dials.world for base in known().values()}
    assert built == set(WORLDS)
    assert set(mixtures()) | {"knights"} >= set(WORLDS)
    assert not set(mixtures()) & set(BASES)


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ("told = 0.5", "tolt = 0.5", "did you mean .*dials.told"),
        ("[shape]", "[shapes]", "did you mean 'shape'"),
        ("width = 64", "widht = 64", "did you mean shape.width"),
        ("width = 64", "width = 'x'", "expected a whole number"),
        ('world = "arithmetic"', 'world = "arithmetics"', "did you mean 'arithmetic'"),
        ('world = "arithmetic"', "", "'world' is missing"),
        ("terse = 0.2", "tense = 0.2", "did you mean 'terse'"),
        ("terse = 0.2", "terse = -0.2", "0 or more"),
        ("terse = 0.2", "terse = 'much'", "0 or more"),
        ("told = 0.5", "told = 1.5", "between 0 and 1"),
        ("critique = 0.1", "critique = 0.6", "add up to"),
        ("sizes = [0.5, 0.5, 0, 0]", "sizes = [0.5, 0.5]", "a share for each difficulty"),
        ("steps = 5", "stpes = 5", "say how many steps"),
        ("[branch]\nsteps = 5", "", "'branch' is missing"),
        ("[[trunk]]", "[[trunk]", "not valid TOML"),
    ],
)
def test_a_mistake_is_refused_with_what_to_write_instead(tmp_path, wrong, right, message):
    assert wrong in TEXT
    with pytest.raises(ValueError, match=message) as refused:
        load(tmp_path, TEXT.replace(wrong, right))
    assert "mine.toml" in str(refused.value)


def test_a_mixture_of_ones_own_is_named_after_its_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    base = base_named(str(path))
    assert (base.name, base.dials.world, base.about) == ("mine", "arithmetic", "a test")
    with pytest.raises(ValueError, match="did you mean 'arithmetic'"):
        base_named("arithmetc")


def test_worlds_know_their_levels():
    for name in WORLDS:
        world = get(name)
        assert world.name == name
        assert world.level in world.levels
        assert set(world.openings) <= set(world.styles)
        assert set(world.requests) <= set(world.styles)
        assert world.main in world.openings
