"""Files with customers' data: nobody else reads them, and no link leads them elsewhere."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wpbridge.system import private_files


@pytest.fixture(autouse=True, params=[0, 0o022, 0o077])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(file: Path) -> int:
    return stat.S_IMODE(file.lstat().st_mode)


def write(file: Path, data: bytes) -> None:
    with private_files.replaced(file) as stream:
        stream.write(data)


def fresh(file: Path, data: bytes) -> None:
    with private_files.fresh(file) as stream:
        stream.write_line(data)


def appended(file: Path, data: bytes) -> None:
    with private_files.opened(file) as stream:
        stream.tighten()
        stream.add(data, 0)


WAYS = pytest.mark.parametrize("way", [write, fresh, appended])
Way = Callable[[Path, bytes], None]


@WAYS
def test_whatever_the_umask_only_the_owner_reads_it(way: Way, tmp_path: Path) -> None:
    file = tmp_path / "j"
    way(file, b"one")
    assert (mode(file), file.read_bytes()) == (0o600, b"one")
    file.chmod(0o644)
    way(file, b"another")
    assert (mode(file), file.read_bytes()) == (0o600, b"another")
    assert list(tmp_path.iterdir()) == [file]


@WAYS
def test_no_link_is_followed(way: Way, tmp_path: Path) -> None:
    target = tmp_path / "target"
    for is_there in (False, True):
        if is_there:
            target.write_bytes(b"somebody's")
        link = tmp_path / f"link-{is_there}"
        link.symlink_to(target)
        with pytest.raises(OSError, match="it is a link"):
            way(link, b"ours")
    assert target.read_bytes() == b"somebody's"
    folder = tmp_path / "there"
    folder.mkdir()
    with pytest.raises(OSError, match=r"directory|no plain file") as error:
        way(folder, b"ours")
    assert error.value.strerror
    # The folder of a file may be reached by one: releases are.
    (tmp_path / "current").symlink_to(folder)
    way(tmp_path / "current" / "j", b"ours")
    assert (folder / "j").read_bytes() == b"ours"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("way", [fresh, appended])
def test_a_file_that_another_user_could_have_written_is_refused(way: Way, tmp_path: Path) -> None:
    file = tmp_path / "j"
    file.write_bytes(b"theirs")
    file.chmod(0o620)
    with pytest.raises(OSError, match="others may write to it"):
        way(file, b"ours")
    file.chmod(0o600)
    os.chown(file, 4711, 4711)
    with pytest.raises(OSError, match="belongs to the user 4711"):
        way(file, b"ours")
    assert file.read_bytes() == b"theirs"


@pytest.mark.parametrize("way", [write, fresh, appended])
def test_none_is_made_where_a_web_server_hands_it_out(way: Way, tmp_path: Path) -> None:
    (tmp_path / "wp-load.php").touch()
    (tmp_path / "below").mkdir()
    with pytest.raises(OSError, match="a web server may hand out"):
        way(tmp_path / "below" / "j", b"ours")
    assert not list((tmp_path / "below").iterdir())


def test_what_is_not_written_to_its_end_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "j"
    file.write_bytes(b"before")

    class Broken(Exception):
        pass

    def half() -> None:
        with private_files.replaced(file) as stream:
            stream.write(b"half")
            raise Broken

    with pytest.raises(Broken):
        half()
    assert [(one, one.read_bytes()) for one in tmp_path.iterdir()] == [(file, b"before")]


def test_a_write_for_which_there_is_no_room_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "j"
    real = os.pwrite

    def full(handle: int, data: bytes, place: int) -> int:
        if place >= 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(handle, data[: 8 - place], place)

    with private_files.opened(file) as stream:
        end = stream.add(b"first", 0)
        monkeypatch.setattr(os, "pwrite", full)
        for call in (lambda: stream.add(b"second", end), lambda: stream.write_line(b"second")):
            with pytest.raises(OSError, match="No space left"):
                call()
            assert file.read_bytes() == b"first"


def test_folders_that_are_missing_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    os.close(private_files.walk(tmp_path / "a" / "b", makes=True))
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o700, 0o700)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(NotADirectoryError):
        private_files.walk(tmp_path / "link" / "b", makes=True)
