"""What `make demo` spends its time on, with the engine of this checkout and with that of an older commit, by turns.

The demo samples 16 responses a step (4 problems, half of each group told the rules), updates on them, and samples 80
to evaluate; prompts and responses are random tokens of the demo's lengths, so that both engines get the same work. The
older commit is checked out into a temporary folder. Whoever went first in a round goes last in the next.

    python benchmarks/since.py [COMMIT] [--minutes 4] [--rounds 30] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any

from common import HERE, Contestant, Turns, machine, median, publish, rounds, shares, show, spread

FIRST_DEMO = "268e95f"
"""The commit that brought the demo."""

WORK = ("a step's samples", "a step's update", "an evaluation's samples")


def take_turns(arguments: dict[str, Any]) -> None:
    """A contestant: one piece of `work` at a time with the package in the folder `source`."""
    sys.path.insert(0, arguments["source"])
    import torch

    import merf
    from merf.core.sampling import Sampling
    from merf.policy.logprobs import token_logprobs
    from merf.policy.policy import Policy
    from merf.policy.tree import Tree, hidden_states

    assert Path(str(merf.__file__)).is_relative_to(arguments["source"]), "another checkout's package was imported"
    torch.set_num_threads(arguments["threads"])
    policy = Policy.load(arguments["model"])
    policy.stops = frozenset({-1})  # nothing ends before its limit
    rng, small = Random(0), arguments["tiny"]

    def words(n: int) -> list[int]:
        return [rng.randrange(5, 500) for _ in range(n)]

    opening, motivation = words(14), words(86)
    problems = [words(rng.randrange(88, 100)) for _ in range(2 if small else 40)]
    told, bare = [opening + motivation + p for p in problems], [opening + p for p in problems]
    asked = [prompt for pair in zip(told[:4], bare[:4], strict=True) for prompt in pair for _ in range(2)]
    examined = [prompt for prompt in told for _ in range(2)]
    said = [words(4 if small else rng.randrange(90, 150)) for _ in asked]

    def sample(prompts: list[list[int]], tokens: int) -> None:
        policy.sample(prompts, Sampling(max_tokens=2 if small else tokens), list(range(len(prompts))))

    def update() -> None:
        place = {prompt: i for i, prompt in enumerate(dict.fromkeys(map(tuple, asked)))}
        tree = Tree.grow([list(prompt) for prompt in place], said, [place[tuple(prompt)] for prompt in asked])
        states = hidden_states(policy.model, tree)[tree.predictor[tree.own]]
        token_logprobs(policy.model, states, tree.tokens[tree.index[tree.own]])[0].mean().backward()
        policy.model.zero_grad()

    jobs = dict(zip(WORK, (lambda: sample(asked, 130), update, lambda: sample(examined, 60)), strict=True))
    job = jobs[arguments["work"]]
    job()
    turns = Turns()
    while True:
        job()
        turns.done()


def compare(work: str, sources: dict[str, str], model: str, asked: argparse.Namespace, until: float) -> dict[str, Any]:
    """Seconds of each engine, and the older one's in this one's, round by round."""
    everybody = {"work": work, "model": model, "threads": asked.threads, "tiny": asked.tiny}
    running = {
        name: Contestant(__file__, {"source": source, **everybody}, asked.threads) for name, source in sources.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in running}
    try:
        for n in rounds(asked.rounds, until):
            for name in (*running,) if n % 2 else (*reversed(running),):
                seconds[name].append(running[name].step()["wall"])
    finally:
        for contestant in running.values():
            contestant.stop()
    ratios = [then / now for then, now in zip(seconds["then"], seconds["now"], strict=True)]
    return {"seconds": seconds, "ratio": median(ratios), "ratios": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", nargs="?", default=FIRST_DEMO, help="what to compare with")
    parser.add_argument("--minutes", type=float, default=4, help="rounds end in time for this")
    parser.add_argument("--rounds", type=int, default=30, help="at most so many")
    parser.add_argument("--threads", type=int, default=1, help="the demo's arms have one each")
    parser.add_argument("--tiny", action="store_true", help="the same code at a tiny size: no figures are kept")
    asked = parser.parse_args()
    from merf.lab.bases import resolve

    root, model = HERE.parent, str(resolve("lab:knights-0"))
    found: dict[str, Any] = {"machine": machine(asked.threads), "asked": vars(asked), "work": {}}
    with tempfile.TemporaryDirectory() as folder:
        older = str(Path(folder) / "older")
        subprocess.run(["git", "-C", str(root), "worktree", "add", "--detach", older, asked.commit], check=True)
        try:
            sources = {"then": f"{older}/src", "now": str(root / "src")}
            for work, until in shares(WORK, asked.minutes):
                found["work"][work] = compare(work, sources, model, asked, until)
        finally:
            subprocess.run(["git", "-C", str(root), "worktree", "remove", "--force", older], check=True)
    if not asked.tiny:
        publish("since", found)
    rows = [
        [work, spread(r["seconds"]["then"]), spread(r["seconds"]["now"]), f"{r['ratio']:.2f}×"]
        for work, r in found["work"].items()
    ]
    show(f"The demo's work, {asked.commit} and now", ["", "seconds then", "seconds now", "then, in now"], rows, found)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].startswith("{"):
        take_turns(json.loads(sys.argv[1]))
    else:
        main()
