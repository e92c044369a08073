"""`wpbridge serve` as its operators start and stop it."""

import json
import os
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from click.testing import CliRunner

from daemons import until
from databases import empty_queue
from served import DEADLINE_SECONDS, headers_for, served
from wpbridge.cli.main import cli


@pytest.fixture(name="dsn")
def sqlite_queue(tmp_path: Path) -> str:
    return empty_queue(tmp_path / "queue.db")


def test_term_answers_what_runs_lets_go_who_waits_and_ends_well(dsn: str, tmp_path: Path) -> None:
    headers = headers_for(dsn)

    def ask(session: requests.Session, method: str, url: str, **more: Any) -> requests.Response:
        return session.request(method, url, headers=headers, timeout=DEADLINE_SECONDS, **more)

    flags = ("--listen", "127.0.0.1:0", "--access-log", "json", "--base-path", "/queue")
    with served(tmp_path, dsn, *flags) as gateway, requests.Session() as session:
        url = gateway.url
        job = ask(session, "POST", f"{url}/v1/jobs", json={"hook": "h"}).json()
        self_link = url.removesuffix("/queue") + job["links"]["self"]
        with (
            waiting_for(url, job["links"]["self"], headers) as waits,
            ask(session, "GET", f"{self_link}/events?", stream=True) as events,
        ):
            chunks = events.iter_content(None)
            assert b"event: pending" in next(chunks) + next(chunks)
            gateway.process.send_signal(signal.SIGTERM)
            # The stream ends in order: a cut one raises.
            assert list(chunks) == []
            assert answered(waits)["status"] == "pending"
        assert gateway.code() == 0
    lines = [json.loads(line) for line in gateway.lines if line.startswith("{")]
    assert [line["event"] for line in lines] == ["gateway.request"] * 3
    added = lines[0]
    assert (added["method"], added["path"], added["status"]) == ("POST", "/queue/v1/jobs", 202)
    assert added["milliseconds"] > 0
    assert {line["caller"] for line in lines} == {"key:served"}
    secret = headers["Authorization"].rpartition("_")[2]
    assert not any(secret in line for line in gateway.lines)
    assert added["bytes"] > 100
    assert {line["path"] for line in lines[1:]} == {
        job["links"]["self"],
        f"{job['links']['self']}/events",
    }
    assert not any("wait=30" in line for line in gateway.lines)


@contextmanager
def waiting_for(url: str, job: str, headers: Mapping[str, str]) -> Iterator[socket.socket]:
    """A connection on which the gateway has read a request that waits for the end of a job."""
    found = urlsplit(url)
    told = {**headers, "Host": found.netloc, "Connection": "close"}
    lines = [f"GET {job}?wait=30 HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
    address = (found.hostname, found.port)
    with socket.create_connection(address, timeout=DEADLINE_SECONDS) as line:
        line.sendall("\r\n".join([*lines, "", ""]).encode())
        until(lambda: has_read(line), "the request is read")
        yield line


def has_read(line: socket.socket) -> bool:
    """Whether the other end has read what was sent, which no queue of the kernel's holds then."""
    ours, theirs = (f":{port:04X}" for port in (line.getsockname()[1], line.getpeername()[1]))
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    queues = {(row[1][-5:], row[2][-5:]): row[4].split(":") for row in rows if row[3] == "01"}
    sent, received = queues.get((ours, theirs)), queues.get((theirs, ours))
    return sent is not None and received is not None and int(sent[0] + received[1], 16) == 0


def answered(line: socket.socket) -> Any:
    """The answer, when the gateway has closed."""
    text = b""
    while part := line.recv(65536):
        text += part
    head, _, body = text.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), text
    return json.loads(body)


def takes_connections(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=DEADLINE_SECONDS).close()
    except ConnectionRefusedError:
        return False
    except ConnectionResetError:
        # It was closed while this connection waited for it.
        pass
    return True


