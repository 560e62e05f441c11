"""Runs code that a model wrote, and judges it from outside.

The judge and the judged never share a process. The solution runs in a sandbox that knows the inputs but
not the expected answers; plain values (see `inside`) come back over a socket and are compared here, or
by test code in a second sandbox of its own. So there is no pass marker to print and no harness to
overwrite: the only way to send the right values is to compute them.

Two kinds of sandbox:

bubblewrap  where the `bwrap` tool is installed and may create namespaces: the solution sees the Python
            installation and `/usr`, read-only, and an empty scratch folder in memory; no other files, no
            environment variables, no network, no other processes.
subprocess  elsewhere: a process with an empty environment, a scratch folder, limits on CPU time,
            memory, processes and file size, without network where the system permits, under a user id
            of its own if we are root. It can read (and, without root, write) what the user can.
            **This is not a security boundary**; it keeps accidents and lazy hacks at bay.

In both, everything the solution started is killed when the verdict is in or the time is up.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Literal

from merf.tasks import inside
from merf.tasks.inside import decode, encode, read_message, write_message

Kind = Literal["bubblewrap", "subprocess"]

START_SECONDS = 30.0
"""How long a sandbox may take to start before it counts as broken. Mostly it takes 0.03."""

FIRST_UID = 200_000
"""As root, each sandbox gets a user id of its own from here on, so that limits on processes count it alone.
Inside a container that maps fewer ids, it is one of the upper half of those."""


@dataclass(frozen=True)
class Limits:
    """What one answer may use.

    seconds    wall-clock time for everything, and CPU time of any one process
    memory     bytes of address space of any one process
    processes  processes and threads at a time
    output     bytes of one value or of what one run prints
    scratch    bytes of files in the scratch folder
    """

    seconds: float = 10.0
    memory: int = 512 << 20
    processes: int = 8
    output: int = 1 << 20
    scratch: int = 16 << 20


class Stopped(Exception):
    """The solution can't be asked any further: it ended, ran out of time or sent something unreadable."""


class Raised(Exception):
    """The solution raised an exception of its own."""


class Broken(Exception):
    """The sandbox itself failed; nothing is known of the solution."""


class Box:
    """A running sandbox that has been given its order, as a context. Everything in it dies at the end."""

    def __init__(self, kind: Kind, limits: Limits, order: Mapping[str, Any], deadline: float | None = None) -> None:
        self.kind, self.limits = kind, limits
        self.deadline = deadline or time.monotonic() + limits.seconds
        self.scratch = tempfile.mkdtemp(prefix="merf-scratch-") if kind == "subprocess" else None
        self.channel, theirs = socket.socketpair()
        uid = _spare_uid() if os.geteuid() == 0 else None
        if self.scratch and uid is not None:
            os.chown(self.scratch, uid, uid)
        try:
            with theirs:
                self.process = subprocess.Popen(
                    [*self._wrapping(), _python(kind), "-I", "-S", "-B", "-c", _program()],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={"LC_ALL": "C.UTF-8"},
                    cwd=self.scratch or "/",
                    start_new_session=True,
                )
        except OSError as error:
            self._tidy()
            raise Broken(f"can't start a sandbox: {error}") from error
        allowances = {
            "cpu": int(limits.seconds) + 1,
            "memory": limits.memory,
            "file": limits.scratch,
            "processes": limits.processes + _present(uid, kind),
            "output": limits.output,
        }
        contained = kind == "bubblewrap"
        self.channel.settimeout(START_SECONDS)
        try:
            if read_message(self.channel, 100) != "ready":
                raise ValueError("no greeting")
            write_message(
                self.channel,
                {**order, "limits": allowances, "uid": uid, "contained": contained, "lonely": not contained},
            )
        except (OSError, EOFError, ValueError) as error:
            self.close()
            raise Broken(f"a sandbox didn't start: {type(error).__name__} {error}") from error

    def _wrapping(self) -> list[str]:
        return _bubblewrap(self.limits.scratch) if self.kind == "bubblewrap" else []

    def send(self, message: Any) -> None:
        try:
            self.channel.settimeout(self._left())
            write_message(self.channel, message)
        except TimeoutError:
            raise Stopped(f"took longer than {self.limits.seconds:g} s") from None
        except OSError:
            raise Stopped("the process ended") from None

    def receive(self) -> Any:
        """The next message, before the deadline."""
        try:
            self.channel.settimeout(self._left())
            return read_message(self.channel, self.limits.output * 4 + 1000)
        except TimeoutError:
            raise Stopped(f"took longer than {self.limits.seconds:g} s") from None
        except ValueError as error:
            raise Stopped(f"unreadable or too long: {error}") from None
        except (EOFError, OSError):
            raise Stopped("the process ended") from None

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def close(self) -> None:
        """Kill the whole tree and wait until it is gone.

        A process namespace dies with its first process, bubblewrap's child, and bubblewrap itself ends only
        when all of it has; elsewhere the supervisor kills what it started when it is told to end.
        """
        self.channel.close()
        if self.kind == "bubblewrap":
            for child in _children(self.process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        else:
            self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5.0)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._tidy()

    def _tidy(self) -> None:
        if self.scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def __enter__(self) -> Box:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_turns = count(os.getpid() << 12)


