"""The page on scoring: every example is run, and prints what the page says it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "scoring.md"
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```\n\n^```text\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_examples_print_what_the_page_says(tmp_path: Path) -> None:
    # `merf` is the command of the Python that runs the tests.
    merf = tmp_path / "bin" / "merf"
    merf.parent.mkdir()
    merf.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m merf "$@"\n')
    merf.chmod(0o755)
    environment = {**os.environ, "PATH": f"{merf.parent}:{os.environ['PATH']}"}
    page = PAGE.read_text()
    examples = BLOCK.findall(page)
    assert len(examples) == len(re.findall(r"^```(?:bash|python)$", page, re.MULTILINE)) == 5
    for language, code, said in examples:
        command = ["bash", "-e", "-c", code] if language == "bash" else [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert done.stdout == said, code
