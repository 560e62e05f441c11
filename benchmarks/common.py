"""What the benchmarks share: the machine's peak, models, time allowances, and contestants that take turns."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

HERE = Path(__file__).parent
RESULTS = HERE.parent / "docs" / "performance"


def matmul_peak(threads: int, seconds: float = 1.0, size: int = 2048) -> float:
    """The best rate of square float32 matrix products here, in GFLOP/s."""
    import torch

    torch.set_num_threads(threads)
    a, b = torch.randn(size, size), torch.randn(size, size)
    best, started = 0.0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        before = time.perf_counter()
        torch.mm(a, b)
        best = max(best, 2 * size**3 / (time.perf_counter() - before) / 1e9)
    return best


def machine(threads: int) -> dict[str, Any]:
    from importlib.metadata import version

    from merf.train.start import processor

    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "platform": platform.platform(),
        "matmul_peak_gflops": round(matmul_peak(threads), 1),
        "torch": version("torch"),
        "transformers": version("transformers"),
    }


def llama(folder: Path, width: int = 160, layers: int = 5, vocabulary: int | None = None, context: int = 2048) -> Path:
    """A random Llama-shaped model with the tokenizer of the lab's base, saved as an ordinary folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from merf.lab.bases import resolve
    from merf.policy.load import load_tokenizer

    if (folder / "config.json").exists():
        return folder
    tokenizer = load_tokenizer(resolve("lab:knights"))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary or len(tokenizer),
        hidden_size=width,
        intermediate_size=width * 8 // 3 // 16 * 16,
        num_hidden_layers=layers,
        num_attention_heads=max(width // 32, 1),
        num_key_value_heads=max(width // 32, 1),
        max_position_embeddings=context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def about(record: dict[str, Any]) -> str:
    """The machine of a record, in a line."""
    m = record["machine"]
    threads = "1 thread" if m["threads"] == 1 else f"{m['threads']} threads"
    return (
        f"{m['processor']}, {m['cores']} cores, {threads}, matmul peak {m['matmul_peak_gflops']:.0f} GFLOP/s; "
        f"torch {m['torch']}, transformers {m['transformers']}."
    )


def shares(items: Sequence[T], minutes: float) -> Iterator[tuple[T, float]]:
    """Each item, and the time (`time.monotonic`) until which it may take: an equal share of what is left."""
    end = time.monotonic() + 60 * minutes
    for done, item in enumerate(items):
        now = time.monotonic()
        what = item[0] if isinstance(item, tuple) else item
        print(f"{done + 1} of {len(items)}: {what}", file=sys.stderr)
        yield item, now + max(end - now, 0.0) / (len(items) - done)


def rounds(most: int, until: float) -> Iterator[int]:
    """0, 1, … below `most`, as long as one more round like the longest so far ends in time. At least one."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress

    began, longest = time.monotonic(), 0.0
    look = ("round {task.fields[round]}", BarColumn(), "at most {task.fields[left]:.0f} s left")
    # Drawn between rounds only, so that it takes nothing away from what is measured.
    with Progress(*look, console=Console(stderr=True), auto_refresh=False, transient=True) as bar:
        shown = bar.add_task("", total=max(until - began, 1e-9), round=1, left=max(until - began, 0.0))
        for n in range(most):
            before = time.monotonic()
            if n and before + longest > until:
                return
            bar.update(shown, completed=before - began, round=n + 1, left=max(until - before, 0.0))
            bar.refresh()
            yield n
            longest = max(longest, time.monotonic() - before)


def environment_of(threads: int) -> dict[str, str]:
    """What a child process finds around it."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }


def child(script: str, arguments: dict[str, Any], threads: int) -> dict[str, Any]:
    """Run `script` with JSON arguments in a fresh process and return the JSON it prints on its last line."""
    command = [sys.executable, script, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment_of(threads), check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{script} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


class Contestant:
    """A process that runs `script` with JSON arguments and takes one step whenever it is told to (see `Turns`)."""

    def __init__(self, script: str, arguments: dict[str, Any], threads: int) -> None:
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by `stop`)
        self.process = subprocess.Popen(
            [sys.executable, script, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment_of(threads),
        )

    def step(self, profiled: bool = False) -> dict[str, Any]:
        """Let it take a step; what it says of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write("profile\n" if profiled else "go\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.process.wait()
            self.errors.seek(0)
            raise RuntimeError(f"a contestant ended by itself:\n{self.errors.read()[-3000:]}")
        found: dict[str, Any] = json.loads(line)
        return found

    def stop(self) -> None:
        """Let it end; it takes no more steps."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


class Turns:
    """The contestant's side: waits for its turn before each step, and says what the step took. Made when all is ready
    for the first step.

    Whatever else the process prints goes to its error output.
    """

    def __init__(self) -> None:
        self.answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self.recording: Any = None
        self.before = peak_memory()
        self.wait()

    def wait(self) -> None:
        """Until it is this contestant's turn."""
        line = sys.stdin.readline()
        if not line:
            raise SystemExit
        if line == "profile\n":
            from torch.profiler import ProfilerActivity, profile

            self.recording = profile(activities=[ProfilerActivity.CPU])
            self.recording.__enter__()
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def done(self, **facts: Any) -> None:
        """The step is over: its seconds, CPU seconds, `facts`, and, if asked for, where its CPU time went."""
        said = {"wall": time.perf_counter() - self.wall, "cpu": time.process_time() - self.cpu, **facts}
        said |= {"memory": peak_memory(), "memory before": self.before}
        if self.recording is not None:
            self.recording.__exit__(None, None, None)
            said["operations"] = operations(self.recording)
            self.recording = None
        print(json.dumps(said), file=self.answers, flush=True)
        self.wait()


def operations(recording: Any, most: int = 8) -> dict[str, float]:
    """The operations that took most of a recorded piece of work, as shares of its CPU time."""
    events = sorted(recording.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    return {event.key: event.self_cpu_time_total / total for event in events[:most]}


def timed(work: Callable[..., T], into: dict[str, float], name: str) -> Callable[..., T]:
    """`work`, whose seconds are added up under `name`."""

    def measured(*args: Any, **kwargs: Any) -> T:
        before = time.perf_counter()
        try:
            return work(*args, **kwargs)
        finally:
            into[name] = into.get(name, 0.0) + time.perf_counter() - before

    return measured


def peak_memory() -> float:
    """The largest resident size of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def median(values: list[float]) -> float:
    return statistics.median(values)


def spread(values: list[float], digits: int = 2) -> str:
    """`median (lowest – highest)`."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} – {max(values):.{digits}f})"


def publish(name: str, record: dict[str, Any]) -> None:
    """Keep a record where the page finds it."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")


def show(title: str, header: list[str], rows: list[list[str]], record: dict[str, Any] | None = None) -> None:
    """Print a table, with the machine of `record` below it."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold")
    for i, column in enumerate(header):
        table.add_column(column, justify="left" if i == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console = Console(width=max(120, 20 * len(header)))
    console.print(table)
    if record is not None:
        console.print(about(record), highlight=False)
