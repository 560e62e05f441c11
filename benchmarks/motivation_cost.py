"""What telling the model the rules costs: step time with the motivation in every prompt, and without it.

Same model, problems, group size and response lengths (random text that may not end before the limit). Each of the two
has a process of its own; they take turns step by step, and the first step of each is left out.

    python benchmarks/motivation_cost.py [--minutes 2] [--rounds 40] [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import Contestant, llama, machine, median, publish, rounds, shares, show, spread
from engine_vs_trl import GROUP, PROBLEMS, prompts, run_ours

LIMITS = (40, 100)


def compare(limit: int, model: str, asked: argparse.Namespace, until: float) -> dict[str, Any]:
    """Seconds per step with the motivation and without it, and where they go."""
    everybody = {"model": model, "limit": limit, "ragged": False, "endless": True, "problems": asked.problems}
    everybody |= {"group": asked.group, "threads": asked.threads, "steps": asked.rounds + 2}
    running = {
        name: Contestant(__file__, {"told": told, **everybody}, asked.threads)
        for name, told in (("with", True), ("without", False))
    }
    steps: dict[str, list[dict[str, Any]]] = {name: [] for name in running}
    try:
        for contestant in running.values():
            contestant.step()
        for _ in rounds(asked.rounds, until):
            for name, contestant in running.items():
                steps[name].append(contestant.step())
        operations = {name: contestant.step(profiled=True)["operations"] for name, contestant in running.items()}
    finally:
        for contestant in running.values():
            contestant.stop()
    record: dict[str, Any] = {name: [step["wall"] for step in taken] for name, taken in steps.items()}
    record["ratio"] = median(record["with"]) / median(record["without"])
    record["profile"] = {
        name: {
            "sampling": median([step["parts"]["sampling"] / step["wall"] for step in taken]),
            "operations": operations[name],
        }
        for name, taken in steps.items()
    }
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2, help="rounds end in time for this")
    parser.add_argument("--rounds", type=int, default=40, help="at most so many")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tiny", action="store_true", help="the same code at a tiny size: no figures are kept")
    asked = parser.parse_args()
    asked.problems, asked.group = (2, 2) if asked.tiny else (PROBLEMS, GROUP)
    found: dict[str, Any] = {"machine": machine(asked.threads), "asked": vars(asked), "limits": {}}
    with tempfile.TemporaryDirectory() as folder:
        model = str(llama(Path(folder) / "model"))
        for limit, until in shares((4,) if asked.tiny else LIMITS, asked.minutes):
            found["limits"][str(limit)] = compare(limit, model, asked, until)
        from merf.policy.load import Chat, load_tokenizer

        chat = Chat(load_tokenizer(model))
        lengths = [
            median([float(len(chat.encode(chat.render(tuple(p))))) for p in prompts(told, 32)])
            for told in (True, False)
        ]
    found["prompt_tokens"] = lengths
    if not asked.tiny:
        publish("motivation_cost", found)
    rows = [
        [f"{limit} tokens", spread(r["with"]), spread(r["without"]), f"{r['ratio']:.3f}"]
        for limit, r in found["limits"].items()
    ]
    title = f"Step time; median prompt {lengths[0]:.0f} tokens with the motivation, {lengths[1]:.0f} without"
    show(title, ["responses of", "seconds with", "seconds without", "ratio"], rows, found)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].startswith("{"):
        run_ours(json.loads(sys.argv[1]))
    else:
        main()
