"""Private servers for tests and benchmarks, on sockets in a temporary folder.

Nothing listens on a network address, nothing outlives the process that asked for it.
"""

import atexit
import contextlib
import functools
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pymysql

SERVER_NAMES = ("mariadbd", "mysqld")
INSTALLER_NAMES = ("mariadb-install-db", "mysql_install_db")
START_SECONDS = 60
DISK = "/var/tmp"  # noqa: S108 - a folder is made there that is ours alone


def find_program(names: Sequence[str]) -> str | None:
    """The first of the programs that is installed; servers often lie outside PATH."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/usr/libexec"
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def missing_mariadb() -> str | None:
    """Why no private MariaDB can be started here; None when it can."""
    for names in (SERVER_NAMES, INSTALLER_NAMES):
        if find_program(names) is None:
            return f"{names[0]} is not installed (apt-get install mariadb-server)"
    return None


class MariaDB:
    """A MariaDB of our own: data and socket in ``folder``, no network, root has no password."""

    def __init__(self, folder: Path, options: Sequence[str] = ()) -> None:
        self.folder = folder
        self.socket = folder / "s.sock"
        self.options = tuple(options)
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """The DSN of one of its databases."""
        return f"mysql://root@localhost/{database}?unix_socket={self.socket}"

    def connect(self, **more: Any) -> pymysql.Connection:
        """A connection of its root's; without TLS, whose certificates take long to load."""
        return pymysql.connect(unix_socket=str(self.socket), user="root", ssl_disabled=True, **more)

    def install(self) -> None:
        """Lay the system tables: those of an earlier server of this process, copied."""
        shutil.copytree(_installed(), self.folder / "data")

    def start(self) -> None:
        """Start and wait until it answers; RuntimeError with the log's end when it does not."""
        server = find_program(SERVER_NAMES)
        assert server is not None, missing_mariadb()
        command = [
            server,
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--tmpdir={self.folder}",
            f"--socket={self.socket}",
            f"--pid-file={self.folder / 'pid'}",
            f"--log-error={self.folder / 'error.log'}",
            "--skip-networking",
            "--innodb-buffer-pool-size=512M",
            "--innodb-log-file-size=256M",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_unicode_520_ci",
            *self.options,
        ]
        if getpass.getuser() == "root":
            command.append("--user=root")
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket))
                # The greeting is the first thing that a server which serves sends.
                if probe.recv(1):
                    return
            time.sleep(0.05)
        log = (self.folder / "error.log").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"MariaDB did not start: {log}")

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(timeout=START_SECONDS)
        self._process = None


@functools.cache
def _installed() -> Path:
    """The data folder of a server that has never been started. It goes when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="wpb-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    installer = find_program(INSTALLER_NAMES)
    assert installer is not None, missing_mariadb()
    command = [
        installer,
        "--no-defaults",
        f"--datadir={folder / 'data'}",
        f"--tmpdir={folder}",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--innodb-log-file-size=4M",
    ]
    if getpass.getuser() == "root":
        command.append("--user=root")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"mariadb-install-db failed: {done.stderr[-2000:]}")
    return folder / "data"


@contextlib.contextmanager
def private_mariadb(
    options: Sequence[str] = (), *, may_be_killed: bool = False
) -> Iterator[MariaDB]:
    """A started server that is gone, data and all, when the block ends.

    ``may_be_killed``: its files do not lie in memory. MariaDB maps a log that lies in /dev/shm into
    its memory, and when it is killed in the middle of a write there, it loses commits that it has
    answered.
    """
    place = DISK if may_be_killed else None
    with tempfile.TemporaryDirectory(prefix="wpb-", dir=place) as folder:
        server = MariaDB(Path(folder), options)
        server.install()
        server.start()
        try:
            yield server
        finally:
            server.stop()
