"""A pure function under a time and memory limit that can't be argued with: the worker is killed.

Verifiers run other people's parsers on text that a policy in training wrote, and such text finds every
slow path there is (`9^9^9^9`, a backtracking regular expression). An alarm signal only works on the
main thread, and no Python-level timeout interrupts a long call in C. A process can always be killed.

    with KillablePool(slow_verify, seconds=2.0, workers=4) as pool:
        for item, outcome in zip(items, pool.map(items)):
            if isinstance(outcome, Failure):
                print(item, outcome.kind, outcome.note)

Quick calls are best handed over many at a time (`pool.batch(items)`, or `pool.map(items, size=64)`): the
worker answers them one by one, each under the limit, and a call that costs it its life costs no other one.

Workers are fresh interpreters started with `subprocess`, not forks: they inherit no threads, locks or
GPU state, and the caller's `__main__` isn't run again. That asks for a function that can be imported:
one defined at the top level of a module.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, Pipe
from multiprocessing.reduction import ForkingPickler
from typing import Any, Generic, Literal, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

Kind = Literal["time", "memory", "error", "died"]

BOOT = "import sys; sys.path[:] = {path!r}; from merf.tasks.deadline import serve; serve({channel})"
START_SECONDS = 120.0
"""How long a worker may take to import its function. Generous: a cold disk and a busy machine add up."""

PATIENCE = 10
"""How many times the limit a call may take on the clock while it is kept from the processor by other programs."""


@dataclass(frozen=True)
class Failure:
    """Why a call gave no result.

    time    it ran longer than the limit, and its worker was killed
    memory  it asked for more memory than allowed
    error   it raised an exception, named in `note`
    died    its worker ended by itself: a crash in C, or the machine ran out of memory
    """

    kind: Kind
    note: str


class KillablePool(Generic[In, Out]):
    """Calls `function` in worker processes; one call that hangs or explodes costs only itself.

    seconds   limit of one call in processor time, so that a busy machine changes no result; on the clock it may
              take `PATIENCE` times as long (where the system doesn't tell processor times: wall-clock limit)
    memory    bytes a call may use beyond what the worker holds after `prepare` (Linux; None: no limit)
    workers   most worker processes alive at a time; they are started when first needed
    prepare   called once in every worker before its first call, outside the time limit: slow imports

    Safe to call from any thread, and from a forked child (which starts workers of its own). Every call
    may land on a worker that has served others, so `function` must not depend on earlier calls. Workers
    hash strings with a fixed seed, so that code which iterates over a set gives the same result in all.
    """

    def __init__(
        self,
        function: Callable[[In], Out],
        *,
        seconds: float = 5.0,
        memory: int | None = 1 << 30,
        workers: int = 1,
        prepare: Callable[[], object] | None = None,
    ) -> None:
        if seconds <= 0 or workers < 1:
            raise ValueError(f"seconds={seconds}, workers={workers}: both must be positive")
        for named in (function, prepare):
            if getattr(named, "__module__", "") == "__main__":
                raise ValueError(
                    f"{named!r} is defined in the main script, which workers can't import; move it to a module"
                )
        self.seconds, self.workers = seconds, workers
        self._order = bytes(ForkingPickler.dumps((function, prepare, memory)))
        self._forget()
        self._finalizer = weakref.finalize(self, _kill_all, self._idle)
        _POOLS.add(self)

    def _forget(self) -> None:
        """Start from nothing: after a fork, the workers and the state of the locks belong to the parent."""
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._permits = threading.BoundedSemaphore(self.workers)

    def call(self, item: In, seconds: float | None = None) -> Out | Failure:
        """`function(item)`, or why there is no result. Blocks while all workers are busy."""
        return self.batch([item], seconds)[0]

    def batch(self, items: Sequence[In], seconds: float | None = None) -> list[Out | Failure]:
        """What `call` gives for each of `items`, from one worker at a time and in one message.

        The limit (`seconds` instead of the pool's, if given) is that of each call by itself. When a call costs
        the worker its life, another one goes on with the next item.
        """
        limit = self.seconds if seconds is None else seconds
        messages = [bytes(ForkingPickler.dumps(item)) for item in items]
        outcomes: list[Out | Failure] = []
        with self._permits:
            while len(outcomes) < len(messages):
                worker = self._take()
                try:
                    outcomes += worker.run(messages[len(outcomes) :], limit)
                except BaseException:
                    # Interrupted halfway: whatever this worker says next belongs to a question nobody waits for.
                    worker.kill()
                    raise
                if worker.alive:
                    with self._lock:
                        self._idle.append(worker)
        return outcomes

    def map(self, items: Iterable[In], size: int = 1) -> Iterator[Out | Failure]:
        """Outcomes in the order of `items`, computed by all workers; reads only a little ahead. `size` items
        at a time go to a worker."""
        waiting = iter(items)
        batches = iter(lambda: [*islice(waiting, size)], [])
        for outcomes in in_order(self.batch, batches, self.workers):
            yield from outcomes

    def close(self) -> None:
        """End the idle workers. The pool stays usable: the next call starts new ones."""
        with self._lock:
            _kill_all(self._idle)

    def __enter__(self) -> KillablePool[In, Out]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self) -> _Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    return worker
                worker.kill()
        return _Worker(self._order)


class _Worker:
    """One interpreter and the pipe to it."""

    def __init__(self, order: bytes) -> None:
        self.pipe, theirs = Pipe()
        with theirs:
            code = BOOT.format(path=sys.path, channel=theirs.fileno())
            # A session of its own, so that killing it takes along whatever it has started.
            self.process = subprocess.Popen(
                [sys.executable, "-c", code],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONHASHSEED": "0"},
                start_new_session=True,
            )
        try:
            self.pipe.send_bytes(order)
            ready = self._receive(START_SECONDS)
        except BaseException:
            self.kill()
            raise
        if ready != ("ready", None):
            self.kill()
            raise RuntimeError(f"a worker process could not start: {ready[1] if ready else 'it took too long'}")

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def run(self, messages: Sequence[bytes], seconds: float) -> list[Any]:
        """The answers to `messages`, in order, up to and including the first that this worker did not survive."""
        outcomes: list[Any] = []
        try:
            self.pipe.send((seconds, messages))
            while len(outcomes) < len(messages):
                reply = self._answer_within(seconds)
                if reply is None:
                    self.kill()
                    return [*outcomes, Failure("time", f"took longer than {seconds:g} s")]
                what, value = reply
                outcomes.append(value if what == "result" else Failure(what, value))
                if what == "memory":
                    # A worker that hit its limit is too full to be of use to the next call.
                    self.kill()
                    return outcomes
        except (EOFError, OSError):
            self.kill()
            return [*outcomes, Failure("died", f"the worker process ended with status {self.process.returncode}")]
        return outcomes

    def _answer_within(self, seconds: float) -> Any:
        """The next reply; None if the call has had its time."""
        spent, began = self._processor_time(), time.monotonic()
        left = seconds
        while not self.pipe.poll(left):
            left = seconds - (self._processor_time() - spent)
            if left <= 0 or time.monotonic() - began > PATIENCE * seconds:
                return None
            left = max(left, 0.01)
        return self.pipe.recv()

    def _processor_time(self) -> float:
        """Seconds that the process has been running for so far; the time on the clock where that isn't known."""
        try:
            # What clock_getcpuclockid(3) gives for a process, which Python doesn't offer.
            return time.clock_gettime((~self.process.pid << 3) | 2)
        except (OSError, OverflowError, AttributeError):
            return time.monotonic()

    def _receive(self, seconds: float) -> Any:
        return self.pipe.recv() if self.pipe.poll(seconds) else None

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.pipe.close()


def in_order(function: Callable[[In], Out], items: Iterable[In], threads: int) -> Iterator[Out]:
    """`map(function, items)` by several threads; reads only a little ahead of what is taken."""
    if threads == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="deadline") as running:
        waiting: deque[Future[Out]] = deque()
        try:
            for item in items:
                waiting.append(running.submit(function, item))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _kill_all(workers: list[_Worker]) -> None:
    while workers:
        workers.pop().kill()


_POOLS: weakref.WeakSet[KillablePool[Any, Any]] = weakref.WeakSet()


def _forget_all() -> None:
    for pool in _POOLS:
        pool._finalizer.detach()
        pool._forget()
        pool._finalizer = weakref.finalize(pool, _kill_all, pool._idle)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def serve(channel: int) -> None:
    """A worker's whole life: receive the function, then answer calls until the pipe closes."""
    pipe = Connection(channel)
    try:
        function, prepare, memory = pipe.recv()
        if prepare is not None:
            prepare()
    except BaseException as error:
        pipe.send(("error", _in_words(error)))
        return
    _limit_memory(memory)
    pipe.send(("ready", None))
    while True:
        try:
            seconds, messages = pipe.recv()
        except EOFError:
            return
        for message in messages:
            # If the parent is gone, nobody else ends a call that hangs. The alarm's default action is to
            # terminate the process, whatever it is doing.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, PATIENCE * seconds + 1.0)
            answer = _answer(function, message)
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            try:
                pipe.send_bytes(answer)
            except BrokenPipeError:
                return


def _answer(function: Callable[[Any], Any], message: bytes) -> bytes:
    try:
        return bytes(ForkingPickler.dumps(("result", function(ForkingPickler.loads(message)))))
    except MemoryError:
        return bytes(ForkingPickler.dumps(("memory", "ran out of the memory allowed")))
    except BaseException as error:
        return bytes(ForkingPickler.dumps(("error", _in_words(error))))


def _in_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _limit_memory(extra: int | None) -> None:
    """Cap the address space at what is in use plus `extra` bytes, where the system can."""
    if extra is None or not sys.platform.startswith("linux"):
        return
    import resource
    from pathlib import Path

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + extra
    # A pool inside a worker of another one can't grant more than that worker has.
    allowed = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = limit if allowed == resource.RLIM_INFINITY else min(limit, allowed)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
