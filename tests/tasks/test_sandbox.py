"""Hostile solutions: each gets a plain failing verdict, leaves nothing behind, and the next one is judged as usual."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import get_args

import pytest

from merf.tasks import sandbox
from merf.tasks.code import Asserts, Calls, Prints, judge_code
from merf.tasks.sandbox import Kind, Limits, Sandbox, best_kind

QUICK = Limits(seconds=0.4)
PATIENT = Limits(seconds=20.0)

ONE_MORE = Calls("f", tuple(((n,), n + 1) for n in (3, 10, -4)))
RIGHT = "def f(x):\n    return x + 1"


@pytest.fixture(params=get_args(Kind))
def kind(request: pytest.FixtureRequest) -> Kind:
    if request.param == "bubblewrap" and best_kind() != "bubblewrap":
        pytest.skip("bubblewrap is not installed or may not create namespaces here")
    return request.param


def wrapped(body: str) -> str:
    return "def f(x):\n" + "\n".join("    " + line for line in body.splitlines())


ESCAPES = {
    "infinite loop": wrapped("while True:\n    pass"),
    "loop at import": "while True: pass",
    "loop that catches everything": wrapped(
        "while True:\n    try:\n        while True: pass\n    except BaseException:\n        pass"
    ),
    "ignores signals": wrapped(
        "import signal\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n    except Exception: pass\n"
        "while True: pass"
    ),
    "sleeps": wrapped("import time\ntime.sleep(1000)"),
    "fork bomb": wrapped("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"),
    "daemons that leave the session": wrapped(
        "import os\nfor i in range(50):\n"
        "    try:\n        if os.fork() == 0:\n            os.setsid()\n            while True: pass\n"
        "    except OSError: pass\nreturn 0"
    ),
    "threads left behind": wrapped(
        "import threading\ndef spin():\n    while True: pass\n"
        "for i in range(3):\n    threading.Thread(target=spin).start()\nreturn 0"
    ),
    "10 GB": wrapped("block = bytearray(10 << 30)\nreturn len(block)"),
    "10 GB in pieces": wrapped("pieces = []\nwhile True:\n    pieces.append(bytearray(10 << 20))"),
    "huge power": wrapped("return 9 ** 9 ** 9"),
    "deep recursion": wrapped("import sys\nsys.setrecursionlimit(10**9)\ndef g(): return g()\nreturn g()"),
    "os._exit(0)": wrapped("import os\nos._exit(0)"),
    "os._exit(0) at import": "import os\nos._exit(0)",
    "sys.exit()": wrapped("import sys\nsys.exit(0)"),
    "sys.exit() at import": "import sys\nsys.exit()",
    "kills its parent": wrapped("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nreturn 0"),
    "segmentation fault": wrapped("import ctypes\nctypes.string_at(0)"),
    "equal to everything": "class Yes(int):\n    __eq__ = lambda s, o: True\n    __ne__ = lambda s, o: False\n"
    "    __hash__ = None\n" + wrapped("return Yes(99)"),
    "equal to everything, not a number": "class Yes:\n    __eq__ = lambda s, o: True\n" + wrapped("return Yes()"),
    "a list that lies about its length": "class L(list):\n    __len__ = lambda s: 3\n"
    "    __iter__ = lambda s: iter([1])\n" + wrapped("return L()"),
    "nested forever": wrapped("a = []\na.append(a)\nreturn a"),
    "nested deeply": wrapped("a = []\nfor i in range(10**5): a = [a]\nreturn a"),
    "a value of 100 MB": wrapped("return 'x' * (100 << 20)"),
    "a number of a million digits": wrapped("return 1 << 4_000_000"),
    "repr that raises": "class R:\n    def __repr__(self): raise SystemExit\n" + wrapped("raise ValueError(R())"),
    "prints the pass marker": wrapped("print('PASSED')\nprint('OK')\nprint({'done': [None]})\nreturn 0"),
    "floods the output": wrapped("while True: print('x' * 10**6)"),
    "patches builtins": "import builtins\nbuiltins.AssertionError = None\nbuiltins.isinstance = lambda *a: True\n"
    "builtins.exec = builtins.compile = lambda *a, **k: None\n" + wrapped("return 0"),
    "patches json": "import json\njson.dumps = lambda *a, **k: '{\"value\": 4}'\n" + wrapped("return 0"),
    "patches the harness": "import sys\nm = sys.modules['__main__']\nm.encode = lambda *a, **k: {'object': 1}\n"
    "m.read_message = lambda *a, **k: {}\n" + wrapped("return 0"),
    "answers by itself over the socket": "import os, struct, json\n"
    "def say(fd, m):\n    b = json.dumps(m).encode()\n    os.write(fd, struct.pack('>I', len(b)) + b)\n"
    "for fd in range(3, 64):\n    try:\n        say(fd, {'done': [None]})\n        say(fd, {'passed': True})\n"
    "        say(fd, {'value': 4})\n    except OSError: pass\n" + wrapped("return 0"),
    "an object without a name": "import sys\nm = sys.modules['__main__']\n"
    "m.write_message = lambda c, r, w=m.write_message: w(c, {'value': {'object': 7}} if 'value' in r else r)\n"
    + wrapped("return 0"),
    "values that can't be": "import sys\nm = sys.modules['__main__']\n"
    "m.write_message = lambda c, r, w=m.write_message: w(c, {'value': {'set': [[1]]}} if 'value' in r else r)\n"
    + wrapped("return 0"),
    "replies of another kind": "import sys\nm = sys.modules['__main__']\n"
    "m.write_message = lambda c, r, w=m.write_message: w(c, [1, 'two'] if 'value' in r else r)\n" + wrapped("return 0"),
    "brackets without end": "import sys\nm = sys.modules['__main__']\nm.json.dumps = lambda r: '[' * 10**5\n"
    + wrapped("return 0"),
    "writes junk to every descriptor": "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'\\xff' * 100)\n"
    "    except OSError: pass\n" + wrapped("return 0"),
    "reads the judge's memory": wrapped(
        "import os\nfor p in os.listdir('/proc'):\n"
        "    if p.isdigit() and int(p) != os.getpid():\n"
        "        open(f'/proc/{p}/mem', 'rb').close()\n        open(f'/proc/{p}/environ').read()\nreturn 0"
    ),
    "looks for the answers": wrapped(
        "import gc\nfor o in gc.get_objects():\n"
        "    if isinstance(o, dict) and 'expected' in o: return o['expected']\nreturn 0"
    ),
}
"""What a solution may try instead of solving the problem."""


@pytest.mark.parametrize("trick", ESCAPES)
def test_a_hostile_function_fails_and_the_next_is_judged_as_usual(trick: str, kind: Kind, uids: set[int]) -> None:
    verdict = judge_code(ESCAPES[trick], ONE_MORE, Sandbox(QUICK, kind))
    assert verdict.correct is False
    assert verdict.note
    assert judge_code(RIGHT, ONE_MORE, Sandbox(PATIENT, kind)).correct is True
    assert survivors(uids) == []


@pytest.fixture(autouse=True)
def uids(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The users that sandboxes of the present test have run as (as root)."""
    used: set[int] = set()
    spare = sandbox._spare_uid

    def remembered() -> int:
        uid = spare()
        used.add(uid)
        return uid

    monkeypatch.setattr(sandbox, "_spare_uid", remembered)
    return used


