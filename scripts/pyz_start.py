"""Unpacks wpbridge.pyz into a folder of its user, once for each build, and starts wpbridge there.

PHP, and the processes that wpbridge starts, need real files, and Python compiles them only once
there. The folder is ``wpbridge/VERSION-DIGEST`` below ``$XDG_CACHE_HOME``, or else ``~/.cache``.

What lies there is run, so nobody else may be able to put anything there. The folder must belong to
this user and be closed to others, and nobody but root and this user may be able to exchange a
folder above it. A new folder is made under another name and renamed when it is whole. Two first
starts at the same time each unpack, and the second one takes the folder of the first.
"""

import os
import pwd
import stat
import sys
from pathlib import Path
from typing import Final, NoReturn

BUILD: Final = "@BUILD@"
"""The name of the folder: the version, and a digest of all files. The build writes it here."""
INSIDE: Final = "site/"
"""What stands before the names of the files that are unpacked."""
_PRIVATE: Final = 0o700
_EXIT_CONFIG: Final = 78


def start() -> None:
    """Run wpbridge as its script would, unpacked before if this build is new here."""
    archive = sys.path[0]
    sys.path[0] = str(unpacked(Path(archive)))
    from wpbridge.cli import main  # noqa: PLC0415 - it is there only now

    main()


def unpacked(archive: Path) -> Path:
    """Return the folder with the files of the archive. Ends the process where there is none."""
    cache = _cache()
    folder = cache / BUILD
    try:
        _make(cache)
        _judge(cache)
        if not folder.is_dir():
            _unpack(archive, folder)
        _judge(folder)
    except OSError as error:
        _refuse(f"it unpacks itself once into {cache}, which fails: {error.strerror or error}")
    return folder


def _cache() -> Path:
    told = os.environ.get("XDG_CACHE_HOME", "")
    if told.startswith("/"):
        return Path(os.path.realpath(told)) / "wpbridge"
    home = os.environ.get("HOME", "")
    if not home.startswith("/"):
        try:
            home = pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:
            _refuse("it unpacks itself once into the home of its user, and this one has none")
    return Path(os.path.realpath(home)) / ".cache" / "wpbridge"


def _make(folder: Path) -> None:
    """Make a folder, and its parent if that is missing."""
    for place in (folder.parent, folder):
        try:
            place.mkdir(_PRIVATE)
        except FileExistsError:
            continue


def _judge(folder: Path) -> None:
    """Refuse a folder into which another user could have put what would be run now."""
    me = os.geteuid()
    for place in (folder, *folder.parents):
        found = place.lstat()
        is_own = place == folder
        if not stat.S_ISDIR(found.st_mode):
            _refuse(f"{place} is no folder: move it away")
        if found.st_uid != me and (is_own or found.st_uid != 0):
            _refuse(f"{place} belongs to user {found.st_uid}, who may change what you would run")
        # root judges groups too, as it does with handlers.
        others = stat.S_IWOTH if me and not is_own else stat.S_IWOTH | stat.S_IWGRP
        is_sticky = bool(found.st_mode & stat.S_ISVTX) and not is_own
        if found.st_mode & others and not is_sticky:
            _refuse(f"others may write into {place}, and so change what you would run")


def _unpack(archive: Path, folder: Path) -> None:
    import shutil  # noqa: PLC0415 - only the first start needs these
    import tempfile  # noqa: PLC0415
    import zipfile  # noqa: PLC0415

    part = Path(tempfile.mkdtemp(prefix=f".{BUILD}.", dir=folder.parent))
    try:
        with zipfile.ZipFile(archive) as files:
            files.extractall(part, [name for name in files.namelist() if name.startswith(INSIDE)])
        # A crash of the host must not leave a folder with empty files under the final name.
        os.sync()
        (part / INSIDE).chmod(_PRIVATE)
        try:
            (part / INSIDE).rename(folder)
        except OSError:
            # Another first start was quicker.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _refuse(why: str) -> NoReturn:
    sys.stderr.write(
        f"wpbridge.pyz: {why}; set XDG_CACHE_HOME to a folder that belongs to you and that nobody"
        " else may write\n"
    )
    sys.exit(_EXIT_CONFIG)