def test_a_second_signal_ends_at_once(dsn: str, tmp_path: Path) -> None:
    headers = headers_for(dsn)
    with served(tmp_path, dsn, "--listen", "127.0.0.1:0") as gateway:
        host, port = gateway.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=DEADLINE_SECONDS) as line:
            # A request whose body does not come is what the first signal waits for.
            line.sendall(
                b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Authorization: "
                + headers["Authorization"].encode()
                + b"\r\nExpect: 100-continue\r\nContent-Length: 12\r\n\r\n"
            )
            assert line.recv(100).startswith(b"HTTP/1.1 100")
            gateway.process.send_signal(signal.SIGTERM)
            while takes_connections(host, int(port)):
                pass
            gateway.process.send_signal(signal.SIGTERM)
            assert gateway.code() == 0
            assert not line.recv(100).startswith(b"HTTP/1.1 2")


def test_a_unix_socket_has_its_mode_and_goes_with_its_gateway() -> None:
    # Below /tmp, since a socket's name is short.
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="wpb") as name:
        folder, place = Path(name), Path(name) / "http.sock"
        stale = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stale.bind(str(place))
        stale.close()
        listen, dsn = f"unix:{place}", empty_queue(folder / "queue.db")
        with served(folder, dsn, "--listen", listen, "--socket-mode", "0600") as gateway:
            gateway.told(f"listening on {listen}")
            assert stat.S_IMODE(place.stat().st_mode) == 0o600
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
                line.settimeout(DEADLINE_SECONDS)
                line.connect(str(place))
                line.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert line.recv(100).startswith(b"HTTP/1.1 200")
            done = run("--dsn", dsn, "--listen", listen)
            assert done == (
                78,
                f"wpbridge: cannot listen on {listen}: another process listens there\n",
            )
            gateway.process.send_signal(signal.SIGTERM)
            assert gateway.code() == 0
        assert not place.exists()


def run(*flags: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["serve", *flags])
    return done.exit_code, done.output


