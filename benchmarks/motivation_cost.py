"""What telling the model the rules costs: step time with the motivation in every prompt, and without it.

Same model, problems, group size and response lengths (random text that may not end before the limit), rounds
alternating, each in a fresh process.

    python benchmarks/motivation_cost.py [--rounds 4] [--steps 8] [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import child, llama, machine, median, publish, show, spread
from engine_vs_trl import prompts, run_ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    rows, found = [], {"machine": machine(options.threads), "limits": {}}
    with tempfile.TemporaryDirectory() as folder:
        model = str(llama(Path(folder) / "model"))
        for limit in (40, 100):
            runs: dict[bool, list[float]] = {True: [], False: []}
            for _ in range(options.rounds):
                for told in runs:
                    arguments = {"model": model, "told": told, "limit": limit, "ragged": False, "endless": True}
                    arguments |= {"threads": options.threads, "steps": options.steps}
                    runs[told] += child(__file__, arguments, options.threads)["wall"]
            ratio = median(runs[True]) / median(runs[False])
            found["limits"][limit] = {"with": runs[True], "without": runs[False], "ratio": ratio}
            rows.append([f"{limit} tokens", spread(runs[True]), spread(runs[False]), f"{ratio:.3f}"])
        from merf.policy.load import Chat, load_tokenizer

        chat = Chat(load_tokenizer(model))
        lengths = [
            median([float(len(chat.encode(chat.render(tuple(p))))) for p in prompts(told, 32)])
            for told in (True, False)
        ]
    found["prompt_tokens"] = lengths
    publish("motivation_cost", found)
    title = f"Step time; median prompt {lengths[0]:.0f} tokens with the motivation, {lengths[1]:.0f} without"
    show(title, ["responses of", "seconds with", "seconds without", "ratio"], rows)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].startswith("{"):
        arguments: dict[str, Any] = json.loads(sys.argv[1])
        print(json.dumps(run_ours(arguments)))
    else:
        main()
