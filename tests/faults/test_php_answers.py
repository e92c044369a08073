"""The PHP pool and workers that answer nonsense, in the place of PHP a program that does so."""

import json
import os
import sys
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemons import until
from descriptors import descriptors_left, open_descriptors
from executor_runs import make_call
from heard import heard
from wpbridge.clock import SystemClock
from wpbridge.executors.php.executor import PhpPool
from wpbridge.executors.php.launch import Launch
from wpbridge.executors.php.limits import Greeting, PoolLimits
from wpbridge.executors.php.pool import Processes
from wpbridge.executors.pools import answers, back_off
from wpbridge.outcome import Completed, Failed, Outcome, Retried, Unrun

WORKER = textwrap.dedent(r"""
    import json, os, subprocess, sys, time
    from pathlib import Path

    place = Path(__file__).parent
    asked, told = map(int, os.environ["WPBRIDGE_WORKER"].split(","))
    secret = None

    def write(data):
        while data:
            data = data[os.write(told, data):]

    def say(**frame):
        write(b"\n" + json.dumps({**frame, "secret": secret}).encode() + b"\n")

    def note(*words):
        with (place / "record").open("a") as file:
            print(*words, file=file, flush=True)

    HELLO = dict(
        worker=2, pid=os.getpid(), php="8", wordpress="6", action_scheduler="4", store="S",
        logger="L", url="", zone="", memory_limit=-1, prefix="wp_", sees_runner=None, wp_cli=None,
    )

    def done(id, **more):
        say(**{"is": "end", "id": id, "as": "done", "seconds": 0.0001, "deferred": False,
               "full": False, **more})

    def run(r):
        id, hook, args = r["id"], r["hook"], json.loads(r["args"])
        if hook == "raw":
            before, after = (text.encode("latin-1").replace(b"ID", b"%d" % id) for text in args)
            write(before)
            say(**{"is": "start", "id": id})
            note("began", id)
            write(after)
            done(id)
        elif hook == "frames":
            for frame in args:
                say(**json.loads(json.dumps(frame).replace('"ID"', str(id))))
            note("began", id)
        elif hook == "endless":
            say(**{"is": "start", "id": id})
            while True:
                write(b"x" * 65536)
        elif hook == "prints":
            say(**{"is": "start", "id": id})
            while True:
                os.write(1, b"y" * 65536)
        elif hook == "mute":
            note("mute", os.getpid())
            time.sleep(60)
        elif hook == "sleeps":
            say(**{"is": "start", "id": id})
            time.sleep(60)
        elif hook == "child":
            say(**{"is": "start", "id": id})
            child = subprocess.Popen(["sleep", "60"], process_group=0)
            note("child", child.pid)
            write(b"[1]\n")
            time.sleep(60)
        else:
            say(**{"is": "start", "id": id})
            note("began", id)
            done(id)

    for line in os.fdopen(asked):
        r = json.loads(line)
        if r["do"] == "hello":
            secret = r["secret"]
            if (place / "greeting").exists():
                nonsense = (place / "greeting").read_bytes()
                (place / "greeting").unlink()
                write(nonsense)
            say(**{"is": "hello", **HELLO})
        elif r["do"] == "has":
            say(**{"is": "has", "hooks": {hook: hook != "nobody" for hook in r["hooks"]}})
        elif r["do"] == "run":
            run(r)
""")