def _spare_uid() -> int:
    """A user id that nobody has and, most likely, no other sandbox of the moment."""
    top = 1 << 31
    with contextlib.suppress(OSError, ValueError):
        maps = Path("/proc/self/uid_map").read_text().splitlines()
        top = min(top, max(int(line.split()[0]) + int(line.split()[2]) for line in maps))
    first = min(FIRST_UID, top // 2)
    return first + next(_turns) % (top - first - 2)


def _children(process: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(n) for n in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []


@dataclass(frozen=True)
class Sandbox:
    """Starts boxes of one kind; without a kind, the best that works here."""

    limits: Limits = Limits()
    kind: Kind | None = None

    def _box(self, order: Mapping[str, Any], deadline: float | None = None) -> Box:
        return Box(self.kind or best_kind(), self.limits, order, deadline)

    def functions(self, source: str) -> Functions:
        """Run `source` and make what it defined callable from here. Raises Raised or Stopped if it won't run."""
        box = self._box({"mode": "functions", "source": source})
        try:
            reply = box.receive()
            if not isinstance(reply, dict):
                raise Stopped("an unreadable reply")
            if "raised" in reply:
                raise Raised(_words(reply))
            names = reply.get("names")
            return Functions(box, [n for n in names if isinstance(n, str)] if isinstance(names, list) else [])
        except BaseException:
            box.close()
            raise

    def outputs(self, source: str, inputs: Sequence[str]) -> Iterator[str]:
        """What `source` prints as a script, for each input in turn. Raises Stopped where a run fails."""
        with self._box({"mode": "program", "source": source, "inputs": list(inputs)}) as box:
            for _ in inputs:
                match box.receive():
                    case {"flooded": True}:
                        raise Stopped("printed too much")
                    case {"status": 0, "output": str(output)}:
                        yield output
                    case {"status": int(status)}:
                        raise Stopped(f"ended with status {status}")
                    case _:
                        raise Stopped("an unreadable reply")

    def failures(
        self, source: str, tests: Sequence[str], names: Sequence[str], setup: str = "", check: str = ""
    ) -> list[str | None]:
        """What each test finds wrong with the solution, None where it passes.

        The tests run in a sandbox of their own; `names` are what they may use of the solution. A test
        that defines `check(candidate)` is called with the solution's `check`. Raises Stopped where the
        solution ends before the tests do, Broken where a test can't be run across a boundary.
        """
        with self.functions(source) as solution:
            order = {"mode": "tests", "tests": list(tests), "setup": setup, "names": list(names), "check": check}
            with self._box(order, solution.box.deadline) as judge:
                while True:
                    match judge.receive():
                        case {"done": [*results]} if len(results) == len(tests):
                            break
                        case {"do": str()} as question:
                            solution.box.send(question)
                            judge.send(_checked(solution.box.receive()))
                        case _:
                            raise Broken("the tests sent something unreadable")
        for result in results:
            if result and result["raised"] == inside.CantBeAsked.__name__:
                raise Broken(result["text"])
        return [result and _words(result) for result in results]


class Functions:
    """The functions of a running solution, as a context."""

    def __init__(self, box: Box, names: Sequence[str]) -> None:
        self.box, self.names = box, names

    def call(self, name: str, arguments: Sequence[Any]) -> Any:
        """What the solution's function returns, which is always a plain value.

        Raises Raised for an exception or a value that isn't plain, Stopped where there is no answer.
        """
        packed = [encode(argument) for argument in arguments]
        self.box.send({"do": "call", "of": name, "args": packed, "kwargs": {}})
        reply = _checked(self.box.receive())
        if "raised" in reply:
            raise Raised(_words(reply))
        if "kind" in reply:
            raise Raised(f"returned a {reply['kind']}, not a plain value")
        try:
            return decode(reply["value"])
        except (ValueError, RecursionError):
            raise Stopped("an unreadable reply") from None

    def __enter__(self) -> Functions:
        return self

    def __exit__(self, *_: object) -> None:
        self.box.close()


def _checked(reply: Any) -> dict[str, Any]:
    """A reply of an untrusted process, known to have the right form."""
    if isinstance(reply, dict):
        if isinstance(reply.get("raised"), str):
            return {"raised": reply["raised"][:100], "text": str(reply.get("text", ""))[:300]}
        if "value" in reply:
            with contextlib.suppress(ValueError, RecursionError):
                decode(reply["value"], lambda number: None)
                kind = {"kind": str(reply["kind"])[:100]} if "kind" in reply else {}
                return {"value": reply["value"], **kind}
    raise Stopped("an unreadable reply")


def _words(raised: Mapping[str, Any]) -> str:
    return f"{raised['raised']}: {raised.get('text', '')}".rstrip(": ")[:300]


@cache
def best_kind() -> Kind:
    """bubblewrap where it works, found out by starting one; else the subprocess, with a warning. Broken where
    neither works."""
    if shutil.which("bwrap") is None:
        reason = "bubblewrap is not installed"
    elif fault := _fault("bubblewrap"):
        reason = f"bubblewrap doesn't work here ({fault})"
    else:
        return "bubblewrap"
    if fault := _fault("subprocess"):
        raise Broken(f"{reason}, and neither does a limited subprocess ({fault})")
    warnings.warn(
        f"{reason}: code is run in a limited subprocess, which is not a security boundary. "
        "On Debian and Ubuntu: apt-get install bubblewrap",
        RuntimeWarning,
        stacklevel=3,
    )
    return "subprocess"


def _fault(kind: Kind) -> str:
    """What keeps a sandbox from running the simplest of solutions; empty if nothing does."""
    try:
        with Sandbox(kind=kind).functions("def f(): return 1") as solution:
            return "" if solution.call("f", ()) == 1 else "it computes wrongly"
    except (Broken, Stopped, Raised) as error:
        return str(error)


# How a sandbox is started.


@cache
def _source() -> str:
    return Path(inside.__file__).read_text(encoding="utf-8")


def _program() -> str:
    return f"{_source()}\nmain()\n"


def _python(kind: Kind) -> str:
    """The bare interpreter under any virtual environment, at the place where it is inside the sandbox."""
    folder = "/python" if kind == "bubblewrap" else sys.base_prefix
    return f"{folder}/bin/python{sys.version_info.major}.{sys.version_info.minor}"


def _bubblewrap(scratch: int) -> list[str]:
    """The command that makes a new root from nothing but what a Python interpreter needs."""
    command = ["bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    if os.geteuid() == 0:
        # Enough to take on another user id and to kill what runs under it; gone once that is done.
        command += ["--cap-drop", "ALL"]
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_KILL"):
            command += ["--cap-add", capability]
    else:
        command += ["--unshare-user"]
    command += ["--die-with-parent", "--clearenv", "--setenv", "LC_ALL", "C.UTF-8", "--ro-bind", "/usr", "/usr"]
    for folder in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        if Path(folder).is_symlink():
            command += ["--symlink", str(Path(folder).readlink()), folder]
        elif Path(folder).is_dir():
            command += ["--ro-bind", folder, folder]
    command += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--ro-bind", sys.base_prefix, "/python"]
    command += ["--proc", "/proc", "--dev", "/dev"]
    command += ["--size", str(scratch), "--perms", "0777", "--tmpfs", "/scratch", "--chdir", "/scratch"]
    return [*command, "--remount-ro", "/"]


def _present(uid: int | None, kind: Kind) -> int:
    """Processes and threads that already count against the limit: this user's, unless the sandbox has a user
    (or a user namespace) of its own."""
    if uid is not None or kind == "bubblewrap":
        # The supervisor and bubblewrap's two processes.
        return 0 if uid is not None else 3
    found = 0
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if entry.stat().st_uid == os.getuid():
                found += sum(1 for _ in (entry / "task").iterdir())
    return found
