"""What a handlers module brings along, with the command as a process: output, middleware, events."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import invariants
from cli_helpers import Done, Site
from factories import make_new
from rows import column, log_of
from wpbridge.clock import SystemClock
from wpbridge.store.running.runner_store import RunnerStore

HANDLERS = r"""
import asyncio, os, subprocess, sys, threading, time
from wpbridge import Cancel, Context, hook, middleware, on
from wpbridge.events import ActionCompleted, ActionFailed, Event, RunnerStarted, RunnerStopped

TOGETHER = threading.Barrier(3)
EVERYBODY = []

def record(*words):
    with open("record", "a") as stream:
        stream.write(" ".join(map(str, words)) + "\n")

@hook("together")
def together(name):
    for number in range(100):
        TOGETHER.wait(60)
        print(f"{name} {number}")

@hook("together_async")
async def together_async(name):
    EVERYBODY.append(name)
    while len(EVERYBODY) < 3:
        await asyncio.sleep(0)
    for number in range(100):
        print(f"{name} {number}")
        await asyncio.sleep(0)

@hook("silent")
def silent(): pass

@hook("fails")
def fails():
    print("before it failed")
    raise OSError("gone")

@hook("floods")
def floods():
    for number in range(200_000):
        print(f"line {number} of far too many")

@hook("garbage")
def garbage():
    sys.stdout.buffer.write(bytes(range(256)) * 100 + b"the end")

@hook("aside")
def aside():
    # Flushed, or else the copy has the line in its own buffer, too, and writes it again.
    thread = threading.Thread(target=lambda: print("from a thread", flush=True))
    thread.start()
    thread.join()
    subprocess.run(["echo", "from a process"], check=True)
    if os.fork() == 0:
        print("from a copy", flush=True)
        os._exit(0)
    os.wait()
    print("from the handler")

@hook("isolated", isolate=True)
def isolated(word):
    print(word)
    subprocess.run(["echo", "from a process"], check=True)
    sys.stderr.write(f"of {os.getpid()}\n")

@hook("hangs", isolate=True)
def hangs():
    print("hanging", flush=True)
    time.sleep(3600)

@hook("grows", isolate=True)
def grows():
    EVERYBODY.append(b"x" * (64 << 20))
    print(os.getpid())

@hook("unwanted")
def unwanted(): record("unwanted")

@middleware
def around(context: Context):
    if context.hook == "unwanted":
        raise Cancel("not wanted")
    record("before", context.hook, os.getpid())
    yield
    record("after", context.hook)

@on(ActionFailed)
def failed(event): record(f"{event.hook} failed: {event.reason}")

@on(RunnerStarted, RunnerStopped, ActionCompleted)
def told(event): record(type(event).__name__, threading.current_thread().name)