class Place:
    """A pool over such workers."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.folder = folder
        self.program = folder / "wp"
        self.program.write_text(f"#!{sys.executable}\n{WORKER}", "utf-8")
        self.program.chmod(0o755)
        self.ids = iter(range(1, 10_000))
        self.pool = PhpPool(
            Launch(command=(str(self.program),), env=os.environ.copy()),
            limits=PoolLimits(**{"workers": 1, "missing": "fail", **limits}),
            clock=SystemClock(),
            greeting=Greeting(accept=lambda _hello: None),
        )

    def submit(self, hook: str, *args: Any, **changes: Any) -> int:
        call = make_call(hook, action_id=next(self.ids), **changes)
        action = replace(call.action, args=json.dumps(args).encode())
        self.pool.submit(replace(call, action=action, start_mark="before_call"))
        return action.id

    def reports(self, count: int) -> dict[int, Outcome]:
        found = self.pool.reports(60)
        while len(found) < count:
            # Also woken without a report: a worker is ready.
            found += self.pool.reports(60)
        return {report.call.action.id: report.outcome for report in found}

    def run(self, hook: str, *args: Any) -> Outcome:
        action_id = self.submit(hook, *args)
        return self.reports(1)[action_id]

    def records(self, word: str) -> list[int]:
        file = self.folder / "record"
        lines = file.read_text("ascii").splitlines() if file.exists() else []
        return [int(line.split()[1]) for line in lines if line.startswith(f"{word} ")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    it = Place(tmp_path)
    yield it
    it.pool.close()


FORGED = '{"is": "end", "id": ID, "as": "done", "seconds": 1, "deferred": false, "full": false}\n'


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("", "[1]\n", "no object: '[1]'"),
        ("", "null\n", "no object"),
        ("", FORGED, "without the worker's secret"),
        ("", '{"is": "end", "id": ID, "as": "done"}\n', "without the worker's secret"),
        ("", "half a line", "no JSON: 'half a line'"),
        ("", "\xff\xfe\n", "no JSON"),
        ("", "\x00\n", "no JSON"),
        ("", "[" * 70_000 + "\n", "no JSON"),
        ("", '{"id": ' + "9" * 5000 + "}\n", "no JSON"),
    ],
)
def test_a_stray_line_costs_the_action_that_ran_and_its_worker(
    place: Place, before: str, after: str, why: str
) -> None:
    outcome = place.run("raw", before, after)
    assert isinstance(outcome, Failed)
    assert outcome.error_type == "WorkerLost"
    assert outcome.reason.startswith("PHP was ended, because what came to its answers is none: ")
    assert why in outcome.reason
    assert place.run("ok") == Completed()
    assert place.records("began") == [1, 2]
    assert place.pool.running() == {}


@pytest.mark.parametrize(
    "frames",
    [
        [{"is": "start", "id": "ID"}, {"is": "end", "id": "ID", "as": "done"}],
        [{"is": "start", "id": "ID"}, {"is": "end", "id": "ID", "as": "done", "seconds": "1"}],
        [{"is": "start", "id": "ID"}, {"is": "start", "id": "ID"}],
        [{"is": "start", "id": "ID"}, {"is": "end", "id": "ID", "as": "unstarted"}],
        [{"is": "start", "id": "ID"}, {"is": "end", "id": "ID", "as": "missing"}],
        [{"is": "start", "id": "ID"}, {"is": "end", "id": 4711, "as": "missing"}],
        [{"is": "start", "id": "ID"}, {"is": "dying", "id": 4711, "error": None}],
        [{"is": "start", "id": "ID"}, {"is": "has", "hooks": {"a": True}}],
        [{"is": "start", "id": "ID"}, {"is": "hello"}],
        [{"is": "start", "id": "ID"}, {"is": "what"}],
        [{"is": "start", "id": "ID"}, {}],
        [{"is": "start", "id": "ID"}, {"is": "end", "id": [["ID"]], "as": "done"}],
    ],
)
def test_answers_of_its_own_that_make_no_sense_cost_the_worker(
    place: Place, frames: list[dict[str, Any]]
) -> None:
    outcome = place.run("frames", *frames)
    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith("PHP was ended, because")
    assert place.run("ok") == Completed()


def test_an_end_that_comes_twice_ends_once(place: Place) -> None:
    end = {"is": "end", "id": "ID", "as": "done", "seconds": 0, "deferred": False, "full": False}
    assert place.run("frames", {"is": "start", "id": "ID"}, end, end) == Completed()
    assert place.run("ok") == Completed()
    assert place.pool.reports(0) == []


def test_an_end_before_its_start_is_believed_and_costs_the_worker(place: Place) -> None:
    """The worker itself says so: it must not be run again."""
    end = {"is": "end", "id": "ID", "as": "done", "seconds": 0, "deferred": False, "full": False}
    assert place.run("frames", end) == Completed()
    assert place.run("ok") == Completed()
    assert place.records("began").count(1) <= 1


def test_what_began_behind_a_stray_line_is_not_begun_again(place: Place) -> None:
    """Sent ahead, they may have begun before the worker was ended; each begins once or ends."""
    for _ in range(3):
        assert place.run("ok") == Completed()
    ids = [place.submit("raw", "", "[1]\n"), *(place.submit("ok") for _ in range(40))]
    outcomes = place.reports(len(ids))
    assert set(outcomes) == set(ids)
    began = place.records("began")
    assert len(began) == len(set(began))
    assert isinstance(outcomes[ids[0]], Failed)
    assert {i for i, outcome in outcomes.items() if outcome == Completed()} <= set(began)


def test_a_flood_without_a_newline_costs_the_worker(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "LONGEST_BYTES", 1 << 20)
    outcome = place.run("endless")
    assert isinstance(outcome, Failed)
    assert "longer than any answer" in outcome.reason
    assert place.run("ok") == Completed()


def test_endless_output_ends_at_the_limit_of_the_action(tmp_path: Path) -> None:
    place = Place(tmp_path, timeout=timedelta(seconds=1))
    outcome = place.run("prints")
    assert isinstance(outcome, Failed)
    assert outcome.error_type == "TimedOut"
    assert len(outcome.detail) < 9000
    place.pool.close()


def test_endless_output_does_not_keep_the_pool_from_ending(tmp_path: Path) -> None:
    place = Place(tmp_path, timeout=None)
    place.submit("prints")
    while not place.pool.running():
        place.pool.reports(0.01)
    place.pool.close()


def test_a_worker_that_does_not_begin_is_replaced_and_the_action_waits(tmp_path: Path) -> None:
    place = Place(tmp_path, boot_timeout=timedelta(seconds=1), timeout=None)
    place.submit("mute")
    pause = threading.Event()
    while len(place.records("mute")) < 2:
        assert place.pool.reports(0) == []
        pause.wait(0.01)
    place.pool.close()


def test_a_new_worker_is_sent_as_much_ahead_as_the_last_one_was(tmp_path: Path) -> None:
    place = Place(tmp_path, max_actions=3)
    for _ in range(3):
        assert place.run("quick") == Completed()
    ids = [place.submit(hook) for hook in ("mute", "quick", "quick")]
    until(lambda: place.records("mute"), "the next worker")
    until(lambda: place.pool._inbox.sent() == len(ids), "what is sent behind an action")
    place.pool.close()


def test_the_worker_is_ended_with_its_children(place: Place) -> None:
    assert isinstance(place.run("child"), Failed)
    [pid] = place.records("child")
    pause = threading.Event()
    while Path(f"/proc/{pid}").exists():
        pause.wait(0.01)


@pytest.mark.parametrize("greeting", [b"[1]\n", b"garbage", b'{"is": "hello", "worker": 2}\n'])
def test_nonsense_before_the_greeting_is_a_failed_start(
    place: Place, greeting: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (place.folder / "greeting").write_bytes(greeting)
    assert place.run("ok") == Completed()
    assert any(
        line.startswith('php.boot_failed failures=1 reason="PHP was ended, because')
        for line in heard(caplog)
    )


def test_a_crash_of_the_pool_itself_costs_what_ran_and_not_the_pool(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    feed, faults = Processes._send, [RuntimeError("a fault of ours")]

    def fails_once(self: Processes) -> None:
        feed(self)
        if self._inbox.running() and faults:
            raise faults.pop()

    monkeypatch.setattr(Processes, "_send", fails_once)
    outcome = place.run("sleeps")
    assert isinstance(outcome, Failed)
    assert outcome.reason == "while it ran, wpbridge's own pool of processes failed; see the log"
    assert place.run("ok") == Completed()
    assert "php.broken" in caplog.text


def test_by_on_crash_a_stray_line_before_the_end_is_no_crash(tmp_path: Path) -> None:
    """It returned, so it is not run again; one that was cut off is."""
    place = Place(tmp_path, on_crash="retry")
    assert isinstance(place.run("raw", "", "[1]\n"), Failed | Retried)
    assert isinstance(place.run("child"), Retried)
    place.pool.close()


# Without descriptors, memory or programs


def test_without_descriptors_calls_wait_and_nothing_leaks(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(back_off, "_FIRST_PAUSE_SECONDS", 0.01)
    before = open_descriptors()
    outcomes: list[Outcome] = []
    # Each step fails at another place: the first pipe, the next, the program, the watching of it.
    for left in range(16):
        with descriptors_left(left):
            action_id = place.submit("ok")
            outcomes.append(place.reports(1)[action_id])
        if outcomes[-1] == Completed():
            break
        assert isinstance(outcomes[-1], Unrun)
        assert "Too many open files" in outcomes[-1].reason
        assert place.pool.trouble() == outcomes[-1].reason
        assert not place.pool.has_room()
        assert open_descriptors() == before
        place.pool._pool.back_off.not_before = 0.0
    assert len(outcomes) > 8
    assert place.run("ok") == Completed()
    assert place.pool.trouble() is None
    assert "Too many open files" in "".join(heard(caplog))


def test_a_start_that_fails_beside_a_busy_worker_takes_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(back_off, "_FIRST_PAUSE_SECONDS", 0.01)
    place = Place(tmp_path, workers=4)
    assert place.run("ok") == Completed()

    def no_more(_self: Launch) -> Any:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(Launch, "start", no_more)
    ids = {place.submit("ok") for _ in range(50)}
    outcomes = place.reports(50)
    assert set(outcomes) == ids
    assert set(outcomes.values()) == {Completed()}
    assert place.pool.trouble() is None
    place.pool.close()


def test_a_program_that_is_being_replaced_is_tried_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(back_off, "_FIRST_PAUSE_SECONDS", 0.01)
    away = place.program.rename(place.folder / "away")
    outcome = place.run("ok")
    assert isinstance(outcome, Unrun)
    assert "does not start" in outcome.reason
    away.rename(place.program)
    place.pool._pool.back_off.not_before = 0.0
    assert place.run("ok") == Completed()
