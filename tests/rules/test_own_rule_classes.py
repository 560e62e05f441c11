"""What someone needs who writes a class of rules in a module of their own (without postponed annotations)."""

import sys
from dataclasses import dataclass
from typing import ClassVar

import pytest
from rule_samples import RIGHT, batch, respond, thought

from merf import Correct, Response, Rulebook
from merf.rules.rule import LevelRule
from merf.rules.wording import Level


@dataclass(frozen=True)
class Polite(LevelRule):
    """Pays for saying please."""

    kind: float = 1.0
    rude: float = 0.0
    times: int = 1

    name: ClassVar[str] = "politeness"
    label: ClassVar[str] = "Politeness"

    def levels(self, wording: int = 0) -> tuple[Level, ...]:
        return (
            Level(self.kind, f"please is said {self.times} times", "polite", "saying please"),
            Level(self.rude, "it is not", "rude", "not doing so", f"please is not said {self.times} times"),
        )

    def classify(self, response: Response) -> int | None:
        return 0 if response.text.lower().count("please") >= self.times else 1


def test_an_own_class_takes_part_in_every_operation() -> None:
    rule = (Correct(1, 0, 0) * (1 + 0.5 * Polite())).ranked()
    assert rule.score(batch(thought("please"), RIGHT, respond("please"))).tolist() == [1, 0.5, 0]
    gated = Correct().only_if(~Polite(times=2))
    assert "only if please is not said 2 times" in gated.describe()
    assert (-Polite()).describe("terse") == "polite -1, rude 0"


def test_an_own_class_is_checked_like_the_librarys() -> None:
    with pytest.raises(ValueError, match="finite"):
        Polite(kind=float("nan"))
    with pytest.raises(TypeError, match="whole number"):
        Polite(times=1.5)
    with pytest.raises(ValueError, match="can't tell any two apart"):
        Polite(kind=0)


def test_an_own_class_is_saved_by_its_import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Polite, "__module__", "own_house")
    monkeypatch.setitem(sys.modules, "own_house", sys.modules[__name__])
    book = Rulebook(Correct(), Polite(times=2) * 0.5)
    assert 'rule = "own_house:Polite"' in book.as_toml()
    with pytest.raises(ValueError, match="trust_code=True"):
        Rulebook.from_toml(book.as_toml())
    assert Rulebook.from_toml(book.as_toml(), trust_code=True) == book
    assert Rulebook.from_python(book.as_python(), trust_code=True) == book
