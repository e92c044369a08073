"""Whose files are obeyed: a table of owners and modes, of the file and of what lies above it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wpbridge.errors import ConfigError, NotObeyed
from wpbridge.executors.loading import load as load_handlers
from wpbridge.site.config import Settings, load
from wpbridge.system.trusted_files import is_lifted, may_obey, read

WEB, BOB = 33, 1234
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """The rule asks who we are; the files are read as root."""
    return lambda uid: monkeypatch.setattr(os, "geteuid", lambda: uid)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    place = tmp_path / "srv" / "shop" / "conf.toml"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"[run]\n")
    return place


CASES = [
    # me, what is changed, its owner, its mode, whether the file is obeyed
    (0, "file", 0, 0o644, True),
    (0, "file", 0, 0o600, True),
    (0, "file", WEB, 0o644, False),
    (0, "file", WEB, 0o400, False),
    (0, "file", 0, 0o664, False),
    (0, "file", 0, 0o646, False),
    (0, "folder", WEB, 0o755, False),
    (0, "folder", 0, 0o775, False),
    (0, "folder", 0, 0o777, False),
    (0, "folder", 0, 0o1777, True),
    (0, "folder above", WEB, 0o755, False),
    (0, "folder above", 0, 0o757, False),
    (BOB, "file", BOB, 0o644, True),
    (BOB, "file", WEB, 0o644, True),
    (BOB, "file", 0, 0o644, True),
    (BOB, "file", WEB, 0o664, True),
    (BOB, "file", BOB, 0o646, False),
    (BOB, "folder", WEB, 0o775, True),
    (BOB, "folder", BOB, 0o777, False),
    (BOB, "folder", 0, 0o1777, True),
    (BOB, "folder above", 0, 0o757, False),
]


@pytest.mark.parametrize(("me", "what", "owner", "mode", "is_obeyed"), CASES)
def test_files_by_owner_and_mode(
    file: Path,
    become: Callable[[int], None],
    *,
    me: int,
    what: str,
    owner: int,
    mode: int,
    is_obeyed: bool,
) -> None:
    place = {"file": file, "folder": file.parent, "folder above": file.parent.parent}[what]
    os.chown(place, owner, owner)
    place.chmod(mode)
    become(me)
    if is_obeyed:
        assert read(file, "the settings file") == b"[run]\n"
        return
    with pytest.raises(NotObeyed) as refused:
        read(file, "the settings file")
    told = str(refused.value)
    assert told.startswith(f"the settings file {file} is not obeyed by {'you' if me else 'root'}")
    assert f"{mode:04o}" in told
    assert str(place) in told
    assert "WPBRIDGE_TRUST=1" in told
    assert ("chown -h root" if owner and not me else "chmod go-w") in told
    if owner and not me:
        assert f"chown -h root {place}`" in told
        # First what breaks nothing: the folder may be a web site's.
        assert "; run wpbridge as www-data, `chown -h root" in told


@pytest.mark.parametrize(
    ("link_of", "leads_to", "me", "is_obeyed"),
    [(0, 0, 0, True), (WEB, 0, 0, False), (0, WEB, 0, False), (WEB, WEB, BOB, True)],
)
@pytest.mark.parametrize("of", ["file", "folder"])
def test_links_count_and_what_they_lead_to(
    tmp_path: Path,
    file: Path,
    become: Callable[[int], None],
    *,
    of: str,
    link_of: int,
    leads_to: int,
    me: int,
    is_obeyed: bool,
) -> None:
    named = tmp_path / "link"
    named.symlink_to(file if of == "file" else os.path.relpath(file.parent, tmp_path))
    os.lchown(named, link_of, link_of)
    os.chown(file, leads_to, leads_to)
    become(me)
    place = named if of == "file" else named / file.name
    if is_obeyed:
        read(place, "the file")
    else:
        with pytest.raises(NotObeyed):
            read(place, "the file")


def test_a_folder_that_is_searched_must_not_be_added_to(
    tmp_path: Path, become: Callable[[int], None]
) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    (folder / "mine.py").write_text("")
    for me in (0, BOB):
        become(me)
        may_obey(folder / "mine.py", "the module")
        with pytest.raises(NotObeyed, match="everybody may write it; use a folder of your own, or"):
            may_obey(folder, "the folder", is_searched=True)


def test_pipes_and_links_in_a_circle_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OSError, match="no plain file"):
        read(tmp_path / "pipe", "the file")
    with pytest.raises(OSError, match="symbolic links"):
        read(tmp_path / "round", "the file")


def test_one_variable_lifts_the_rules_and_the_file_cannot(tmp_path: Path) -> None:
    for told, expected in (("1", True), ("true", True), ("", False), ("0", False), ("no", False)):
        assert is_lifted({"WPBRIDGE_TRUST": told}) is expected
    with pytest.raises(ConfigError, match="WPBRIDGE_TRUST expects true or false, not 'all'"):
        is_lifted({"WPBRIDGE_TRUST": "all"})
    (tmp_path / "wpbridge.toml").write_text("[run]\ntrusted = true\n")
    with pytest.raises(ConfigError, match="unknown setting trusted"):
        settings(tmp_path)


# Settings


def settings(cwd: Path, env: dict[str, str] | None = None, **flags: object) -> Settings:
    return load(flags, {"HOME": str(cwd / "home"), **(env or {})}, cwd)


@pytest.mark.parametrize(
    ("me", "file_of", "wordpress_of", "named", "is_obeyed"),
    [
        (0, WEB, WEB, "", False),
        (0, WEB, WEB, "--config", False),
        (0, WEB, WEB, "variable", False),
        (0, 0, WEB, "", False),  # its folder is another's
        (0, 0, 0, "", True),
        (BOB, BOB, WEB, "", True),
        (BOB, 0, WEB, "", True),
        (BOB, WEB, WEB, "", True),
        (BOB, WEB, 0, "", False),
        (BOB, WEB, None, "", False),
        (BOB, WEB, 0, "--config", True),
        (BOB, WEB, None, "variable", True),
    ],
)
def test_a_settings_file_that_lies_about(
    tmp_path: Path,
    become: Callable[[int], None],
    *,
    me: int,
    file_of: int,
    wordpress_of: int | None,
    named: str,
    is_obeyed: bool,
) -> None:
    cwd = tmp_path / "html"
    cwd.mkdir()
    file = cwd / "wpbridge.toml"
    file.write_text("[run]\nbatch_size = 7\n")
    if wordpress_of is None:
        os.chown(cwd, file_of, file_of)
    else:
        (cwd / "wp-config.php").touch()
        os.chown(cwd, wordpress_of, wordpress_of)
    os.chown(file, file_of, file_of)
    become(me)
    env = {"WPBRIDGE_CONFIG": str(file)} if named == "variable" else {}
    flags = {"config": str(file)} if named == "--config" else {}
    if is_obeyed:
        assert settings(cwd, env, **flags).batch_size == 7
    else:
        with pytest.raises(NotObeyed, match=r"the settings file .*/html/wpbridge\.toml"):
            settings(cwd, env, **flags)
    lifted = settings(cwd, {**env, "WPBRIDGE_TRUST": "1"}, **flags)
    assert (lifted.batch_size, lifted.trusted) == (7, True)


def test_a_found_link_to_a_file_of_mine_is_still_a_strangers(
    tmp_path: Path, become: Callable[[int], None]
) -> None:
    (tmp_path / "mine.toml").write_text("[run]\nbatch_size = 7\n")
    (tmp_path / "wpbridge.toml").symlink_to(tmp_path / "mine.toml")
    os.chown(tmp_path / "mine.toml", BOB, BOB)
    os.lchown(tmp_path / "wpbridge.toml", WEB, WEB)
    become(BOB)
    with pytest.raises(NotObeyed, match="belongs to www-data"):
        settings(tmp_path)


def test_the_home_of_another_user_is_a_strangers_too(
    tmp_path: Path, become: Callable[[int], None]
) -> None:
    folder = tmp_path / "home" / ".config" / "wpbridge"
    folder.mkdir(parents=True)
    (folder / "wpbridge.toml").write_text("[run]\nbatch_size = 7\n")
    os.chown(folder / "wpbridge.toml", WEB, WEB)
    for me in (0, BOB):
        become(me)
        with pytest.raises(NotObeyed):
            settings(tmp_path)


# Modules

TAG = sys.implementation.cache_tag
PROGRAM = """
import os, sys
from wpbridge.executors.loading import load
from wpbridge.errors import WpbridgeError
for trusted in (False, True):
    try:
        print(sorted(load(["{name}"], folder="{folder}", trusted=trusted)))
    except WpbridgeError as error:
        print(type(error).__name__, error)
