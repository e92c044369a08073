"""``wpbridge.pyz``: built twice alike, unpacked safely, and run as a real file by a real Python."""

import ast
import json
import os
import runpy
import shutil
import signal
import stat
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from importlib.metadata import requires
from pathlib import Path

import pytest

import pyz
import pyz_start
from daemons import until
from php_site import PhpSite
from wpbridge import __version__

SCRIPTS = Path(pyz.__file__).parent
ACTS = """
import os
from pathlib import Path
from wpbridge import hook

@hook("greet")
def greet(name):
    Path(name).write_text(str(os.getpid()))

@hook("alone", isolate=True)
def alone(name):
    Path(name).write_text(str(os.getppid()))
"""


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python without any library but its own: this one's has all extras."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin" / "python"


class Home:
    """A user's folder, with the file in it."""

    def __init__(self, folder: Path, file: Path, python: Path) -> None:
        self.folder = folder
        self.python = python
        self.file = folder / "wpbridge.pyz"
        shutil.copy(file, self.file)
        self.cache = folder / ".cache" / "wpbridge"
        self.env = {"HOME": str(folder), "PATH": os.environ["PATH"]}
        self.dsn = f"sqlite:///{folder / 'queue.db'}"
        (folder / "acts.py").write_text(ACTS, "utf-8")

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.python, self.file, *words],
            cwd=self.folder,
            env={**self.env, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        with self.start(*words, env=env) as process:
            out, err = process.communicate()
        return process.returncode, out, err

    def ok(self, *words: str) -> str:
        code, out, err = self(*words)
        assert code == 0, err
        return out

    def enqueue(self, hook: str, name: str) -> None:
        self.ok("enqueue", hook, "--args", f'["{name}"]', "--dsn", self.dsn)


@pytest.fixture
def home(single_file: Path, bare_python: Path, tmp_path: Path) -> Home:
    """A user who has the file, and has not started it yet."""
    return Home(tmp_path, single_file, bare_python)


@pytest.fixture(scope="session")
def started(single_file: Path, bare_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A user who has started it before."""
    home = Home(tmp_path_factory.mktemp("home"), single_file, bare_python)
    home.ok("init", "--dsn", home.dsn)
    return home


def test_the_same_checkout_gives_the_same_bytes(single_file: Path, tmp_path: Path) -> None:
    assert pyz.build(tmp_path).read_bytes() == single_file.read_bytes()
    assert single_file.stat().st_mode & stat.S_IXUSR


def test_it_holds_the_package_and_its_libraries_with_their_licences(single_file: Path) -> None:
    with zipfile.ZipFile(single_file) as archive:
        names = set(archive.namelist())
    for name in ("executors/php/worker.php", "plugin/companion.php", "site/wpconfig/config.php"):
        assert f"site/wpbridge/{name}" in names
    assert not [name for name in names if name.endswith((".so", ".pyc"))]
    locked = pyz.LOCK.read_text("utf-8").splitlines()[1:]
    folders = {name.split("/")[1] for name in names if name.count("/") > 1}
    about = {name for name in folders if name.endswith(".dist-info")}
    assert len(about) == len(locked) + 1
    licensed = {
        name.split("/")[1] for name in names if "licen" in name.lower() and ".dist-info/" in name
    }
    assert licensed == about


def test_the_lock_is_what_the_package_asks_for() -> None:
    packaging = pytest.importorskip("packaging.requirements")
    locked = dict(
        line.partition(" ")[0].split("==") for line in pyz.LOCK.read_text("utf-8").splitlines()[1:]
    )
    wanted = [packaging.Requirement(one) for one in requires("wpbridge") or ()]
    base = [one for one in wanted if one.marker is None]
    assert len(base) == 6
    for one in base:
        assert one.specifier.contains(locked[one.name.lower()]), one


def test_old_pythons_understand_the_first_file_and_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = SCRIPTS / "pyz_main.py"
    tree = ast.parse(first.read_text("utf-8"), feature_version=(3, 4))
    assert not [one for one in ast.walk(tree) if isinstance(one, ast.JoinedStr | ast.AnnAssign)]
    monkeypatch.setattr(sys, "version_info", (3, 6, 15))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(first), run_name="__main__")
    assert ended.value.code == 78
    err = capsys.readouterr().err
    assert err.startswith("wpbridge.pyz: it needs Python 3.11 or newer, and this is Python 3.6 (")
    assert err.count("\n") == 1


def test_it_says_its_version_and_which_extras_it_has_not(started: Home) -> None:
    first, second = started.ok("--version").splitlines()
    assert first == f"wpbridge, version {__version__}"
    assert second.startswith("wpbridge.pyz, without the extras alerts, celery, ")
    code, _, err = started("serve", "--dsn", started.dsn)
    assert (code, err.count("\n")) == (78, 1)
    assert "'wpbridge[web]'" in err
    assert "wpbridge.pyz has no extras" in err


def test_it_runs_handlers_in_threads_and_in_children(started: Home) -> None:
    started.enqueue("greet", "thread")
    started.enqueue("alone", "child")
    told = started.ok("claim-and-run", "--dsn", started.dsn, "--handlers", "acts")
    assert told.startswith("claimed 2, complete 2, failed 0 in ")
    # The child is the child of the process in which the thread was.
    assert (started.folder / "thread").read_text() == (started.folder / "child").read_text()


def test_it_writes_deployments_and_moves_queues(started: Home, tmp_path: Path) -> None:
    started.ok("deploy", "write", str(tmp_path / "deployment"))
    assert (tmp_path / "deployment" / "systemd" / "wpbridge@.service").is_file()
    file = tmp_path / "queue.jsonl"
    started.ok("migrate", "export", "--output", str(file), "--dsn", started.dsn)
    assert file.stat().st_size
    started.ok("migrate", "schema", "verify", "--dsn", started.dsn)


@pytest.mark.parametrize("command", ["systemd", "cron"])
def test_what_it_installs_starts_it_again(started: Home, tmp_path: Path, command: str) -> None:
    hook = '[webhooks]\npaid = "https://shop.example/paid"\n'
    (tmp_path / "wpbridge.toml").write_text(f'[site]\ndsn = "{started.dsn}"\n{hook}', "utf-8")
    words = ("--config", str(tmp_path / "wpbridge.toml"), "--run-as", "daemon", "--format", "json")
    dry = ("--dry-run",) if command == "systemd" else ()
    told = json.loads(started.ok("install", command, *words, *dry))
    program = f"{started.python} {started.file}"
    if command == "cron":
        assert f" && {program} claim-and-run --config " in told["line"]
        return
    lines = told["unit"].splitlines()
    assert any(line.startswith(f"ExecStart={program} work --config ") for line in lines)
    # The user's own home may not be writable.
    [folder] = [line.partition("=")[2] for line in lines if line.startswith("CacheDirectory=")]
    assert "CacheDirectoryMode=0700" in lines
    assert f"Environment=XDG_CACHE_HOME=/var/cache/{folder}" in lines


def test_a_daemon_restarts_its_workers_although_the_file_is_gone(home: Home) -> None:
    home.ok("init", "--dsn", home.dsn)
    beat = ("--heartbeat-file", str(home.folder / "beat"))
    daemon = home.start("work", "--dsn", home.dsn, "--handlers", "acts", *beat)
    try:
        home.enqueue("greet", "first")
        worker = int(written(home, "first"))
        assert worker != daemon.pid
        home.enqueue("greet", "second")
        home.file.unlink()
        os.kill(worker, signal.SIGKILL)
        written(home, "second")
    finally:
        daemon.send_signal(signal.SIGTERM)
        _, err = daemon.communicate()
    assert daemon.returncode == 143, err


def written(home: Home, name: str) -> str:
    """What a handler writes into a file, once it is there."""
    file = home.folder / name
    return str(until(lambda: file.exists() and file.read_text(), name))


def test_php_runs_beside_it(
    started: Home, wordpress: PhpSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(started.env, "WPBRIDGE_PATH", str(wordpress.folder))
    wp = ("--wp", " ".join(wordpress.wp))
    good = wordpress.enqueue("t_noop")
    told = started.ok("claim-and-run", "--php", "--php-workers", "1", *wp)
    assert told.startswith("claimed 1, complete 1, failed 0 in ")
    assert wordpress.state(good)[0] == "complete"
    # PHP runs wp-config.php by a file of ours, and the companion is made of several.
    started.ok("check", "--ask-php=always")
    assert "would write " in started.ok("wp", "install-plugin", "--dry-run")


# Where it unpacks itself


def test_it_unpacks_itself_once_for_its_user_alone(home: Home) -> None:
    home.ok("--version")
    [folder] = home.cache.iterdir()
    assert folder.name.startswith(f"{__version__}-")
    for place in (home.cache, folder):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    made = folder.stat().st_ino
    home.ok("--version")
    assert [one.stat().st_ino for one in home.cache.iterdir()] == [made]


def test_first_starts_at_once_share_one_folder(home: Home) -> None:
    for process in [home.start("--version") for _ in range(3)]:
        _, err = process.communicate()
        assert (process.returncode, err) == (0, "")
    assert len(list(home.cache.iterdir())) == 1


def test_the_slower_one_takes_the_folder_of_the_quicker_one(
    single_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "build"
    rename = Path.rename

    def too_late(self: Path, target: Path) -> Path:
        (place / "wpbridge").mkdir(parents=True)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", too_late)
    pyz_start._unpack(single_file, place)
    assert [one.name for one in tmp_path.iterdir()] == ["build"]
    assert [one.name for one in place.iterdir()] == ["wpbridge"]


def test_a_start_that_ends_in_the_middle_leaves_no_folder_of_that_name(
    single_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "sync", full)
    with pytest.raises(OSError, match="No space"):
        pyz_start._unpack(single_file, tmp_path / "build")
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_takes_no_files_is_told_in_one_line(home: Home) -> None:
    (home.folder / ".cache").write_text("", "utf-8")
    code, out, err = home("--version")
    assert (code, out, err.count("\n")) == (78, "", 1)
    assert err.startswith("wpbridge.pyz: it unpacks itself once into ")
    assert "set XDG_CACHE_HOME to a folder" in err
    elsewhere = home.folder / "elsewhere"
    assert home("--version", env={"XDG_CACHE_HOME": str(elsewhere)})[0] == 0
    assert len(list((elsewhere / "wpbridge").iterdir())) == 1


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """A folder that is fit to be run from."""
    folder = tmp_path / "cache" / "build"
    folder.mkdir(parents=True, mode=0o700)
    pyz_start._judge(folder)
    return folder


def refusal(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        pyz_start._judge(folder)
    assert ended.value.code == 78
    return capsys.readouterr().err


def test_a_folder_that_others_may_fill_is_not_run(
    judged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place, mode in ((judged, 0o770), (judged, 0o702), (judged.parent, 0o777)):
        before = stat.S_IMODE(place.stat().st_mode)
        place.chmod(mode)
        assert f"others may write into {place}" in refusal(judged, capsys)
        place.chmod(before)
    # Nobody can exchange what belongs to others in a sticky folder, as /tmp is.
    judged.parent.chmod(0o1777)
    pyz_start._judge(judged)


def test_a_link_in_the_place_of_the_folder_is_not_followed(
    judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judged.rename(tmp_path / "other")
    judged.symlink_to(tmp_path / "other")
    assert f"{judged} is no folder" in refusal(judged, capsys)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
@pytest.mark.parametrize("which", ["folder", "above"])
def test_a_folder_of_another_user_is_not_run(
    judged: Path, which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = judged if which == "folder" else judged.parent
    os.chown(place, 4321, 4321)
    assert f"{place} belongs to user 4321" in refusal(judged, capsys)


def test_what_was_planted_there_is_not_run(home: Home) -> None:
    home.ok("--version")
    [folder] = home.cache.iterdir()
    (folder / "click" / "__init__.py").write_text("print('planted')", "utf-8")
    home.cache.chmod(0o777)
    code, out, err = home("--version")
    assert (code, out) == (78, "")
    assert "others may write into" in err
