"""A finished two-arm experiment with hostile text in its samples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from merf.report.runs import ArmRecord, RunRecord

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


def write_run(folder: Path, variant: str, gain: float) -> RunRecord:
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(
        'model = "lab:knights"\nsteps = 4\nproblems = 2\ngroup_size = 4\n'
        f'[motivation]\nvariant = "{variant}"\nexposure = "half"\n'
    )
    (folder / "motivation.txt").write_text("" if variant == "none" else "Scoring: right +2 <b>bold</b>")
    (folder / "status.json").write_text(json.dumps({"state": "done", "seconds": 12.5}))
    with (folder / "metrics.jsonl").open("w") as file:
        for step in range(4):
            record = {
                "step": step,
                "reward": step + gain,
                "rewards/correctness/mean": 0.1 * step,
                "rewards/format/mean": 0.9,
                "live_groups": 0.8,
                "correct": 0.1 * step,
                "entropy": 0.3,
                "num_tokens": 100 * (step + 1),
            }
            file.write(json.dumps(record) + "\n")
    with (folder / "evaluations.jsonl").open("w") as file:
        for step in (0, 2, 4):
            for mode in ("bare", "told"):
                accuracy = min(0.2 + 0.1 * step + gain + (0.1 if mode == "told" else 0), 1)
                record = {
                    "step": step,
                    "mode": mode,
                    "full": step != 2,
                    "accuracy": accuracy,
                    "tokens": 30.0,
                    "formatted": 0.9,
                    "pass@1": accuracy,
                    "pass@2": min(accuracy + 0.1, 1),
                }
                file.write(json.dumps(record) + "\n")
    with (folder / "samples.jsonl").open("w") as file:
        for i in range(24):
            sample = {
                "step": i % 4,
                "where": "training",
                "problem": f"p{i}",
                "prompt": [{"role": "user", "content": f"question {i} {HOSTILE}"}],
                "response": HOSTILE if i == 0 else f"response {i}",
                "answer": "Ann is a knight.",
                "scores": {"correctness": 2.0 if i % 2 else -1.5, "format": None if i == 3 else 1.0},
                "total": None if i == 3 else 3.0,
                "correct": bool(i % 2),
                "tokens": 5,
                "note": "<i>note</i>" if i == 0 else "",
            }
            file.write(json.dumps(sample) + "\n")
    return RunRecord(folder)


@pytest.fixture
def arms(tmp_path):
    return [
        ArmRecord("RLVR", [write_run(tmp_path / f"rlvr/seed-{s}", "none", 0.01 * s) for s in range(3)]),
        ArmRecord("MeRF", [write_run(tmp_path / f"merf/seed-{s}", "truth", 0.2 + 0.02 * s) for s in range(3)]),
    ]
