"""A run's folder belongs to one process at a time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from merf.train.records import no_other_run_in

HOLD = """
import sys
from pathlib import Path
from merf.train.records import no_other_run_in
with no_other_run_in(Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_refused_to_a_second_process_and_free_after_a_kill(tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "mine\n"
        refused = pytest.raises(ValueError, match=r"another process is training into .*run.* choose another --out")
        with refused, no_other_run_in(folder):
            pytest.fail("two runs in one folder")
        other.kill()
    with no_other_run_in(folder):
        pass


def test_a_folder_is_free_after_a_run_that_failed(tmp_path):
    with pytest.raises(RuntimeError), no_other_run_in(tmp_path):
        raise RuntimeError
    with no_other_run_in(tmp_path):
        pass
