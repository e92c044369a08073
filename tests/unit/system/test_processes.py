"""What counts as a proof that a process has ended."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wpbridge.system import processes
from wpbridge.system.processes import Sight, look

PID = 77
STAT = "77 (a name) with (\n) brackets) {state} 1 77 77 0 -1 4194304 1 0 0 0 1 2 3 4 20 0 1 0 {start} 9"

UNUSED = ProcessLookupError(errno.ESRCH, "no such process")
ANOTHERS = PermissionError(errno.EPERM, "not permitted")


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc of our own making."""
    monkeypatch.setattr(processes, "PROC", tmp_path)
    return tmp_path


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Callable[[OSError | None], None]:
    """Have the kernel answer a signal so."""

    def answer(with_error: OSError | None) -> None:
        def kill(pid: int, number: int) -> None:
            assert (pid, number) == (PID, 0)
            if with_error is not None:
                raise with_error

        monkeypatch.setattr(os, "kill", kill)

    return answer


def tell(proc: Path, text: str) -> None:
    (proc / str(PID)).mkdir(exist_ok=True)
    (proc / str(PID) / "stat").write_text(text)


@pytest.mark.parametrize(
    ("told", "started", "seen"),
    [
        (STAT.format(state="S", start="500"), "500", Sight.ALIVE),
        (STAT.format(state="S", start="500"), "499", Sight.ENDED),
        (STAT.format(state="S", start="500"), "", Sight.HIDDEN),
        (STAT.format(state="Z", start="500"), "500", Sight.ENDED),
        (STAT.format(state="Z", start="500"), "499", Sight.ENDED),
        (STAT.format(state="X", start="500"), "500", Sight.ENDED),
        # Sandboxes that make up a /proc of their own tell less.
        ("77 (name) S 1 77", "500", Sight.HIDDEN),
        ("", "500", Sight.HIDDEN),
    ],
)
def test_a_process_that_is_shown_is_known_by_its_start(
    proc: Path, told: str, started: str, seen: Sight
) -> None:
    tell(proc, told)
    assert look(PID, started) is seen


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (UNUSED, Sight.ENDED),
        # Of another user, hidden by `hidepid` or `ProtectProc`.
        (ANOTHERS, Sight.HIDDEN),
        (None, Sight.HIDDEN),
    ],
)
def test_a_process_that_is_not_shown_has_ended_when_the_kernel_knows_no_such_number(
    proc: Path, kill: Callable[[OSError | None], None], answer: OSError | None, seen: Sight
) -> None:
    kill(answer)
    assert look(PID, "500") is seen
    assert look(PID, "") is seen


@pytest.mark.parametrize(
    "number", [errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EPERM, errno.EIO]
)
def test_a_look_that_fails_proves_nothing(
    number: int, kill: Callable[[OSError | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(pid: int) -> list[str]:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(processes, "_stat", fails)
    kill(UNUSED)
    assert look(PID, "500") is Sight.HIDDEN


def test_a_process_that_ends_under_the_look_has_ended(
    kill: Callable[[OSError | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading the file of a process that ended after it was opened says ESRCH."""

    def ends(pid: int) -> list[str]:
        raise ProcessLookupError(errno.ESRCH, "no such process")

    monkeypatch.setattr(processes, "_stat", ends)
    kill(UNUSED)
    assert look(PID, "500") is Sight.ENDED


@pytest.mark.parametrize("pid", [0, -1, -77, 2**31, 2**70])
def test_a_number_that_no_process_can_have_is_not_asked_for(pid: int) -> None:
    """0 and below mean whole groups to the kernel."""
    assert look(pid, "1") is Sight.HIDDEN


def test_real_processes() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = processes.start_of(child.pid)
    assert started.isdigit()
    assert look(child.pid, started) is Sight.ALIVE
    assert look(child.pid, "1") is Sight.ENDED
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    # Not reaped yet: a zombie.
    assert look(child.pid, started) is Sight.ENDED
    child.communicate()
    assert look(child.pid, started) is Sight.ENDED
    assert processes.start_of(child.pid) == ""


def put(proc: Path, *, status: str, boot: str | None = "b-o-o-t\n", time: bool = True) -> None:
    (proc / "self" / "ns").mkdir(parents=True)
    (proc / "self" / "status").write_text(status)
    (proc / "self" / "ns" / "pid").symlink_to("pid:[1]")
    if time:
        (proc / "self" / "ns" / "time").symlink_to("time:[2]")
    if boot is not None:
        (proc / "sys/kernel/random").mkdir(parents=True)
        (proc / "sys/kernel/random/boot_id").write_text(boot)


def test_a_place_is_the_boot_and_the_namespaces_that_numbers_are_counted_in(proc: Path) -> None:
    put(proc, status=f"Name:\tx\nNSpid:\t{os.getpid()}\nNSsid:\t1\n")
    assert processes.place() == "b-o-o-t/pid:[1]/time:[2]"


def test_kernels_without_time_namespaces_have_a_place(proc: Path) -> None:
    put(proc, status=f"NSpid:\t{os.getpid()}\n", time=False)
    assert processes.place() == "b-o-o-t/pid:[1]"


@pytest.mark.parametrize(
    "status",
    [
        # That of the namespace above ours, in which we have two numbers.
        "NSpid:\t{other}\t{pid}\n",
        "NSpid:\t{pid}\t{pid}\n",
        "NSpid:\t{other}\n",
        # Sandboxes and old kernels do not tell.
        "Name:\tx\n",
        "",
    ],
)
def test_the_proc_of_another_namespace_is_no_place(proc: Path, status: str) -> None:
    put(proc, status=status.format(pid=os.getpid(), other=os.getpid() + 1))
    assert processes.place() == ""
    assert not processes.is_proc_ours()
    assert processes.others_in_session(os.getsid(0)) == []


@pytest.mark.parametrize("boot", [None, "", "\n"])
def test_without_a_boot_id_there_is_no_place(proc: Path, boot: str | None) -> None:
    put(proc, status=f"NSpid:\t{os.getpid()}\n", boot=boot)
    assert processes.place() == ""


def test_without_any_proc_there_is_no_place(proc: Path) -> None:
    assert processes.place() == ""
    assert processes.start_of(os.getpid()) == ""
    assert processes.memory_bytes() > 0


def test_who_left_the_group_is_found_in_the_session() -> None:
    words = "import signal; signal.pause()"
    code = f"""
import os, signal, subprocess, sys
alone = subprocess.Popen([sys.executable, "-c", {words!r}], process_group=0)
beside = subprocess.Popen([sys.executable, "-c", {words!r}])
print(alone.pid, flush=True)
input()
alone.kill()
beside.kill()
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stdout is not None
    try:
        alone = int(child.stdout.readline())
        assert processes.others_in_session(child.pid) == [alone]
        child.communicate("\n")
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
