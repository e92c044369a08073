"""Files in a folder that others own: nobody leads root out of it, and nothing changes hands."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wpbridge.errors import SiteError
from wpbridge.plugin.placing import remove_file, source_of, write_file

WEB, DEPLOY = 33, 1234
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def content(tmp_path: Path) -> Path:
    """A wp-content that is the web server's, as far as we may give it away."""
    folder = tmp_path / "html" / "wp-content"
    folder.mkdir(parents=True)
    if os.geteuid() == 0:
        for place in (folder.parent, folder):
            os.chown(place, WEB, WEB)
    return folder


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder that is root's alone."""
    folder = tmp_path / "victim"
    folder.mkdir(mode=0o700)
    return folder


def of(place: Path) -> tuple[int, int, int]:
    status = place.lstat()
    return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)


def after(monkeypatch: pytest.MonkeyPatch, name: str, deed: Callable[[], None]) -> None:
    """Somebody does something in the moment after a call of the system."""
    real = getattr(os, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        found = real(*args, **kwargs)
        monkeypatch.setattr(os, name, real)
        me = os.geteuid()
        os.seteuid(os.getuid())
        deed()
        os.seteuid(me)
        return found

    monkeypatch.setattr(os, name, call)


def test_a_folder_that_becomes_a_link_is_not_followed(
    content: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of(victim)
    folder = content / "mu-plugins"

    def swap() -> None:
        folder.rename(content / "gone")
        folder.symlink_to(victim)

    after(monkeypatch, "mkdir", swap)
    with pytest.raises(SiteError, match=r"wpbridge\.php cannot be written"):
        write_file(folder / "wpbridge.php", b"<?php")
    assert of(victim) == before
    assert list(victim.iterdir()) == []


@needs_root
def test_a_private_folder_that_is_moved_into_the_place_keeps_its_owner(
    content: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, folder = content / "backup", content / "mu-plugins"
    private.mkdir(mode=0o700)

    def swap() -> None:
        folder.rename(content / "gone")
        private.rename(folder)

    after(monkeypatch, "mkdir", swap)
    write_file(folder / "wpbridge.php", b"<?php")
    assert of(folder) == (0, 0, 0o700)
    assert of(folder / "wpbridge.php") == (0, 0, 0o644)


@pytest.mark.parametrize("name", ["open", "rename"])
def test_a_folder_that_is_exchanged_later_is_not_written_to(
    content: Path, victim: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = content / "mu-plugins"
    folder.mkdir()
    (victim / "wpbridge.php").write_bytes(b"theirs")
    real = os.open

    def swap() -> None:
        folder.rename(content / "gone")
        folder.symlink_to(victim)

    def opened(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_CREAT and folder.is_dir() and not folder.is_symlink():
            swap()
        return real(path, flags, *args, **kwargs)

    if name == "open":
        monkeypatch.setattr(os, "open", opened)
    else:
        after(monkeypatch, "fchmod", swap)
    write_file(folder / "wpbridge.php", b"<?php")
    assert (content / "gone" / "wpbridge.php").read_bytes() == b"<?php"
    assert (victim / "wpbridge.php").read_bytes() == b"theirs"
    assert of(victim / "wpbridge.php") == (os.geteuid(), os.getegid(), 0o644)


@needs_root
@pytest.mark.parametrize(
    ("link_of", "holder", "leads_to", "is_followed"),
    [
        # Releases by symlink, Bedrock, Debian: whoever made the link may write there anyhow.
        (0, 0, WEB, True),
        (0, 0, 0, True),
        (WEB, WEB, WEB, True),
        (DEPLOY, DEPLOY, DEPLOY, True),
        (0, WEB, WEB, True),
        (DEPLOY, 0, DEPLOY, True),
        # The web server's user would have root write into what is another's.
        (WEB, WEB, 0, False),
        (WEB, WEB, DEPLOY, False),
        (0, WEB, 0, False),
        (WEB, 0, 0, False),
        (DEPLOY, DEPLOY, WEB, False),
    ],
)
@pytest.mark.parametrize("part", ["mu-plugins", "wp-content", "html"])
def test_root_follows_links_only_where_their_owner_may_write(
    tmp_path: Path, link_of: int, holder: int, leads_to: int, part: str, *, is_followed: bool
) -> None:
    # Given: a link in the place of one of the folders
    parts = ["html", "wp-content", "mu-plugins"]
    ahead, behind = parts[: parts.index(part)], parts[parts.index(part) + 1 :]
    at = tmp_path.joinpath("site", *ahead)
    target = tmp_path / "elsewhere"
    at.mkdir(parents=True)
    target.joinpath(*behind).mkdir(parents=True)
    for place in (target, *target.rglob("*")):
        os.chown(place, leads_to, leads_to)
    (at / part).symlink_to(target)
    os.lchown(at / part, link_of, link_of)
    os.chown(at, holder, holder)
    file = tmp_path.joinpath("site", *parts, "wpbridge.php")
    # When, then
    if is_followed:
        write_file(file, b"<?php")
        assert of(file) == (leads_to, leads_to, 0o644)
        remove_file(file)
        assert not file.exists()
    else:
        (target.joinpath(*behind) / "wpbridge.php").write_bytes(b"theirs")
        cure = "run wpbridge as" if leads_to else "if it is right, give it and its folder to root"
        refusal = f"root does not follow it; {cure}"
        with pytest.raises(SiteError, match=refusal):
            write_file(file, b"<?php")
        with pytest.raises(SiteError, match=refusal):
            remove_file(file)
        assert file.read_bytes() == b"theirs"


@needs_root
def test_links_in_a_circle_end(content: Path) -> None:
    (content / "a").symlink_to("b")
    (content / "b").symlink_to("a")
    with pytest.raises(SiteError, match="cannot be written: Too many levels of symbolic links"):
        write_file(content / "a" / "wpbridge.php", b"")


@needs_root
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_what_is_new_is_the_owners(content: Path, mask: int) -> None:
    os.chown(content, WEB, DEPLOY)
    old, groups = os.umask(mask), os.getgroups()
    try:
        write_file(content / "mu-plugins" / "wpbridge.php", b"<?php")
        assert os.umask(mask) == mask
    finally:
        os.umask(old)
    assert of(content / "mu-plugins") == (WEB, DEPLOY, 0o755)
    assert of(content / "mu-plugins" / "wpbridge.php") == (WEB, DEPLOY, 0o644)
    assert (os.geteuid(), os.getegid()) == (0, 0)
    assert os.getgroups() == groups


@needs_root
@pytest.mark.parametrize(
    ("before", "then"),
    [
        ((0, 0, 0o644), (0, 0, 0o644)),
        ((0, WEB, 0o640), (0, WEB, 0o640)),
        ((DEPLOY, WEB, 0o664), (DEPLOY, WEB, 0o664)),
        ((0, 0, 0o666), (0, 0, 0o664)),
        ((WEB, WEB, 0o4777), (WEB, WEB, 0o775)),
        ((0, 0, 0o400), (0, 0, 0o400)),
    ],
)
def test_an_update_changes_no_owner_and_never_loosens_the_mode(
    content: Path, before: tuple[int, int, int], then: tuple[int, int, int]
) -> None:
    file = content / "mu-plugins" / "wpbridge.php"
    write_file(file, b"old")
    os.chown(file, *before[:2])
    file.chmod(before[2])
    write_file(file, b"new")
    assert (file.read_bytes(), of(file)) == (b"new", then)


@needs_root
def test_a_file_of_roots_does_not_become_that_of_the_folders_owner(
    content: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = content / "mu-plugins" / "wpbridge.php"
    write_file(file, b"old")
    os.chown(file, 0, 0)
    monkeypatch.setattr(os, "geteuid", lambda: WEB)
    with pytest.raises(SiteError, match="belongs to root and would become yours: run wpbridge as"):
        write_file(file, b"new")
    assert (file.read_bytes(), of(file)[0]) == (b"old", 0)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_plain_file_is_neither_waited_for_nor_replaced(
    content: Path, victim: Path, kind: str
) -> None:
    file = content / "wpbridge.php"
    if kind == "link":
        (victim / "x").write_bytes(b"theirs")
        file.symlink_to(victim / "x")
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.mkdir()
    with pytest.raises(SiteError, match="is no plain file: move it away first"):
        write_file(file, b"new")
    if kind == "link":
        assert (victim / "x").read_bytes() == b"theirs"
        assert source_of(file) == b"theirs"
    else:
        with pytest.raises(SiteError):
            source_of(file)
    assert file.is_symlink() == (kind == "link")


def test_a_file_without_an_end_is_not_read(content: Path) -> None:
    file = content / "wpbridge.php"
    with file.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(SiteError, match="was not written by wpbridge"):
        source_of(file)
