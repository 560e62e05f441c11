"""Every Python example in docs/integrations.md runs, and prints what the page says. Those for verifiers are in
`test_verifiers_package.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from merf.rules.rulebook import Rulebook
from tests.integrations.page import PAGE, examples
from tests.integrations.test_trl_trainer import SMALL


def test_the_trl_examples(
    tmp_path: Path, saved_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import trl

    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {
        "small": lambda **given: trl.GRPOConfig(**{**given, **SMALL, "num_generations": 8, "max_steps": 1})
    }
    ((training, _),) = examples("## TRL")
    training = training.replace("Qwen/Qwen2.5-0.5B-Instruct", str(saved_models["qwen2"]))
    exec(training.replace("GRPOConfig(", "small("), names)
    assert names["trainer"].state.global_step == 1
    for heading in ("### A dataset of your own", "### Where the motivation goes"):
        capsys.readouterr()
        ((code, output),) = examples(heading)
        exec(code, names)
        assert capsys.readouterr().out == output
    ((module, _),) = examples("### From the command line")
    (tmp_path / "data").mkdir()
    exec(module, {"__name__": "__main__"})
    assert (tmp_path / "data" / "train.parquet").exists()


def test_the_verl_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    ((code, output),) = examples("## verl")
    exec(code, {})
    assert capsys.readouterr().out == output


def test_what_cant_be_exported_is_what_the_page_says() -> None:
    """The table's rows against the refusals themselves."""
    expressions = {
        "members of a group": "Rulebook(Correct(), Diversity())",
        "over training": "Rulebook(Correct().annealed(Linear()))",
        "counts tokens": "Rulebook(Correct(), Overlong())",
    }
    for said, text in expressions.items():
        (row,) = [
            line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|") and said in line
        ]
        *_, trl, verl, verifiers, _ = (cell.strip() for cell in row.split("|"))
        for export, cell in ((lambda b: b.for_verl("x", "countdown"), verl), (lambda b: b.for_trl("countdown"), trl)):
            if cell == "yes":
                export(Rulebook.from_python(text))
            else:
                with pytest.raises(ValueError, match=r"looks at|changes over|counts"):
                    export(Rulebook.from_python(text))
        if verifiers == "refused":
            with pytest.raises(ValueError, match=r"looks at|changes over|counts"):
                Rulebook.from_python(text).for_verifiers("countdown")
