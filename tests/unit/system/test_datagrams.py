"""Sockets for datagrams: their mode, and what is in their place already."""

import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from wpbridge.system import datagrams


@pytest.fixture
def folder() -> Iterator[Path]:
    # Below /tmp, since a socket's name is short.
    with TemporaryDirectory(dir="/tmp", prefix="wpb") as name:
        yield Path(name)


def bound(path: Path, mode: int = 0o660) -> socket.socket:
    return datagrams.bound_to_path(path, mode=mode, group=None)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_mode_is_as_asked_whatever_the_umask(folder: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        for mode in (0o600, 0o660, 0o666):
            with bound(folder / f"{mode:o}", mode):
                assert mode_of(folder / f"{mode:o}") == mode
        assert os.umask(umask) == umask
    finally:
        os.umask(before)


def test_a_stale_socket_is_taken_over(folder: Path) -> None:
    path = folder / "s"
    bound(path).close()
    assert path.exists()
    assert not datagrams.is_heard(path)
    with bound(path) as ear:
        assert datagrams.is_heard(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
            bell.sendto(b"x", str(path))
        assert ear.recv(2) == b"x"


def test_a_socket_on_which_somebody_listens_stays(folder: Path) -> None:
    path = folder / "s"
    with bound(path):
        with pytest.raises(OSError, match="another process listens"):
            bound(path)
        assert datagrams.is_heard(path)


def test_what_is_no_socket_stays(folder: Path) -> None:
    file, link, dangling, inside = (folder / n for n in ("file", "link", "dangling", "folder"))
    file.write_text("kept")
    stale = folder / "stale"
    bound(stale).close()
    link.symlink_to(stale)
    dangling.symlink_to(folder / "nowhere")
    inside.mkdir()
    for place in (file, link, dangling, inside):
        with pytest.raises(OSError, match="no socket"):
            bound(place)
    assert file.read_text() == "kept"
    assert link.is_symlink()
    assert dangling.is_symlink()
    assert stale.exists()
    assert not (folder / "nowhere").exists()


def test_a_socket_of_another_user_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "s"
    bound(path).close()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(OSError, match="belongs to"):
        bound(path)
    assert path.exists()


def test_two_do_not_take_over_at_once(folder: Path) -> None:
    path = folder / "s"
    bound(path).close()
    handle = os.open(folder, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(OSError, match="locked"):
        bound(path)
    os.close(handle)
    bound(path).close()


@pytest.mark.parametrize("group", ["nobody-of-that-name", "99999999999", "4294967295", "a\0b"])
def test_a_group_that_is_not_there_leaves_no_socket(folder: Path, group: str) -> None:
    with pytest.raises(OSError, match="no group") as raised:
        datagrams.bound_to_path(folder / "s", mode=0o660, group=group)
    assert raised.value.strerror == f"there is no group {group}"
    assert not (folder / "s").exists()


def test_a_group_is_given_by_its_number_too(folder: Path) -> None:
    with datagrams.bound_to_path(folder / "s", mode=0o660, group=str(os.getegid())):
        assert (folder / "s").lstat().st_gid == os.getegid()


def test_a_path_that_the_kernel_does_not_take_is_an_error(folder: Path) -> None:
    with pytest.raises(OSError, match="too long"):
        bound(folder / ("x" * 108))
    with pytest.raises(OSError, match="No such file"):
        bound(folder / "missing" / "s")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_udp_is_bound_to_a_free_port(host: str) -> None:
    try:
        ear = datagrams.bound_to_udp(host, 0)
    except OSError:
        pytest.skip(f"{host} is not there")
    with ear:
        assert ear.getsockname()[0] == host
        assert ear.getsockname()[1] > 0
