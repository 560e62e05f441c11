"""A call that hangs, grows or crashes costs itself and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from merf.tasks.deadline import Failure, KillablePool
from tests.tasks.slow_functions import broken, double, prepare, twice_by_another_pool


@pytest.fixture(scope="module")
def pool() -> Iterator[KillablePool]:
    with KillablePool(double, seconds=0.5, memory=300 << 20, workers=2) as pool:
        yield pool


BAD = {
    "hang": "time",
    "hang in C": "time",
    "grow": "memory",
    "raise": "error",
    "exit": "error",
    "abort": "died",
    "unpicklable": "error",
}


@pytest.mark.parametrize("item", BAD)
def test_a_bad_call_gives_a_typed_failure_and_the_next_one_works(pool: KillablePool, item: str) -> None:
    outcome = pool.call(item)
    assert isinstance(outcome, Failure)
    assert outcome.kind == BAD[item]
    assert outcome.note
    assert pool.call(21) == 42


def test_results_keep_the_order_of_the_items_whatever_happens_to_some(pool: KillablePool) -> None:
    items = [1, "hang", 2, "abort", 3, "raise", *range(4, 40)]
    outcomes = list(pool.map(items))
    assert len(outcomes) == len(items)
    for item, outcome in zip(items, outcomes, strict=True):
        assert outcome == item * 2 if isinstance(item, int) else isinstance(outcome, Failure)


def test_map_reads_only_a_little_ahead(pool: KillablePool) -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(10_000):
            taken.append(number)
            yield number

    results = pool.map(items())
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    assert len(taken) < 20


def test_many_threads_share_a_pool(pool: KillablePool) -> None:
    results: dict[int, object] = {}

    def ask(number: int) -> None:
        results[number] = pool.call(number) if number % 5 else pool.call("raise")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(results[n] == 2 * n if n % 5 else isinstance(results[n], Failure) for n in range(30))


def test_a_forked_child_uses_workers_of_its_own(pool: KillablePool) -> None:
    parents = pool.call("process")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, str(pool.call("process")).encode())
        os._exit(0)
    os.waitpid(child, 0)
    childs = int(os.read(read, 20))
    os.close(read)
    os.close(write)
    assert childs != parents
    assert pool.call(4) == 8


def test_killing_a_worker_takes_along_what_it_started() -> None:
    with KillablePool(double, seconds=20.0) as pool:
        group = pool.call("spawn and hang")
        assert len(running(group)) == 2
    assert wait_for_the_end(group)


def running(group: int) -> list[int]:
    """Processes of a group that still run (a container's first process may leave zombies lying about)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text("latin-1").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            found.append(int(entry.name))
    return found


def wait_for_the_end(group: int) -> bool:
    """Whether the group ends by itself; signals take a moment to arrive."""
    return any(not running(group) for _ in range(2000))


def test_workers_are_prepared_once_and_hash_alike() -> None:
    with KillablePool(double, prepare=prepare, seconds=20.0) as pool:
        assert pool.call("prepared") == ["prepared"]
        first = pool.call("hash")
    with KillablePool(double, seconds=20.0) as pool:
        assert pool.call("hash") == first
        assert pool.call("prepared") == []


def test_a_pool_inside_a_worker_of_another() -> None:
    with KillablePool(twice_by_another_pool, seconds=60.0) as pool:
        assert pool.call(5) == 10


def test_a_worker_that_cant_start_says_why() -> None:
    with KillablePool(double, prepare=broken) as pool, pytest.raises(RuntimeError, match="no such library"):
        pool.call(1)


def test_a_closed_pool_starts_again_when_asked() -> None:
    pool = KillablePool(double, seconds=20.0)
    assert pool.call(1) == 2
    pool.close()
    assert pool.call(2) == 4
    pool.close()


def test_functions_of_the_main_script_are_refused_before_a_worker_fails_on_them() -> None:
    def local() -> None: ...

    local.__module__ = "__main__"
    with pytest.raises(ValueError, match="move it to a module"):
        KillablePool(local)
    with pytest.raises(ValueError, match="positive"):
        KillablePool(double, seconds=0)


def test_a_script_may_use_a_pool_without_guarding_its_main_part() -> None:
    # With the standard library's spawn, a script without `if __name__ == "__main__"` starts itself over and over.
    script = (
        "from merf.tasks.deadline import KillablePool\n"
        "from merf.tasks.mathematics import explosive\n"
        "print(KillablePool(explosive, seconds=60).call('9^9^9'))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "a tower of powers\n"


def test_workers_end_with_their_parent() -> None:
    script = (
        "import os\nfrom merf.tasks.deadline import KillablePool\n"
        "pool = KillablePool(os.getpgid, seconds=60)\nprint(pool.call(0), flush=True)\nos._exit(1)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    group = int(done.stdout)
    assert wait_for_the_end(group)


def test_a_batch_that_kills_its_worker_again_and_again_loses_nothing_else(pool: KillablePool) -> None:
    items = [1, "hang", 2, "abort", "grow", 3, "raise", 4]
    kinds = [outcome.kind if isinstance(outcome, Failure) else outcome for outcome in pool.batch(items)]
    assert kinds == [2, "time", 4, "died", "memory", 6, "error", 8]
    assert pool.batch([]) == []


def test_batches_keep_the_order_of_the_items(pool: KillablePool) -> None:
    items = [*range(50), "abort", *range(50, 90)]
    outcomes = list(pool.map(items, size=16))
    assert [o for o in outcomes if not isinstance(o, Failure)] == [2 * n for n in range(90)]
    assert isinstance(outcomes[50], Failure)


def test_a_call_may_have_a_limit_of_its_own(pool: KillablePool) -> None:
    outcome = pool.call("hang", seconds=0.05)
    assert isinstance(outcome, Failure)
    assert outcome.note == "took longer than 0.05 s"


def test_a_pool_in_a_worker_keeps_to_the_memory_of_that_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    from merf.tasks.deadline import _limit_memory

    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 30, 1 << 30))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    _limit_memory(100 << 30)
    assert asked == [(1 << 30, 1 << 30)]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processor times of other processes")
def test_time_without_the_processor_does_not_count(pool: KillablePool) -> None:
    assert pool.seconds < 0.7
    assert pool.call("stop and go") == "went on"


def test_a_call_that_only_waits_is_ended_too(pool: KillablePool) -> None:
    outcome = pool.call("wait", seconds=0.05)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "time"
