"""Rules that misbehave on request; workers can only import modules."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from merf import Correct, Rulebook, rule


@rule
def hostile(text: str) -> float:
    """The response asks for nothing."""
    if "hang" in text:
        while True:
            pass
    if "grow" in text:
        bytearray(20 << 30)
    if "abort" in text:
        os.kill(os.getpid(), signal.SIGKILL)
    if "raise" in text:
        raise KeyError("nothing")
    if "number" in text:
        return 7.0
    return 1.0


@rule
def killing(text: str) -> float:
    """The response leaves the process alone that scores it."""
    place = Path(text.partition("kill unless ")[2].partition("<")[0])
    if "kill unless" in text and not place.exists():
        place.touch()
        os.kill(os.getppid(), signal.SIGKILL)
    return 1.0


book = Rulebook(hostile)
killer = Rulebook(Correct(), killing, killing.ranked().named("rank"))
