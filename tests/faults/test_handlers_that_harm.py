"""Isolated handlers that hang, crash, leak, flood and spoil: each costs its own action."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

import invariants
from daemons import until
from descriptors import descriptors_left, open_descriptors
from executor_runs import one_report
from factories import insert, make_new, stored
from rows import column, log_of, query
from stores import make_store
from wpbridge import app
from wpbridge.action import ActionId
from wpbridge.clock import SystemClock
from wpbridge.executors.base import Call, Report
from wpbridge.executors.loading import load
from wpbridge.executors.openings import NO_HOOKS
from wpbridge.executors.process.executor import PoolLimits, ProcessExecutor, Setup
from wpbridge.executors.process.pool import ProcessPool
from wpbridge.outcome import Completed, Failed, Unrun
from wpbridge.site.config import load as load_settings
from wpbridge.site.resolve import resolve

HANDLERS = textwrap.dedent('''
    import ctypes, os, resource, signal, subprocess, sys, threading, time
    from wpbridge import Context, hook

    LEAK = []

    def isolated(name, **more):
        return hook(name, isolate=True, **more)

    @isolated("state")
    def state(*, context: Context):
        print("fine")
        context.log(repr((os.getpid(), os.getcwd(), dict(os.environ), sys.getrecursionlimit())))

    @isolated("hang", timeout=5)
    def hang(file):
        """With a grandchild in the group, and one that has left it for its own."""
        words = [sys.executable, "-c", "import signal; signal.pause()"]
        forked = os.fork()
        while forked == 0:
            signal.pause()
        alone = subprocess.Popen(words, process_group=0)
        with open(file, "w") as told:
            told.write(f"{os.getpid()} {forked} {alone.pid}")
        while True:
            signal.pause()

    @isolated("answers")
    def answers(text, then_raises=False):
        """Writes to all pipes that are open beside the three; one of them leads to wpbridge."""
        for number in range(3, 64):
            try:
                if os.readlink(f"/proc/self/fd/{number}").startswith("pipe:"):
                    os.write(number, text.encode("latin-1"))
            except OSError:
                pass
        if then_raises:
            raise ValueError("after a forgery")

    @isolated("child_answers")
    def child_answers():
        code = "import os\\nfor n in range(3, 64):\\n try: os.write(n, b'[1]')\\n except OSError: pass"
        subprocess.run([sys.executable, "-c", code], close_fds=False, check=True)

    @isolated("hang_deaf", timeout=3)
    def hang_deaf(file):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        with open(file, "w") as told:
            told.write(f"{os.getpid()}")
        while True:
            time.sleep(60)

    @isolated("hang_on", timeout=3)
    def hang_on(file):
        """Tells when its time is up, and goes on."""
        def told(number, frame):
            with open(file, "w") as told:
                told.write(f"{os.getpid()}")
        signal.signal(signal.SIGTERM, told)
        while True:
            signal.pause()

    @isolated("hang_tidy", timeout=3)
    def hang_tidy(file, *, context: Context):
        try:
            while True:
                signal.pause()
        finally:
            with open(file, "w") as told:
                told.write("0")
            context.log("tidied up")

    @isolated("sleep_forever")
    def sleep_forever(file):
        forked = os.fork()
        if forked:
            with open(file, "w") as told:
                told.write(f"{os.getpid()} {forked}")
        while True:
            signal.pause()

    @isolated("exit_now")
    def exit_now():
        print("about to leave")
        os._exit(7)

    @isolated("segfault")
    def segfault():
        ctypes.string_at(0)

    @isolated("abort")
    def abort():
        os.abort()

    @isolated("killed")
    def killed():
        os.kill(os.getpid(), signal.SIGKILL)

    @isolated("killed_group")
    def killed_group():
        os.killpg(0, signal.SIGKILL)

    @isolated("bomb")
    def bomb():
        limit = 512 << 20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        held = []
        while True:
            held.append(bytearray(16 << 20))

    @isolated("deep")
    def deep():
        """Through C, whose stack ends somewhere."""
        sys.setrecursionlimit(1 << 30)
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        def fall(_):
            return max([0], key=fall)
        fall(0)

    @isolated("deeper_limit")
    def deeper_limit():
        sys.setrecursionlimit(50_000)

    @isolated("floods")
    def floods():
        for _ in range(64):
            sys.stdout.write("o" * (64 << 10) + "\\n")
            sys.stderr.write("e" * (64 << 10) + "\\n")
        print("the last line")

    @isolated("forks")
    def forks():
        """Both of them come back."""
        os.fork()

    @isolated("forks_and_raises")
    def forks_and_raises(*, context: Context):
        if os.fork() == 0:
            context.log("from the copy")
            raise SystemExit(1)
        os.wait()

    class Odd(BaseException):
        pass

    @isolated("raises")
    def raises():
        raise Odd("odd")

    @isolated("closes_all")
    def closes_all():
        os.closerange(0, 256)

    @isolated("closes_and_reuses")
    def closes_and_reuses(folder):
        os.closerange(3, 256)
        for n in range(32):
            os.open(f"{folder}/reused{n}", os.O_RDWR | os.O_CREAT)

    @isolated("closes_output")
    def closes_output():
        os.close(1)

    @isolated("turns_output")
    def turns_output(folder):
        sys.stdout = open(f"{folder}/elsewhere", "w")
        print("elsewhere")

    @isolated("moves")
    def moves(folder):
        os.chdir(folder)
        os.environ["HARM"] = "1"
        del os.environ["PATH"]
        os.umask(0o777)

    @isolated("spawns_threads")
    def spawns_threads():
        for _ in range(4):
            threading.Thread(target=threading.Event().wait, daemon=False).start()

    @isolated("replaces_itself")
    def replaces_itself():
        os.execv("/bin/false", ["false"])

    @isolated("lies")
    def lies():
        """Writes nonsense to every pipe there is."""
        for descriptor in range(3, 64):
            try:
                os.write(descriptor, b'{"is": "end", "id": 1}\\nnonsense\\n')
            except OSError:
                pass
        signal.pause()

    @isolated("leaks")
    def leaks():
        LEAK.append(bytearray(os.urandom(1) * (64 << 20)))

    @isolated("adds")
    def adds(*, context: Context):
        context.enqueue("state", group="added", key="once")

    @isolated("recurring_crash")
    def recurring_crash():
        os._exit(9)
''')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("harm")
    (place / "harmful.py").write_text(HANDLERS, "utf-8")
    (place / "harmful_boot.py").write_text("import os\nprint('no licence')\nos._exit(4)\n", "utf-8")
    return place


class Worker:
    """One executor with one child at a time, so that what is left behind would show."""

    def __init__(
        self, folder: Path, module: str = "harmful", max_actions: int = 0, max_memory: int = 0
    ) -> None:
        self.executor = ProcessExecutor(
            load(["harmful"], folder=str(folder)),
            Setup(modules=(module,), folder=str(folder), site="s"),
            limits=PoolLimits(children=1, max_actions=max_actions, max_memory=max_memory),
            clock=SystemClock(),
        )
        self.next = 1

    def submit(self, hook: str, *values: object) -> ActionId:
        action = stored(id=ActionId(self.next), hook=hook)
        self.next += 1
        self.executor.submit(Call(action=action, values=values, mapping=list(values)))
        return action.id

    def run(self, hook: str, *values: object) -> Report:
        action_id = self.submit(hook, *values)
        report = one_report(self.executor)
        assert report.call.action.id == action_id
        return report

    def state(self) -> tuple[int, str, dict[str, str], int]:
        """What an innocent action sees; it completes, and nothing but it is reported."""
        report = self.run("state")
        assert report.outcome == Completed()
        assert report.output == "fine"
        (line,) = report.call.lines
        found: tuple[int, str, dict[str, str], int] = eval(line.message)  # noqa: S307 - our own text
        return found


@pytest.fixture
def worker(folder: Path) -> Iterator[Worker]:
    it = Worker(folder)
    yield it
    it.executor.close()


def failed(report: Report) -> Failed:
    assert isinstance(report.outcome, Failed), report.outcome
    return report.outcome


def is_gone(pid: int) -> bool:
    """Dead, if perhaps not reaped by whoever adopted it."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii")
    except OSError:
        return True
    return text.rpartition(")")[2].split()[0] in "ZX"


