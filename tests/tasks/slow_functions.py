"""What the tests of the killable pool run in its workers; workers can only import modules."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

LOADED: list[str] = []


def double(item: Any) -> Any:
    match item:
        case "hang":
            while True:
                pass
        case "stop and go":
            # Like a process that others keep from the processor for a while: another one stops it, then lets it go on.
            subprocess.Popen(["sh", "-c", f"kill -STOP {os.getpid()}; sleep 0.7; kill -CONT {os.getpid()}"]).wait()
            return "went on"
        case "wait":
            signal.pause()
        case "hang in C":
            return 9**9**9
        case "grow":
            return len(bytearray(10 << 30))
        case "raise":
            raise KeyError("nothing")
        case "exit":
            sys.exit(0)
        case "abort":
            os.kill(os.getpid(), signal.SIGKILL)
        case "unpicklable":
            return lambda: None
        case "spawn and hang":
            if os.fork() == 0:
                signal.pause()
            return os.getpid()
        case "process":
            return os.getpid()
        case "hash":
            return hash("the same in every worker")
        case "prepared":
            return list(LOADED)
    return item * 2


def prepare() -> None:
    LOADED.append("prepared")


def broken() -> None:
    raise ImportError("no such library")


def twice_by_another_pool(item: int) -> Any:
    from merf.tasks.deadline import KillablePool

    with KillablePool(double, seconds=20.0) as pool:
        return pool.call(item)