def test_what_cannot_be_is_one_line_that_says_why(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WPBRIDGE_TRUST", "1")
    (tmp_path / "file").touch()
    form = "HOST:PORT such as 127.0.0.1:8787, or unix:PATH"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cases: dict[tuple[str, ...], str] = {
            (
                f"--listen=127.0.0.1:{port}",
            ): f"cannot listen on http://127.0.0.1:{port}: another process listens there",
            (
                "--listen=192.0.2.1:80",
            ): "cannot listen on http://192.0.2.1:80: this host does not have this address",
            (
                "--listen=nowhere.invalid:80",
            ): "cannot listen on http://nowhere.invalid:80: there is no host nowhere.invalid",
            ("--listen=x",): form,
            ("--listen=127.0.0.1:99999",): form,
            ("--listen=127.0.0.1:",): form,
            (f"--listen=unix:{tmp_path}/none/sock",): "No such file or directory",
            (
                f"--listen=unix:{tmp_path}/file",
            ): "there is something else of that name, which is no socket",
            ("--base-path=a/b",): "a path such as /queue",
            ("--base-path=/a/../b",): "a path such as /queue",
            ("--base-path=/a//b",): "a path such as /queue",
            ("--base-path=/a%2fb",): "a path such as /queue",
            ("--socket-mode=9",): "an octal mode",
        }
        for flags, words in cases.items():
            code, told = run("--dsn", dsn, *flags)
            assert (code, told.count("\n"), words in told) == (78, 1, True), (flags, told)
        done = CliRunner().invoke(cli, ["work", "--dsn", dsn, "--serve", f"127.0.0.1:{port}"])
        words = f"wpbridge: cannot listen on http://127.0.0.1:{port}: another process listens there"
        assert (done.exit_code, done.output) == (78, f"{words}\n")
    code, told = run("--dsn", "mysql://root@127.0.0.1:1/none", "--listen", "127.0.0.1:0")
    assert (code, told.count("\n")) == (69, 1), told


def test_dry_run_tells_where_and_listens_nowhere(dsn: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = run("--dsn", dsn, "--listen", str(port), "--base-path", "/q/", "--dry-run")
        assert told == (0, f"would listen on http://127.0.0.1:{port}/q\n")


def test_settings_come_from_the_file_too(dsn: str, tmp_path: Path) -> None:
    (tmp_path / "wpbridge.toml").write_text(
        f'[site]\ndsn = "{dsn}"\n[web]\nlisten = "unix:http.sock"\nbase_path = "/q"\n'
    )
    done = CliRunner().invoke(
        cli, ["serve", "--config", str(tmp_path / "wpbridge.toml"), "--dry-run"]
    )
    assert done.output == f"would listen on unix:{tmp_path}/http.sock/q\n"


def test_a_missing_extra_is_one_line_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "wpbridge.web.serving", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, told = run("--dsn", f"sqlite:///{tmp_path}/queue.db")
    assert (code, told) == (
        78,
        "wpbridge: the HTTP gateway needs uvicorn: install it with `pip install 'wpbridge[web]'`\n",
    )


def children(pid: int) -> set[int]:
    told = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return {int(word) for word in told.split()}


def test_several_workers_share_one_address_and_are_replaced(dsn: str, tmp_path: Path) -> None:
    headers = headers_for(dsn)
    flags = ("--listen", "127.0.0.1:0", "--workers", "2", "-v")
    with served(tmp_path, dsn, *flags) as gateway:
        url = gateway.url
        gateway.told("daemon.ready")
        before = children(gateway.process.pid)
        assert len(before) == 2
        dead = min(before)
        os.kill(dead, signal.SIGKILL)
        gateway.told("worker.died")
        gateway.told("worker.started", 2)
        until(lambda: len(children(gateway.process.pid) - {dead}) == 2, "a new one")
        for _ in range(4):
            answer = requests.post(f"{url}/v1/jobs", b'{"hook":"h"}', headers=headers, timeout=60)
            assert answer.status_code == 202
        job = answer.json()["links"]["self"]
        with ThreadPoolExecutor(8) as pool:
            keyed = {**headers, "Idempotency-Key": "one"}
            asked = [
                pool.submit(
                    requests.post, f"{url}/v1/jobs", b'{"hook":"h"}', headers=keyed, timeout=60
                )
                for _ in range(16)
            ]
        # Whichever process answers, one key makes one job.
        assert len({one.result().headers["Location"] for one in asked}) == 1
        # HUP replaces all of them, and nobody is refused meanwhile.
        old = children(gateway.process.pid)
        gateway.process.send_signal(signal.SIGHUP)
        while children(gateway.process.pid) & old:
            assert requests.get(f"{url}/livez", timeout=60).status_code == 200
        with waiting_for(url, job, headers) as waits:
            gateway.process.send_signal(signal.SIGTERM)
            assert answered(waits)["status"] == "pending"
        assert gateway.code() == 0


def test_nobody_serves_on_when_the_parent_was_killed(dsn: str, tmp_path: Path) -> None:
    with served(tmp_path, dsn, "--listen", "127.0.0.1:0", "--workers", "2", "-v") as gateway:
        host, port = gateway.url.removeprefix("http://").split(":")
        gateway.told("daemon.ready")
        os.kill(gateway.process.pid, signal.SIGKILL)
        until(lambda: not takes_connections(host, int(port)), "its processes end too")


def test_a_worker_that_cannot_start_ends_all_with_its_line(tmp_path: Path) -> None:
    with served(
        tmp_path, "mysql://root@127.0.0.1:1/none", "--listen", "127.0.0.1:0", "--workers", "2"
    ) as gateway:
        assert gateway.code() == 69
        assert [line[:9] for line in gateway.lines[1:]] == ["wpbridge:"], gateway.lines


def test_work_serves_beside_its_workers(dsn: str, tmp_path: Path) -> None:
    headers = headers_for(dsn)
    (tmp_path / "acts.py").write_text(
        "from wpbridge import hook\n@hook('double')\ndef double(number):\n    return 2 * number\n"
    )
    flags = ("--handlers", "acts", "--serve", "127.0.0.1:0", "-v")
    with served(tmp_path, dsn, *flags, command=("work",)) as daemon:
        url = daemon.url
        daemon.told("daemon.ready")
        job = requests.post(
            f"{url}/v1/jobs",
            b'{"hook":"double","args":[21]}',
            headers={**headers, "Prefer": "wait=30"},
            timeout=60,
        ).json()
        assert (job["status"], job["result"]) == ("complete", 42)
        [gone] = [pid for pid in children(daemon.process.pid) if is_gateway(pid)]
        os.kill(gone, signal.SIGKILL)
        daemon.told("worker.died")
        answer = requests.get(f"{url}/readyz", timeout=60)
        assert answer.status_code == 200
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.code() == 143


def is_gateway(pid: int) -> bool:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return any(word.startswith(b"0:") for word in words)