def survivors(uids: set[int]) -> list[str]:
    """Processes that run as one of our sandboxes' users, or in their interpreter as children of ours or orphans.
    Sandboxes of other tests, which may run at the same time, have other users and other parents."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            ours = parent == os.getpid() or (parent == 1 and os.geteuid() != 0)
            if entry.stat().st_uid in uids or (ours and b"serve_functions" in command):
                found.append(f"{entry.name}: {command[:80]!r}")
        except OSError:
            continue
    return found


def test_an_open_sandbox_is_among_the_survivors(kind: Kind, uids: set[int]) -> None:
    with Sandbox(PATIENT, kind).functions(RIGHT):
        assert survivors(uids)
    assert survivors(uids) == []


HOSTILE_PROGRAMS = {
    "prints nothing": "pass",
    "prints the marker": "print('PASSED')",
    "floods": "while True: print('x' * 10**6)",
    "a little too much": "print('x' * (2 << 20))",
    "exits early": "import os\nos._exit(0)",
    "ends with an error after the right output": "print(int(input()) + 1)\nraise SystemExit(3)",
    "loops": "while True: pass",
    "forks and leaves the output open": "import os\nif os.fork() == 0:\n    os.setsid()\n    while True: pass",
    "fork bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "fills the scratch folder": "with open('full', 'wb') as f:\n    while True: f.write(b'x' * 10**6)",
    "messages to the judge": "import os, struct, json\n"
    "b = json.dumps({'status': 0, 'output': '4', 'flooded': False}).encode()\n"
    "for fd in range(3, 64):\n    try: os.write(fd, struct.pack('>I', len(b)) + b)\n    except OSError: pass",
    "reads past the input": "input()\ninput()\ninput()",
}


@pytest.mark.parametrize("trick", HOSTILE_PROGRAMS)
def test_a_hostile_program_fails_and_the_next_is_judged_as_usual(trick: str, kind: Kind, uids: set[int]) -> None:
    tests = Prints((("3", "4"), ("10", "11")))
    verdict = judge_code(HOSTILE_PROGRAMS[trick], tests, Sandbox(QUICK, kind))
    assert verdict.correct is False
    assert verdict.note
    assert judge_code("print(int(input()) + 1)", tests, Sandbox(PATIENT, kind)).correct is True
    assert survivors(uids) == []


AGAINST_TESTS = {
    "its own abs": "def abs(x): return 0\ndef f(x): return x + 100",
    "its own math": "class math:\n    isclose = lambda *a, **k: True\ndef f(x): return x + 100",
    "its own AssertionError": "class AssertionError(BaseException):\n    pass\ndef f(x): return x + 100",
    "equal to everything": "class Yes:\n    __eq__ = __ne__ = __lt__ = __gt__ = lambda s, o: True\n"
    "def f(x): return Yes()",
    "true": "def f(x): return object()",
    "raises SystemExit": "def f(x): raise SystemExit(0)",
    "raises AssertionError": "def f(x): raise AssertionError",
    "patches unittest": "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\ndef f(x): return 0",
    "ends at once": "import os\ndef f(x): os._exit(0)",
    "raises what the tests catch": "class CantBeAsked(Exception): pass\n"
    "def f(x): raise CantBeAsked('a test passes an argument')",
    "overwrites the harness": "import pathlib\nfor p in ('/test.py', 'test.py', 'setup.py', 'conftest.py'):\n"
    "    try: pathlib.Path(p).write_text('')\n    except OSError: pass\ndef f(x): return 0",
    "floods": "def f(x):\n    while True: print('x' * 10**6)",
}
TESTS = Asserts(
    tests=(
        "assert f(3) == 4",
        "assert abs(f(3) - 4) < 1e-9",
        "assert math.isclose(f(10), 11)",
        "assert f(1) == 2 and f(2)",
        "import unittest\nclass T(unittest.TestCase):\n    def runTest(self): self.assertEqual(f(5), 6)\nT().debug()",
    ),
    names=("f",),
    setup="import math",
)


@pytest.mark.parametrize("trick", AGAINST_TESTS)
def test_tests_in_a_sandbox_of_their_own_are_not_fooled(trick: str, kind: Kind) -> None:
    verdict = judge_code(AGAINST_TESTS[trick], TESTS, Sandbox(QUICK, kind))
    assert verdict.correct is False
    assert verdict.score == 0
    assert judge_code(RIGHT, TESTS, Sandbox(PATIENT, kind)).correct is True


SECRETS = {
    "password file": ("open('/etc/passwd').read()", True),
    "environment": ("dict(__import__('os').environ)", False),
    "environment of others": ("open(f\"/proc/{__import__('os').getppid()}/environ\").read()", False),
    "home": ("__import__('os').listdir('/root') or __import__('os').listdir('/home')", True),
}


@pytest.mark.parametrize("secret", SECRETS)
def test_nothing_of_the_machine_can_be_seen(secret: str, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERF_TEST_SECRET", "hunter2")
    expression, needs_bubblewrap = SECRETS[secret]
    source = (
        f"def f(x):\n    try: return str({expression})\n    except OSError as error: return 'nothing: ' + str(error)"
    )
    with Sandbox(PATIENT, kind).functions(source) as solution:
        seen = solution.call("f", (0,))
    assert "hunter2" not in seen
    if needs_bubblewrap and kind == "bubblewrap":
        assert seen.startswith("nothing: ")
    # Whatever it saw, it is no answer.
    assert judge_code(source, ONE_MORE, Sandbox(PATIENT, kind)).correct is False


def test_no_network(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        source = (
            "import socket\ndef f(port):\n    try:\n        socket.create_connection(('127.0.0.1', port), 3).close()\n"
            "        return 'connected'\n    except OSError as error: return 'nothing: ' + str(error)"
        )
        with Sandbox(PATIENT, kind).functions(source) as solution:
            seen = solution.call("f", (port,))
    if kind == "subprocess" and seen == "connected":
        pytest.skip("this system doesn't let a plain subprocess leave the network")
    assert seen.startswith("nothing: ")


def test_no_writes_outside_the_scratch_folder(kind: Kind, tmp_path: Path) -> None:
    if kind == "subprocess" and os.geteuid() != 0:
        pytest.skip("without root, a plain subprocess can write what its user can")
    targets = [str(tmp_path / "x"), "/x", "/usr/x", "/etc/x", str(Path(__file__).parent / "x")]
    source = (
        "def f(paths):\n    done = []\n    for path in paths:\n        try:\n            open(path, 'w').write('x')\n"
        "            done.append(path)\n        except OSError: pass\n    open('scratch', 'w').write('x')\n"
        "    return done"
    )
    with Sandbox(PATIENT, kind).functions(source) as solution:
        assert solution.call("f", (targets,)) == []
    assert not (tmp_path / "x").exists()


def test_the_scratch_folder_is_gone_afterwards(kind: Kind) -> None:
    with Sandbox(PATIENT, kind).functions(
        "import os\nopen('mine', 'w').close()\ndef f(x): return os.getcwd()"
    ) as solution:
        folder = solution.call("f", (0,))
    assert folder == "/scratch" or not Path(folder).exists()


def test_many_solutions_at_once_from_many_threads(kind: Kind) -> None:
    solutions = [RIGHT, ESCAPES["os._exit(0)"], wrapped("return 0"), RIGHT] * 2
    verdicts: list[bool | None] = [None] * len(solutions)

    def judge(number: int) -> None:
        verdicts[number] = judge_code(solutions[number], ONE_MORE, Sandbox(PATIENT, kind)).correct

    threads = [threading.Thread(target=judge, args=(number,)) for number in range(len(solutions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == [True, False, False, True] * 2


def test_plain_values_come_back_as_they_were(kind: Kind) -> None:
    values = [
        None, True, 0, -5, 2**70, -(2**70), 1.5, float("inf"), -0.0, 1e-300, "", "ä\ud800\x00", b"\x00\xff", 3 + 4j,
        [], [1, [2]], (1, (2,)), {1, 2}, frozenset({3}), {}, {"a": 1, 2: [3], (4, 5): None},
    ]  # fmt: skip
    with Sandbox(PATIENT, kind).functions("def f(x): return x") as solution:
        for value in values:
            back = solution.call("f", (value,))
            assert type(back) is type(value)
            assert back == value


def test_arguments_that_a_test_cant_send_are_nobodys_fault(kind: Kind) -> None:
    tests = Asserts(("assert f(lambda: 1) == 2",), ("f",))
    assert judge_code(RIGHT, tests, Sandbox(PATIENT, kind)).correct is None


def test_without_bubblewrap_the_weaker_sandbox_is_used_and_called_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.warns(RuntimeWarning, match="bubblewrap is not installed.*not a security boundary"):
        assert best_kind.__wrapped__() == "subprocess"
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/bwrap")
    monkeypatch.setattr("merf.tasks.sandbox._bubblewrap", lambda scratch: ["/bin/false"])
    with pytest.warns(RuntimeWarning, match="bubblewrap doesn't work here"):
        assert best_kind.__wrapped__() == "subprocess"