@on(Event)
def broken(event): raise LookupError("subscribers may fail")
"""


@pytest.fixture
def site(lite: Site) -> Site:
    (lite.folder / "acts.py").write_text(HANDLERS, "utf-8")
    return lite


@pytest.fixture
def any_site(dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore]) -> Site:
    """For what columns of texts have to hold."""
    (tmp_path / "acts.py").write_text(HANDLERS, "utf-8")
    return Site(dsn, tmp_path, open_queue(dsn))


def add(site: Site, *hooks: str, args: Sequence[Any] = ()) -> list[int]:
    now = SystemClock().now()
    return list(site.store.insert([make_new(h, args=tuple(args), now=now) for h in hooks], now=now))


def run(site: Site, *more: str, env: dict[str, str] | None = None) -> Done:
    done = site.process("claim-and-run", "--handlers", "acts", *more, env=env)
    assert done.code == 0, done.err
    return done


def record(site: Site) -> list[str]:
    file = site.folder / "record"
    return file.read_text("utf-8").splitlines() if file.exists() else []


def output(site: Site, action_id: int) -> str:
    start = "action output via wpbridge: "
    found = [line for line in log_of(site.store, action_id) if line.startswith(start)]
    assert len(found) <= 1
    return found[0].removeprefix(start) if found else ""


# Output


@pytest.mark.parametrize("hook", ["together", "together_async"])
def test_prints_of_handlers_that_run_at_once_are_kept_apart(site: Site, hook: str) -> None:
    ids = {name: add(site, hook, args=[name])[0] for name in ("one", "two", "three")}
    done = run(site, "--concurrency", "3", "--format", "json")
    assert json.loads(done.out)["complete"] == 3
    for name, action_id in ids.items():
        assert output(site, action_id).splitlines() == [f"{name} {n}" for n in range(100)]
    invariants.check(site.store)


def test_output_stands_between_the_start_and_the_ending(site: Site) -> None:
    fails, silent = add(site, "fails", "silent")
    run(site)
    assert log_of(site.store, fails) == [
        "action created",
        "action started via wpbridge",
        "action output via wpbridge: before it failed",
        "action failed via wpbridge: gone",
    ]
    assert len(log_of(site.store, silent)) == 3
    failures = json.loads(site.ok("failures", "--format", "json"))
    assert failures[0]["sample"] == "action failed via wpbridge: gone"


def test_the_end_of_megabytes_is_kept(any_site: Site) -> None:
    site = any_site
    floods, garbage = add(site, "floods", "garbage")
    run(site)
    kept = output(site, floods)
    assert kept.startswith("…")
    assert kept.endswith("line 199998 of far too many\nline 199999 of far too many")
    assert 8100 < len(kept.encode()) <= 8192
    assert output(site, garbage).endswith("the end")
    assert "\x00" not in output(site, garbage)


def test_what_is_nobodys_is_on_stdout(site: Site) -> None:
    (aside,) = add(site, "aside")
    done = run(site, "--format", "json", env={"PYTHONWARNINGS": "ignore"})
    assert sorted(done.lines[:-1]) == ["from a copy", "from a process", "from a thread"]
    assert json.loads(done.lines[-1])["complete"] == 1
    assert output(site, aside) == "from the handler"


def test_output_of_isolated_handlers_is_kept_too(site: Site) -> None:
    (action,) = add(site, "isolated", args=["word"])
    done = run(site, "--format", "json")
    assert json.loads(done.out)["complete"] == 1
    assert set(output(site, action).splitlines()[:2]) == {"word", "from a process"}
    assert re.fullmatch(r"of \d+", output(site, action).splitlines()[-1])


def test_lines_are_logged_as_they_are_printed(site: Site) -> None:
    fails, isolated = *add(site, "fails"), *add(site, "isolated", args=["a word"])
    done = run(site, "-v", "--log-format", "json")
    told = [
        (line["action_id"], line["hook"], line["line"])
        for line in map(json.loads, done.err.splitlines())
        if line["event"] == "action.printed"
    ]
    assert (fails, "fails", "before it failed") in told
    assert (isolated, "isolated", "a word") in told
    assert "printed" not in run(site).err


@pytest.mark.parametrize(
    ("keep", "kept"), [("always", [True, True]), ("failed", [True, False]), ("never", [False] * 2)]
)
def test_a_setting_says_what_is_kept(site: Site, keep: str, kept: list[bool]) -> None:
    ids = [*add(site, "fails"), *add(site, "isolated", args=["word"])]
    retry = '[[retry]]\nhook = "fails"\nmax_attempts = 2\nbase = "1h"\n'
    settings = f'[run]\nkeep_output = "{keep}"\n{retry}'
    (site.folder / "wpbridge.toml").write_text(settings, "utf-8")
    assert json.loads(run(site, "--format", "json").out)["retried"] == 1
    assert [bool(output(site, action_id)) for action_id in ids] == kept


def test_several_lines_are_shown_as_such_on_a_terminal_only(site: Site) -> None:
    (action,) = add(site, "isolated", args=["\x1b[1mword\twith a tab"])
    run(site)
    for command in ("logs", "get"):
        out = site.terminal(command, str(action), env={"NO_COLOR": "1"}).out
        lines = [line.strip() for line in out.splitlines()]
        (first,) = [n for n, line in enumerate(lines) if "action output via wpbridge" in line]
        assert "\ufffd[1mword" in lines[first]
        assert lines[first + 1] == "from a process"
        assert re.fullmatch(r"of \d+", lines[first + 2])
        assert r"\nfrom a process\nof" in site.ok(command, str(action))
    (row,) = [
        r
        for r in json.loads(site.ok("logs", str(action), "--format", "json"))
        if "output" in r["message"]
    ]
    assert row["message"].count("\n") == 2


# Limits of isolated handlers


def test_the_settings_time_limit_counts_for_isolated_handlers(site: Site) -> None:
    (action,) = add(site, "hangs")
    run(site, env={"WPBRIDGE_TIMEOUT": "2s"})
    assert "action failed via wpbridge: timed out after 2 s" in log_of(site.store, action)
    assert output(site, action) == "hanging"


@pytest.mark.parametrize(
    ("env", "processes"),
    [
        ({}, 1),
        ({"WPBRIDGE_ISOLATED_MAX_ACTIONS": "2"}, 2),
        ({"WPBRIDGE_ISOLATED_MAX_MEMORY": "32M"}, 3),
    ],
)
def test_processes_of_isolated_handlers_are_replaced(
    site: Site, env: dict[str, str], processes: int
) -> None:
    ids = add(site, *["grows"] * 3)
    run(site, "--concurrency", "1", env=env)
    assert len({output(site, action_id) for action_id in ids}) == processes


# Middleware and events


def test_middleware_and_subscribers_of_a_run(site: Site) -> None:
    silent, fails, unwanted = add(site, "silent", "fails", "unwanted")
    (isolated,) = add(site, "isolated", args=["word"])
    done = run(site, "--concurrency", "1")
    found = record(site)
    assert found[0] == "RunnerStarted MainThread"
    assert found[-1] == "RunnerStopped MainThread"
    assert found.count("ActionCompleted MainThread") == 2
    assert "fails failed: gone" in found
    assert "unwanted" not in found
    started = {words[1]: words[2] for line in found if (words := line.split())[0] == "before"}
    assert sorted(started) == ["fails", "isolated", "silent"]
    assert started["silent"] == started["fails"] != started["isolated"]
    # It was raised again at the yield.
    assert sorted(line for line in found if line.startswith("after")) == [
        "after isolated",
        "after silent",
    ]
    statuses = {i: column(site.store, "status", i) for i in (silent, fails, unwanted, isolated)}
    assert list(statuses.values()) == ["complete", "failed", "canceled", "complete"]
    assert "action canceled via wpbridge: not wanted" in log_of(site.store, unwanted)
    assert done.err.count("LookupError: subscribers may fail") >= len(statuses)
    invariants.check(site.store)


def test_a_module_may_hold_nothing_but_subscribers(site: Site) -> None:
    code = "from wpbridge import on\nfrom wpbridge.events import ActionCompleted\n"
    code += "@on(ActionCompleted)\ndef told(event): print('completed', event.hook)\n"
    (site.folder / "listens.py").write_text(code, "utf-8")
    add(site, "silent")
    assert "completed silent" in run(site, "--handlers", "listens").lines


def test_a_subscriber_that_is_async_ends_the_start(site: Site) -> None:
    code = "from wpbridge import on\nfrom wpbridge.events import Event\n@on(Event)\nasync def e(_): 0\n"
    (site.folder / "wrong.py").write_text(code, "utf-8")
    done = site.process("claim-and-run", "--handlers", "wrong")
    assert done.code == 78
    assert done.err.startswith("wpbridge: handlers module wrong could not be imported: ")
    assert "wrong.e is async: @on takes plain functions" in done.err
    assert done.err.count("\n") == 1
