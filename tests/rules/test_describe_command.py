from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from merf import Concise, Correct, Rulebook
from merf.cli.describe import knights_and_knaves, main


def test_without_a_file_the_papers_rulebook_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    out = capsys.readouterr().out
    for style in ("full", "terse", "story"):
        assert knights_and_knaves().describe(style) in out
    assert "A response is paid from -3 to 3." in out
    assert "correctness\t-2\t+2\t" in out


def test_a_file_is_shown_as_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = Rulebook(Correct(), Concise().only_if(Correct()))
    book.save(tmp_path / "book.toml")
    main([str(tmp_path / "book.toml"), "--style", "terse", "--wording", "1", "--inverted"])
    out = capsys.readouterr().out
    assert book.inverted().describe("terse", 1) in out
    assert book.inverted().describe("story", 1) not in out
    main([str(tmp_path / "book.toml"), "--python"])
    assert Rulebook.from_python(capsys.readouterr().out) == book


def test_a_silent_rulebook_is_said_to_be_silent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Rulebook(Correct(), told=False).save(tmp_path / "book.toml")
    main([str(tmp_path / "book.toml")])
    assert "the model is told nothing" in capsys.readouterr().out


def test_at_a_terminal_it_is_set_in_boxes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    main([])
    out = capsys.readouterr().out
    assert "─" in out
    assert "correctness" in out


def test_a_typo_ends_the_command_with_one_line_of_advice(tmp_path: Path) -> None:
    (tmp_path / "book.toml").write_text('[[part]]\nrule = "Corect"\n')
    command = [sys.executable, "-c", "from merf.cli import main; main()", "describe", str(tmp_path / "book.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("line 2: no rule is called 'Corect'; did you mean 'Correct'?")
    assert "Traceback" not in done.stderr
