"""The part of the sandbox that runs inside it: starts untrusted code and answers for it over one socket.

The whole file is handed to a bare interpreter as `python -c`, so it uses the standard library alone. It
also defines the *plain values* which are all that ever crosses the boundary: numbers, text, bytes, None
and lists, tuples, sets and dicts of them. No object of the solution's making gets out, so it can't bring
an `__eq__` that says yes to everything.

Modes, named by the first message:
functions  runs the source once, then answers calls of what it defined
program    runs the source once per input, with the input on stdin, and returns what it printed
tests      runs test code in which the names under test stand for functions in *another* sandbox
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

DEEPEST = 60
"""Nesting of plain values."""

MOST_ITEMS = 100_000
"""Items taken from an iterator or generator that a solution returned."""

# Plain values, as JSON with tags for what JSON lacks.


def encode(value: Any, depth: int = 0) -> Any:
    """A plain value as JSON data. TypeError for anything else; subclasses are reduced to their plain base."""
    if depth > DEEPEST:
        raise TypeError(f"nested deeper than {DEEPEST}")
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        # As hexadecimal: decimal digits take quadratic time, and Python refuses more than 4,300 of them.
        return int(value) if -(2**53) < value < 2**53 else {"int": hex(value)}
    if isinstance(value, float):
        return {"float": float.hex(value)}
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, complex):
        return {"complex": [float.hex(value.real), float.hex(value.imag)]}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": bytes(value).hex()}
    for name, kind in CONTAINERS.items():
        if isinstance(value, kind):
            items = [encode(item, depth + 1) for item in value]
            return items if name == "list" else {name: items}
    if isinstance(value, dict):
        return {"dict": [[encode(k, depth + 1), encode(v, depth + 1)] for k, v in dict.items(value)]}
    raise TypeError(f"{type(value).__name__} is not a plain value")


CONTAINERS: dict[str, type[Any]] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


def _decoder(kind: type[Any]) -> Callable[[Any], Any]:
    return lambda items: kind(map(decode, items))


DECODERS: dict[str, Callable[[Any], Any]] = {
    "int": lambda text: int(text, 16),
    "float": float.fromhex,
    "complex": lambda parts: complex(*map(float.fromhex, parts)),
    "bytes": bytes.fromhex,
    "dict": lambda pairs: {decode(k): decode(v) for k, v in pairs},
    **{name: _decoder(kind) for name, kind in CONTAINERS.items()},
}


def decode(data: Any, objects: Callable[[int], Any] | None = None) -> Any:
    """The value that `encode` was given; `objects` makes stand-ins for what isn't plain. ValueError for
    anything that `encode` doesn't write."""
    if data is None or isinstance(data, (bool, int, str)):
        return data
    if isinstance(data, list):
        return [decode(item) for item in data]
    if isinstance(data, dict) and len(data) == 1:
        ((tag, content),) = data.items()
        if tag == "object" and objects is not None and isinstance(content, int):
            return objects(content)
        if tag in DECODERS:
            try:
                return DECODERS[tag](content)
            except (TypeError, AttributeError, OverflowError) as error:
                raise ValueError(f"malformed {tag}") from error
    raise ValueError("malformed value")


# Messages: four bytes of length, then JSON.


def write_message(channel: socket.socket, message: Any) -> None:
    body = json.dumps(message).encode()
    channel.sendall(struct.pack(">I", len(body)) + body)


def read_message(channel: socket.socket, longest: int = 1 << 30) -> Any:
    """The next message. EOFError at the end, ValueError for one that is too long or isn't JSON."""
    (length,) = struct.unpack(">I", _read(channel, 4))
    if length > longest:
        raise ValueError(f"a message of {length} bytes")
    try:
        return json.loads(_read(channel, length), parse_int=_short_int)
    except RecursionError as error:
        raise ValueError("malformed message") from error


def _short_int(digits: str) -> int:
    """What `encode` writes as a JSON number has at most 17 characters; converting millions would take hours."""
    if len(digits) > 17:
        raise ValueError("malformed number")
    return int(digits)


