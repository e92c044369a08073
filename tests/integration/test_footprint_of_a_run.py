"""What real commands leave on the disk, beside what docs/reference/footprint.md says."""

import contextlib
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

from cli_helpers import wpbridge
from daemons import HANDLERS as DAEMON_HANDLERS
from daemons import processes, started_daemons, work_folder

HANDLERS = """
from wpbridge import hook

@hook("h")
def h():
    print("said")
"""


def files(folder: Path) -> set[str]:
    """All files and sockets below a folder; what Python compiles is left out."""
    return {
        place.relative_to(folder).as_posix()
        for place in folder.rglob("*")
        if not place.is_dir() and place.parent.name != "__pycache__"
    }


def test_init_and_a_run_under_cron_write_nothing_but_the_queue(tmp_path: Path) -> None:
    places = {name: tmp_path / name.lower() for name in ("HOME", "TMPDIR", "XDG_RUNTIME_DIR")}
    for place in places.values():
        place.mkdir(mode=0o700)
    (tmp_path / "acts.py").write_text(HANDLERS)
    env = {name: str(place) for name, place in places.items()}
    dsn = f"sqlite:///{tmp_path / 'queue.db'}"
    for words in (
        ["init"],
        ["enqueue", "h"],
        ["claim-and-run", "--handlers", "acts"],
        ["status"],
        ["doctor"],
    ):
        done = wpbridge(*words, "--dsn", dsn, cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stderr
    assert files(tmp_path) == {"acts.py", "queue.db"}
    assert (tmp_path / "queue.db").stat().st_mode & 0o777 == 0o600


def links_of(pid: int) -> Iterator[str]:
    """What the descriptors of a process lead to; one may be closed meanwhile."""
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield str(file.readlink())


def listening(pids: list[int]) -> dict[str, set[str]]:
    """The local addresses at which processes hear TCP and UDP, in the kernel's hexadecimal form."""
    links = [link for pid in pids for link in links_of(pid)]
    inodes = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    found: dict[str, set[str]] = {}
    for kind, heard in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == heard and inode in inodes:
                found.setdefault(kind, set()).add(local.partition(":")[0])
    return found


def test_a_daemon_makes_its_sockets_and_its_heartbeat_and_takes_them_away(tmp_path: Path) -> None:
    folder = work_folder(tmp_path, DAEMON_HANDLERS)
    dsn = f"sqlite:///{tmp_path / 'queue.db'}"
    assert wpbridge("init", "--dsn", dsn, cwd=folder).returncode == 0
    with started_daemons(folder) as start:
        daemon = start(dsn, "--heartbeat-file", str(folder / "beat")).ready()
        there = Path(daemon.place, "wpbridge")
        [socket] = [place for place in there.rglob("*") if place.is_socket()]
        for private in (there, socket.parent):
            assert stat.S_IMODE(private.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "beat").stat().st_mode) == 0o644
        # 127.0.0.1: no other host reaches it, and it has no TCP at all.
        assert listening([daemon.process.pid, *processes(folder)]) == {"udp": {"0100007F"}}
        daemon.send(signal.SIGTERM)
        assert daemon.code() == 143
        assert files(there) == set()
        assert files(folder) == {"acts.py", "err", "gate", "queue.db"}