"""
MODULE = "from wpbridge import hook\n@hook('{hook}')\ndef run(): pass\n"


@pytest.mark.parametrize(
    ("name", "files", "theirs"),
    [
        ("shop", {"shop.py": MODULE}, "shop.py"),
        ("shop", {"shop.py": MODULE}, "."),
        ("shop.hooks", {"shop/__init__.py": "", "shop/hooks.py": MODULE}, "shop/hooks.py"),
        ("shop.hooks", {"shop/__init__.py": "", "shop/hooks.py": MODULE}, "shop/__init__.py"),
        ("shop.hooks", {"shop/__init__.py": "", "shop/hooks.py": MODULE}, "shop"),
        ("shop.hooks", {"shop/hooks.py": MODULE}, "shop"),
        ("shop", {"shop.py": f"import helper\n{MODULE}", "helper.py": ""}, "helper.py"),
        ("shop", {"shop.py": f"import helper.a\n{MODULE}", "helper/a.py": ""}, "helper"),
        # A module of the library that is not loaded yet, and would be found here first.
        ("shop", {"shop.py": f"import chess\n{MODULE}", "chess.py": ""}, "chess.py"),
        # Somebody can put a compiled file there, which Python takes for the module's.
        ("shop", {"shop.py": MODULE, "__pycache__/x": ""}, "__pycache__"),
        (
            "shop",
            {"shop.py": MODULE, f"__pycache__/shop.{TAG}.pyc": ""},
            f"__pycache__/shop.{TAG}.pyc",
        ),
    ],
)
def test_root_runs_no_module_that_others_may_change(
    tmp_path: Path, name: str, files: dict[str, str], theirs: str
) -> None:
    folder = tmp_path / "handlers"
    for place, text in files.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text.format(hook="h"))
    program = PROGRAM.format(name=name, folder=folder)
    os.chown(folder / theirs, WEB, WEB)
    told = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False
    ).stdout.splitlines()
    assert len(told) == 2
    assert told[0].startswith("NotObeyed the handlers' ")
    assert str(folder) in told[0]
    assert "www-data" in told[0]
    assert told[1] == "['h']"


def test_another_user_refuses_what_everybody_may_write(
    tmp_path: Path, become: Callable[[int], None]
) -> None:
    name = f"worldly_{os.getpid()}"
    (tmp_path / f"{name}.py").write_text(MODULE.format(hook="h"))
    (tmp_path / f"{name}.py").chmod(0o666)
    become(BOB)
    with pytest.raises(NotObeyed, match="everybody may write it"):
        load_handlers([name], folder=str(tmp_path))
    (tmp_path / f"{name}.py").chmod(0o664)
    assert list(load_handlers([name], folder=str(tmp_path))) == ["h"]


def test_all_that_root_must_own_is_named_at_once(file: Path) -> None:
    for place in (file.parent, file):
        os.chown(place, WEB, WEB)
    with pytest.raises(NotObeyed) as refused:
        read(file, "the settings file")
    assert f"`chown -h root {file.parent} {file}`" in str(refused.value)
