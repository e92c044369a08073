"""Living runners that others cannot see: hidden, in other namespaces, or behind a full file table.

None of them has ended, so nobody may take over what they hold.
"""

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import invariants
from conftest import needs
from daemons import until
from factories import insert, make_new
from namespaces import contained, hidden, missing_namespaces
from rows import query
from wpbridge.store.running.runner_store import RunnerStore

NOBODY, WWW_DATA = 65534, 33
ACTS = """
    import os, time
    from wpbridge import hook

    @hook("h")
    def act(number):
        told = os.open("record", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(told, b"start\\n")
        while not os.path.exists("gate"):
            time.sleep(0.02)
"""
TELL = "import json; from dataclasses import asdict; from wpbridge.runner.identity import identity"
JUDGE = """
    import json, sys
    from wpbridge.runner.identity import Identity, identity
    from wpbridge.runner.liveness import is_dead, is_gone
    from wpbridge.store.base import RunnerRecord
    me = identity()
    for line in sys.stdin:
        told = json.loads(line)
        told.pop("wake_address")
        its = RunnerRecord(
            id=1, version="0", beat_age_seconds=told.pop("age"), claims=(), once=frozenset(), **told
        )
        print(json.dumps([is_gone(its, me), is_dead(its, me), bool(me.boot)]), flush=True)
"""


def start(words: Sequence[str], code: str, *, cwd: Path | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*words, sys.executable, "-c", textwrap.dedent(code)],
        cwd=cwd,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


@contextmanager
def runner(words: Sequence[str] = (), more: str = "") -> Iterator[dict[str, object]]:
    """A process that lives while the block does; what it would enter into the table."""
    code = f"{more}\n{TELL}\nprint(json.dumps(asdict(identity())), flush=True)\ninput()"
    process = start(words, code)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.communicate("\n")


def judged(
    its: dict[str, object], words: Sequence[str] = (), *, age: float = 0.0, more: str = ""
) -> list[bool]:
    """Whether another process calls it gone, dead, and can look for processes at all."""
    process = start(words, f"{more}\n{textwrap.dedent(JUDGE)}")
    told, _ = process.communicate(json.dumps({**its, "age": age}) + "\n")
    found: list[bool] = json.loads(told)
    return found


@pytest.fixture
def namespaces() -> None:
    needs(missing_namespaces())


@pytest.mark.usefixtures("namespaces")
def test_a_runner_that_is_hidden_is_waited_for_and_its_end_is_seen_at_once() -> None:
    with runner(hidden(NOBODY)) as its:
        assert its["boot"]
        assert judged(its, hidden(WWW_DATA)) == [False, False, True]
        assert judged(its, hidden(WWW_DATA), age=121) == [False, True, True]
        # Its own user, and root, see it.
        assert judged(its, hidden(NOBODY)) == [False, False, True]
        assert judged(its) == [False, False, True]
    for words in (hidden(WWW_DATA), hidden(NOBODY), []):
        assert judged(its, words) == [True, True, True]


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("has_proc", [True, False], ids=["own proc", "proc of the host"])
def test_containers_with_equal_names_and_process_ids_do_not_take_each_other_for_dead(
    has_proc: bool,
) -> None:
    first, second = contained(has_proc=has_proc), contained()
    with runner(first) as its:
        assert its["pid"] == 1
        assert judged(its, second) == [False, False, True]
        # A /proc of others shows other processes under the numbers of ours: it is not believed.
        assert bool(its["boot"]) is has_proc
        for words in (second, first, []):
            assert judged({**its, "pid": 2**22 + 1}, words)[:2] == [False, False]
            assert judged(its, words, age=46)[:2] == [False, True]


@pytest.mark.usefixtures("namespaces")
def test_start_times_of_another_time_namespace_are_not_compared() -> None:
    later = ["unshare", "--time", "--boottime", "1000", "--fork", "--kill-child"]
    needs(None if subprocess.run([*later, "true"], check=False).returncode == 0 else "no --time")
    with runner(later) as its:
        assert judged(its)[:2] == [False, False]
        assert judged(its, later)[:2] == [False, False]


FULL = """
import os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from wpbridge.runner import identity as _loaded, liveness as _loaded_as_well
from wpbridge.store import base as _loaded_too
import json, dataclasses
try:
    while True:
        os.open("/dev/null", os.O_RDONLY)
except OSError:
    pass
"""
"""As where a handler leaks descriptors: no file can be opened any more."""


def test_who_can_open_no_file_takes_nobody_for_dead() -> None:
    with runner() as its:
        assert judged(its, more=FULL) == [False, False, False]
        late = judge_filled_later(its)
        assert late == [False, False, True]


def judge_filled_later(its: dict[str, object]) -> list[bool]:
    """By a runner that knew itself at its start, and whose handlers leaked then."""
    code = textwrap.dedent(JUDGE).replace("for line", f"{FULL}\nfor line", 1)
    process = start((), code)
    told, _ = process.communicate(json.dumps({**its, "age": 0.0}) + "\n")
    found: list[bool] = json.loads(told)
    return found


def test_who_could_open_no_file_at_its_start_is_judged_by_its_beat_alone() -> None:
    with runner(more=FULL) as its:
        assert its["boot"] == ""
        assert judged(its) == [False, False, True]
        assert judged(its, age=46) == [False, True, True]
    assert judged(its) == [False, False, True]


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (hidden(NOBODY), hidden(WWW_DATA)),
        (contained(), contained()),
        (contained(), contained(has_proc=False)),
        (contained(has_proc=False), contained()),
    ],
    ids=["two users", "two containers", "beside a broken one", "a broken one"],
)
def test_nothing_is_taken_from_a_runner_that_cannot_be_seen(
    first: list[str], second: list[str], tmp_path: Path, store: RunnerStore, dsn: str
) -> None:
    """Given four actions that run there, when another run looks, then they run on, once each."""
    store.unregister()
    (tmp_path / "acts.py").write_text(textwrap.dedent(ACTS))
    record = tmp_path / "record"
    record.touch()
    insert(store, *(make_new("h", args=(n,), due_in=0) for n in range(4)))
    words = [sys.executable, "-m", "wpbridge", "claim-and-run", "--dsn", dsn, "--handlers", "acts"]
    words += ["--format", "json", "-v"]
    with ExitStack() as stack:
        one = subprocess.Popen(
            [*first, *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        stack.callback(one.kill)
        until(lambda: record.read_text().count("start") == 4, "four handlers that run")
        other = subprocess.run(
            [*second, *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert other.returncode == 0, other.stderr
        assert json.loads(other.stdout.splitlines()[-1])["reclaimed"] == 0
        (tmp_path / "gate").touch()
        _, err = one.communicate(timeout=300)
        assert one.returncode == 0, err
    assert "presumed_dead" not in err
    assert record.read_text().count("start") == 4
    ended = query(store, "SELECT status, attempts FROM wp_actionscheduler_actions")
    assert [tuple(row) for row in ended] == [("complete", 1)] * 4
    invariants.check(store)