def _read(channel: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = channel.recv(min(count - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


# Mode "functions".


def serve_functions(channel: socket.socket, source: str) -> None:
    """Run the source, say which names it defined, then answer calls."""
    namespace: dict[str, Any] = {"__name__": "solution", "__builtins__": __builtins__}
    try:
        exec(compile(source, "solution.py", "exec"), namespace)
    except BaseException as error:
        write_message(channel, _raised(error))
        return
    names = [name for name, value in namespace.items() if callable(value) and name != "__builtins__"]
    write_message(channel, {"names": names[:1000]})
    objects: list[Any] = []

    def outcome(request: dict[str, Any]) -> Any:
        target = request["of"]
        found = namespace[target] if isinstance(target, str) else objects[target]
        what = request["do"]
        if what == "call":
            result = found(*map(decode, request["args"]), **{k: decode(v) for k, v in request["kwargs"].items()})
        elif what == "attribute":
            result = getattr(found, request["name"])
        else:
            result = []
            for item in found:
                if len(result) >= MOST_ITEMS:
                    raise ValueError(f"more than {MOST_ITEMS} items")
                result.append(item)
        try:
            return {"value": encode(result)}
        except TypeError:
            objects.append(result)
            return {"value": {"object": len(objects) - 1}, "kind": type(result).__name__}

    while True:
        request = read_message(channel)
        try:
            reply = outcome(request)
        except BaseException as error:
            reply = _raised(error)
        write_message(channel, reply)


def _raised(error: BaseException) -> dict[str, str]:
    try:
        text = str(error)[:300]
    except BaseException:
        text = ""
    return {"raised": type(error).__name__, "text": text}


# Mode "tests".


class Remote:
    """Stands in the test code for something in the solution's sandbox.

    It equals nothing but itself, and it is neither true nor false: a test learns about the solution only
    through plain values.
    """

    def __init__(self, channel: socket.socket, of: Any) -> None:
        self._channel, self._of = channel, of

    def _ask(self, do: str, **details: Any) -> Any:
        write_message(self._channel, {"do": do, "of": self._of, **details})
        reply = read_message(self._channel)
        if "raised" in reply:
            import builtins

            kind = getattr(builtins, reply["raised"], None)
            # Only ordinary exceptions travel: a SystemExit must not end the tests.
            ordinary = isinstance(kind, type) and issubclass(kind, Exception) and kind is not AssertionError
            raise (kind if isinstance(kind, type) and ordinary else RuntimeError)(reply["text"])
        return decode(reply["value"], lambda number: Remote(self._channel, number))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            packed = [encode(a) for a in args], {k: encode(v) for k, v in kwargs.items()}
        except TypeError as error:
            raise CantBeAsked(f"a test passes an argument that can't leave its sandbox: {error}") from None
        return self._ask("call", args=packed[0], kwargs=packed[1])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._ask("attribute", name=name)

    def __iter__(self) -> Any:
        return iter(self._ask("items"))

    def __bool__(self) -> bool:
        raise TypeError("an object of the solution is neither true nor false here")


class CantBeAsked(Exception):
    """The test itself can't be run this way; nothing is known of the solution."""


def run_tests(channel: socket.socket, tests: list[str], setup: str, names: list[str], check: str) -> None:
    """Run each test in a namespace of its own and report what failed (None: passed)."""
    results: list[dict[str, str] | None] = []
    for test in tests:
        namespace: dict[str, Any] = {name: Remote(channel, name) for name in names}
        namespace["__name__"] = "tests"
        try:
            exec(compile(setup, "setup.py", "exec"), namespace)
            namespace.update({name: Remote(channel, name) for name in names})
            exec(compile(test, "test.py", "exec"), namespace)
            if check and callable(namespace.get("check")):
                namespace["check"](namespace[check])
            results.append(None)
        except BaseException as error:
            results.append(_raised(error))
    write_message(channel, {"done": results})


# The process that untrusted code runs in.


def confine(limits: dict[str, int], uid: int | None, lonely: bool) -> None:
    """Give up everything this process could do that a solution needn't. Hard limits: there is no way back."""
    import resource

    if lonely:
        _leave_network(uid is None)
        if uid is not None:
            _keep_library()
    for name, value in (
        ("RLIMIT_CPU", limits["cpu"]),
        ("RLIMIT_AS", limits["memory"]),
        ("RLIMIT_FSIZE", limits["file"]),
        ("RLIMIT_NOFILE", 64),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_NPROC", limits["processes"]),
    ):
        if hasattr(resource, name):
            kind = getattr(resource, name)
            hard = resource.getrlimit(kind)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            # macOS knows some of these limits by name only.
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(kind, (value, value))
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def _keep_library() -> None:
    """Root's Python may live where no other user can go (`/root/.pyenv`); an open folder stays open to all."""
    import fcntl

    folder = fcntl.fcntl(os.open(sys.prefix, os.O_RDONLY | os.O_DIRECTORY), fcntl.F_DUPFD, 200)
    os.set_inheritable(folder, True)
    packages = [
        module.__path__ for module in sys.modules.values() if isinstance(getattr(module, "__path__", None), list)
    ]
    for places in (sys.path, *packages):
        places[:] = [place.replace(sys.prefix, f"/proc/self/fd/{folder}", 1) for place in places]
    sys.path_importer_cache.clear()


def _leave_network(unprivileged: bool) -> None:
    """Move to a network namespace without any network, where the system lets us."""
    import ctypes

    new_user, new_network = 0x10000000, 0x40000000
    ctypes.CDLL(None).unshare(new_network | (new_user if unprivileged else 0))


_started: list[int] = []
"""Children of this process, each the first of a session of its own."""


def start(
    action: Callable[[], None], order: dict[str, Any], stdin: int | None = None, stdout: int | None = None
) -> int:
    """Fork a confined child that does `action`; its process number."""
    child = os.fork()
    if child:
        _started.append(child)
        return child
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for target, given in ((0, stdin), (1, stdout), (2, None)):
            os.dup2(nothing if given is None else given, target)
        confine(order["limits"], order["uid"], order["lonely"])
        action()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        status = 1
    finally:
        try:
            sys.stdout.flush()
        finally:
            os._exit(status & 255)


def run_program(source: str, order: dict[str, Any], text: str) -> dict[str, Any]:
    """Run the source as a script on one input. Output goes to a file, whose size the limits bound."""
    import tempfile

    with tempfile.TemporaryFile(dir=".") as given, tempfile.TemporaryFile(dir=".") as printed:
        given.write(text.encode())
        given.seek(0)

        def action() -> None:
            os.closerange(3, 64)
            sys.argv = ["solution.py"]
            sys.stdin = os.fdopen(0, encoding="utf-8")
            sys.stdout = os.fdopen(1, "w", encoding="utf-8")
            exec(compile(source, "solution.py", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})

        child = start(action, order, given.fileno(), printed.fileno())
        _, status = os.waitpid(child, 0)
        sweep(order)
        printed.seek(0)
        output = printed.read(order["limits"]["output"] + 1)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "output": output[: order["limits"]["output"]].decode("utf-8", "replace"),
        "flooded": len(output) > order["limits"]["output"],
    }


def sweep(order: dict[str, Any]) -> None:
    """Kill everything that untrusted code left running, and wait until it is gone."""
    while _started:
        _signal(-_started.pop())
    if order["contained"]:
        # In a process namespace of our own, "everybody" is only what was started here.
        _signal(-1)
    elif order["uid"] is not None:
        # Nobody else has this user id.
        if os.fork() == 0:
            os.setresuid(order["uid"], order["uid"], order["uid"])
            _signal(-1)
            os._exit(0)
    else:
        while children := _children():
            for child in children:
                _signal(child)
            os.waitpid(-1, 0)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _signal(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _children() -> list[int]:
    """Processes whose parent is this one. Orphans among the descendants become its children (see `main`)."""
    from pathlib import Path

    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text("latin-1").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def main() -> None:
    """Greet, take the order, carry it out, and leave nothing running. The socket comes as standard input."""
    channel = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    write_message(channel, "ready")
    order = read_message(channel)
    if not order["contained"] and sys.platform.startswith("linux"):
        import ctypes

        adopt_orphans, die_with_parent = 36, 1
        library = ctypes.CDLL(None)
        library.prctl(adopt_orphans, 1, 0, 0, 0)
        library.prctl(die_with_parent, int(signal.SIGTERM), 0, 0, 0)

    def finish(*_: Any) -> None:
        sweep(order)
        os._exit(0)

    signal.signal(signal.SIGTERM, finish)
    if order["mode"] == "program":
        for text in order["inputs"]:
            write_message(channel, run_program(order["source"], order, text))
        finish()

    def action() -> None:
        if order["mode"] == "functions":
            serve_functions(channel, order["source"])
        else:
            run_tests(channel, order["tests"], order["setup"], order["names"], order["check"])

    child = start(action, order)
    channel.close()
    os.waitpid(child, 0)
    finish()