def pids_in(file: Path) -> list[int]:
    return [int(word) for word in file.read_text("ascii").split()]


# Hanging


def test_a_hang_is_killed_at_its_limit_with_all_it_started(worker: Worker, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    report = worker.run("hang", str(file))
    assert failed(report).error_type == "TimedOut"
    assert failed(report).reason == "timed out after 5 s"
    assert report.ended_at - report.started_at < timedelta(seconds=300)
    pids = pids_in(file)
    assert len(pids) == 3
    for pid in pids:
        until(partial(is_gone, pid), f"the end of {pid}")
    assert worker.state()[0] not in pids


def test_a_handler_that_ignores_signals_is_killed_after_the_grace(
    worker: Worker, tmp_path: Path
) -> None:
    file = tmp_path / "pids"
    report = worker.run("hang_deaf", str(file))
    assert failed(report).error_type == "TimedOut"
    (pid,) = pids_in(file)
    assert is_gone(pid)
    worker.state()


def test_the_grace_is_enough_to_tidy_up(worker: Worker, tmp_path: Path) -> None:
    file = tmp_path / "tidied"
    report = worker.run("hang_tidy", str(file))
    assert failed(report).error_type == "TimedOut"
    assert file.exists()
    assert [line.message for line in report.call.lines] == ["tidied up"]
    worker.state()


def test_closing_ends_what_hangs_without_a_limit(folder: Path, tmp_path: Path) -> None:
    worker, file = Worker(folder), tmp_path / "pids"
    worker.submit("sleep_forever", str(file))
    until(lambda: file.exists() and len(pids_in(file)) == 2, "the handler")
    worker.executor.close()
    for pid in pids_in(file):
        until(partial(is_gone, pid), f"the end of {pid}")


RUN = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_handlers_that_harm import Worker
worker = Worker(Path({folder!r}))
worker.submit({hook!r}, {file!r})
worker.executor.reports(600)
"""


@pytest.mark.parametrize("hook", ["sleep_forever", "hang_on"])
def test_no_child_outlives_a_killed_wpbridge(folder: Path, tmp_path: Path, hook: str) -> None:
    """Not even one that is in its grace, and deaf to TERM."""
    file = tmp_path / "pids"
    here = Path(__file__).parent
    code = RUN.format(tests=str(here), folder=str(folder), hook=hook, file=str(file))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    several = 2 if hook == "sleep_forever" else 1
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as run:
        until(lambda: file.exists() and len(pids_in(file)) == several, "the handler")
        run.send_signal(signal.SIGKILL)
    for pid in pids_in(file):
        until(partial(is_gone, pid), f"the end of {pid}")


# Dying


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        ("exit_now", "ended with exit code 7; it last said: about to leave"),
        ("segfault", "was ended by signal 11 (SIGSEGV: it crashed); it last said: Fatal Python"),
        ("abort", "was ended by signal 6 (SIGABRT: it aborted); it last said: Fatal Python"),
        ("killed", "was ended by signal 9 (SIGKILL: by hand, or by the kernel when memory"),
        ("killed_group", "was ended by signal 9 (SIGKILL: by hand, or by the kernel when memory"),
        ("closes_all", "lost its pipes to wpbridge: the handler closed them"),
        ("replaces_itself", "ended with exit code 1"),
        ("lies", "sent what is no answer"),
    ],
)
def test_a_lost_process_costs_one_action(worker: Worker, hook: str, reason: str) -> None:
    before = worker.state()
    report = worker.run(hook)
    assert failed(report).error_type == "WorkerLost"
    assert failed(report).reason.startswith(f"the handler's process {reason}")
    after = worker.state()
    assert after[0] != before[0]
    assert after[1:] == before[1:]


def test_reused_descriptors_are_not_taken_for_the_pipes(worker: Worker, tmp_path: Path) -> None:
    report = worker.run("closes_and_reuses", str(tmp_path))
    assert failed(report).error_type == "WorkerLost"
    assert {file.stat().st_size for file in tmp_path.iterdir()} == {0}
    worker.state()


OUTCOME = '"outcome": {"as": "complete"}, "memory": 1, "unfit": null'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[1]\n", "no object"),
        ("garbage", "no JSON"),
        ("\x00\xff\n", "no JSON"),
        ("[" * 60_000 + "\n", "no JSON"),
        (f'{{"is": "end", "id": 1, {OUTCOME}}}\n', "without the worker's secret"),
    ],
)
def test_what_a_handler_writes_to_the_answers_costs_its_action(
    worker: Worker, text: str, why: str
) -> None:
    before = worker.state()
    report = worker.run("answers", text)
    assert failed(report).error_type == "WorkerLost"
    assert failed(report).reason.startswith("the handler's process sent what is no answer of it: ")
    assert why in failed(report).reason
    assert worker.state()[0] != before[0]
    assert worker.executor.reports(0) == []


def test_a_handler_cannot_forge_its_own_end(worker: Worker) -> None:
    action_id = worker.submit("answers", f'{{"is": "end", "id": 1, {OUTCOME}}}\n', True)
    [report] = worker.executor.reports(60)
    assert report.call.action.id == action_id
    assert failed(report).error_type in ("WorkerLost", "ValueError")


def test_programs_that_a_handler_starts_do_not_have_the_answers(worker: Worker) -> None:
    assert worker.run("child_answers").outcome == Completed()


def test_a_crash_of_the_pool_itself_costs_what_ran_and_not_the_pool(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    feed, faults = ProcessPool._send, [RuntimeError("a fault of ours")]

    def fails_once(self: ProcessPool) -> None:
        feed(self)
        if self._inbox.running() and faults:
            raise faults.pop()

    monkeypatch.setattr(ProcessPool, "_send", fails_once)
    report = worker.run("hang", str(tmp_path / "pids"))
    assert "wpbridge's own pool of processes failed" in failed(report).reason
    worker.state()
    assert worker.executor.trouble() is None


def test_without_descriptors_calls_go_back_and_nothing_leaks(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wpbridge.executors.pools.back_off._FIRST_PAUSE_SECONDS", 0.01)
    worker = Worker(folder)
    before = open_descriptors()
    for left in range(8):
        with descriptors_left(left):
            report = worker.run("state")
        assert isinstance(report.outcome, Unrun)
        assert "Too many open files" in report.outcome.reason
        assert open_descriptors() == before
        worker.executor._pool.back_off.not_before = 0.0
    worker.state()
    assert worker.executor.trouble() is None
    worker.executor.close()


def test_the_last_output_is_kept_with_a_failure(worker: Worker) -> None:
    report = worker.run("exit_now")
    assert failed(report).reason.endswith("exit code 7; it last said: about to leave")
    assert report.output == "about to leave"


# Spoiling


def test_a_memory_bomb_under_a_limit_costs_one_action(worker: Worker) -> None:
    before = worker.state()
    assert failed(worker.run("bomb")).error_type == "MemoryError"
    # Its limit would stay: the process is replaced.
    assert worker.state()[0] != before[0]


def test_endless_recursion_costs_one_action(worker: Worker) -> None:
    """A crash or an error, as this Python has it."""
    before = worker.state()
    found = failed(worker.run("deep")).error_type
    assert found in {"WorkerLost", "RecursionError", "MemoryError"}
    after = worker.state()
    assert after[0] != before[0]
    assert after[1:] == before[1:]


@pytest.mark.parametrize("hook", ["moves", "deeper_limit", "turns_output"])
def test_what_a_handler_changes_is_put_back(worker: Worker, hook: str, tmp_path: Path) -> None:
    before = worker.state()
    assert (
        worker.run(hook, *([] if hook == "deeper_limit" else [str(tmp_path)])).outcome
        == Completed()
    )
    assert worker.state() == before


def test_a_closed_output_makes_a_new_process(worker: Worker) -> None:
    before = worker.state()
    assert worker.run("closes_output").outcome == Completed()
    assert worker.state()[0] != before[0]


def test_megabytes_of_output_are_cut_to_their_end(worker: Worker) -> None:
    report = worker.run("floods")
    assert report.outcome == Completed()
    assert report.output.endswith("\nthe last line")
    assert 8000 < len(report.output) <= 8192
    worker.state()


def test_a_copy_that_comes_back_says_nothing(worker: Worker) -> None:
    before = worker.state()
    assert worker.run("forks").outcome == Completed()
    report = worker.run("forks_and_raises")
    assert report.outcome == Completed()
    assert report.call.lines == []
    assert worker.state() == before
    assert worker.executor.reports(0) == []


def test_odd_errors_and_threads_left_behind_cost_nothing_else(worker: Worker) -> None:
    before = worker.state()
    assert failed(worker.run("raises")).error_type == "Odd"
    assert worker.run("spawns_threads").outcome == Completed()
    assert worker.state() == before


def test_threads_left_behind_do_not_keep_the_run_from_ending(folder: Path) -> None:
    worker = Worker(folder)
    worker.run("spawns_threads")
    (pid, *_) = worker.state()
    worker.executor.close()
    assert is_gone(pid)


# Replacing


def test_a_leak_is_ended_by_the_memory_limit(folder: Path) -> None:
    worker = Worker(folder, max_memory=160 << 20)
    first, *_ = worker.state()
    assert worker.run("leaks").outcome == Completed()
    assert worker.state()[0] == first
    for _ in range(2):
        assert worker.run("leaks").outcome == Completed()
    assert worker.state()[0] != first
    worker.executor.close()


def test_a_child_is_replaced_after_so_many_actions(folder: Path) -> None:
    worker = Worker(folder, max_actions=2)
    pids = [worker.state()[0] for _ in range(6)]
    assert pids[0::2] == pids[1::2]
    assert len(set(pids)) == 3
    worker.executor.close()


def test_more_and_fewer_children_lose_no_action(folder: Path) -> None:
    worker = Worker(folder)

    def children() -> int:
        return sum(child.is_up for child in worker.executor._pool._workers)

    worker.executor.resize(3)
    ids = {worker.submit("state") for _ in range(9)}
    reports: list[Report] = []
    while len(reports) < len(ids):
        reports += worker.executor.reports(60)
    assert {report.call.action.id for report in reports} == ids
    assert {report.outcome for report in reports} == {Completed()}
    until(lambda: children() == 3, "three children")
    worker.executor.resize(1)
    until(lambda: len(worker.executor._pool._workers) == 1, "one child that is left")
    worker.state()
    worker.executor.close()


def test_an_idle_child_that_is_killed_costs_nothing(worker: Worker) -> None:
    for _ in range(3):
        pid, *_ = worker.state()
        os.kill(pid, signal.SIGKILL)
    worker.state()


def test_children_that_do_not_come_up_give_their_actions_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wpbridge.executors.pools.back_off._FIRST_PAUSE_SECONDS", 0.01)
    worker = Worker(folder, module="harmful_boot")
    ids = {worker.submit("state") for _ in range(3)}
    reports: list[Report] = []
    while len(reports) < 3:
        reports += worker.executor.reports(60)
    assert {report.call.action.id for report in reports} == ids
    words = "the process of isolated handlers does not start: it ended with exit code 4: no licence"
    assert {report.outcome for report in reports} == {Unrun(reason=words)}
    assert worker.executor.trouble() == words
    assert worker.executor.refuses("state", "") == words
    assert not worker.executor.has_room()
    assert [openings.hooks for openings in worker.executor.openings()] == [NO_HOOKS]
    worker.executor.close()


# The whole way: what the tables say afterwards


def test_harm_and_innocence_in_one_run(folder: Path, tmp_path: Path) -> None:
    dsn = f"sqlite:///{tmp_path / 'queue.db'}"
    flags = {"dsn": dsn, "handlers": ("harmful",), "concurrency": 2}
    settings = load_settings(flags, {}, folder)
    site = resolve(settings, {}, folder)
    store = make_store(site.database, "wp_")
    harm = {
        "hang_tidy": "timed out after 3 s",
        "segfault": "signal 11",
        "exit_now": "exit code 7",
        "killed": "signal 9",
        "closes_all": "lost its pipes",
        "raises": "odd",
        "bomb": "MemoryError",
    }
    now = SystemClock().now()
    ids: dict[str, ActionId] = {}
    innocent: list[ActionId] = []
    for hook in harm:
        args = (str(tmp_path / "tidied"),) if hook == "hang_tidy" else ()
        (ids[hook],) = insert(store, make_new(hook, args=args, now=now), now=now)
        innocent += insert(store, *[make_new("state", now=now) for _ in range(3)], now=now)
    (adding,) = insert(store, make_new("adds", now=now), now=now)
    (chain,) = insert(store, make_new("recurring_crash", interval=3600, now=now), now=now)
    handlers = app.handlers_of(settings)
    only = app.claim_filter(settings, app.routes_of(settings, handlers))
    totals = app.make_runner(settings, site, store.parts, handlers, only=only, env={}).run()
    for hook, reason in harm.items():
        assert column(store, "status", ids[hook]) == "failed", hook
        (line,) = [text for text in log_of(store, ids[hook]) if text.startswith("action failed")]
        assert reason in line
    assert "action output via wpbridge: about to leave" in log_of(store, ids["exit_now"])
    assert {column(store, "status", i) for i in [*innocent, adding]} == {"complete"}
    assert column(store, "status", chain) == "failed"
    assert totals.failed == len(harm) + 1
    # The action that the child enqueued was run too, and the crashed chain goes on.
    added = query(
        store,
        "SELECT a.status FROM wp_actionscheduler_actions a JOIN wp_actionscheduler_groups g"
        " USING (group_id) WHERE g.slug = 'added'",
    )
    assert [row[0] for row in added] == ["complete"]
    following = query(
        store,
        "SELECT COUNT(*) FROM wp_actionscheduler_actions"
        " WHERE hook = 'recurring_crash' AND status = 'pending'",
    )
    assert following[0][0] == 1
    invariants.check(store)
    store.close()
