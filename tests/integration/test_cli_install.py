"""``install systemd`` and ``install cron`` on sites as they are found on hosts."""

import configparser
import json
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_helpers import Done, call
from deployed import DEPLOY, unit_of
from wpbridge.cli.exit_codes import Exit
from wpbridge.installing import written
from wpbridge.plugin import companion
from wpbridge.system import own_program

OWNER = pwd.getpwnam("daemon") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
"""The site's user. Where tests run as root it is another one."""
CONFIG = """<?php
define( 'DB_NAME', 'shop' );
define( 'DB_USER', 'u' );
define( 'DB_PASSWORD', 'not to be shown' );
define( 'DB_HOST', 'localhost' );
$table_prefix = 'wp_';
define( 'ABSPATH', __DIR__ . '/' );
require_once ABSPATH . 'wp-settings.php';
"""
pytestmark = pytest.mark.skipif(OWNER.pw_uid == 0, reason="there is no user for the site but root")


class Host:
    """A WordPress, the folder of its handlers, and a folder for units."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.units = folder / "shop", folder / "units"
        self.wordpress = folder / "html"
        for place in (self.folder, self.units, self.wordpress):
            place.mkdir()
        self.config = self.wordpress / "wp-config.php"
        self.config.write_text(CONFIG, "utf-8")
        (self.wordpress / "wp-settings.php").write_text("<?php", "utf-8")
        self.give(OWNER.pw_uid)
        (self.folder / "shop_hooks.py").write_text("raise SystemExit('imported')", "utf-8")

    def give(self, uid: int) -> None:
        if os.geteuid() == 0:
            os.chown(self.config, uid, -1)

    def __call__(self, *words: str, path: bool = True, dsn: str = "") -> Done:
        """Give it handlers to run, too, unless the words or the settings file do."""
        where = ("--path", str(self.wordpress)) if path else ()
        if not ({"--handlers", "--php"} & set(words) or (self.folder / "wpbridge.toml").exists()):
            where = (*where, "--handlers", "shop_hooks")
        env = {"WPBRIDGE_DSN": dsn} if dsn else {}
        return call("install", *words, *where, cwd=self.folder, env=env)

    def systemd(self, *words: str) -> Done:
        return self("systemd", "--into", str(self.units), *words)

    def told(self, *words: str) -> dict[str, object]:
        done = self.systemd("--format", "json", *words)
        assert done.code == 0, done.err
        return dict(json.loads(done.out))

    @property
    def unit(self) -> Path:
        [unit] = self.units.iterdir()
        return unit


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def service(text: str) -> configparser.SectionProxy:
    return unit_of(text, may_repeat=True)["Service"]


# systemd


def test_a_dry_run_shows_the_unit_and_writes_nothing(host: Host) -> None:
    done = host.systemd("--name", "shop", "--handlers", "shop_hooks", "--dry-run")
    assert done.code == 0, done.err
    assert list(host.units.iterdir()) == []
    assert f"would write {host.units}/wpbridge-shop.service\n" in done.out
    assert f"  User={OWNER.pw_name}\n      the owner of {host.config}\n" in done.out
    assert "  systemctl enable --now wpbridge-shop\n" in done.out
    assert "not to be shown" not in done.out


def test_the_unit_has_this_sites_values(host: Host) -> None:
    told = host.told("--name", "shop", "--handlers", "shop_hooks")
    assert (told["change"], told["file"]) == ("created", str(host.unit))
    text = host.unit.read_text("utf-8")
    assert (told["unit"], stat.S_IMODE(host.unit.stat().st_mode)) == (text, 0o644)
    values = service(text)
    assert (values["User"], values["WorkingDirectory"]) == (OWNER.pw_name, str(host.folder))
    assert values["EnvironmentFile"] == "-/etc/wpbridge/shop.env"
    assert values["StateDirectory"] == "wpbridge/shop"
    words = shlex.split(values["ExecStart"])
    program = own_program.command_for_others()
    assert words[: len(program)] == list(program)
    assert words[len(program) :] == [
        *("work", "--path", str(host.wordpress), "--handlers", "shop_hooks"),
        *("--drain-timeout", "60s"),
    ]
    # All else is the template's.
    template = (DEPLOY / "systemd" / "wpbridge@.service").read_text("utf-8")
    given = template.replace("%i", "shop").splitlines()
    own = [line for line in text.splitlines()[2:] if line not in given]
    why = told["why"]
    assert isinstance(why, list)
    assert set(own) <= {one["line"] for one in why}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_systemd_takes_the_unit(host: Host, tmp_path: Path) -> None:
    odd = tmp_path / "50% 'off' $5"
    odd.mkdir()
    host.folder = host.folder.rename(odd / "shop")
    host.wordpress = host.wordpress.rename(odd / "html")
    host.told("--name", "shop", "--handlers", "shop_hooks")
    done = subprocess.run(
        ["systemd-analyze", "verify", host.unit], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "wpbridge-shop" in line]
    assert (done.returncode, ours) == (0, [])


def test_the_settings_file_is_named_and_its_values_are_not_repeated(host: Host) -> None:
    file = host.folder / "wpbridge.toml"
    file.write_text(
        f'[site]\npath = "{host.wordpress}"\n[run]\nhandlers = ["shop_hooks"]\n'
        'drain_timeout = "10m"\n',
        "utf-8",
    )
    done = host("systemd", "--into", str(host.units), path=False)
    assert done.code == 0, done.err
    values = service(host.unit.read_text("utf-8"))
    words = shlex.split(values["ExecStart"])
    assert words[words.index("work") :] == ["work", "--config", str(file)]
    assert values["TimeoutStopSec"] == "630"
    assert host.unit.name == "wpbridge-shop.service"


def test_each_option_is_repeated(host: Host) -> None:
    options = [
        *("--table-prefix", "shop_", "--url", "https://shop.example/x", "--ask-php=never"),
        *("--handlers", "shop_hooks,more_hooks", "--wp", "/bin/sh 'a b' $HOME 5%"),
        *("--user", "anna", "--skip-plugins", "a,b", "--php", "--no-owns-site"),
    ]
    told = host.told(*options, "--dry-run")
    values = service(str(told["unit"]))
    # As systemd reads it: %% is %, $$ is $.
    start = values["ExecStart"].replace("%%", "%").replace("$$", "$")
    words = shlex.split(start)
    # WP-CLI's words are quoted anew.
    given = [shlex.join(shlex.split(word)) if " " in word else word for word in options]
    rest = words[words.index("work") + 1 :]
    assert sorted(rest) == sorted(["--path", str(host.wordpress), *given, "--drain-timeout", "60s"])


def test_written_twice_it_is_the_same(host: Host) -> None:
    host.told("--name", "shop")
    before = host.unit.stat()
    assert host.systemd("--name", "shop").out.startswith(f"nothing to do: {host.unit}\n")
    assert host.unit.stat().st_ino == before.st_ino
    assert host.told("--name", "shop", "--php")["change"] == "renewed"
    assert host.unit.stat().st_ino != before.st_ino


def test_what_others_wrote_or_changed_stays(host: Host) -> None:
    file = host.units / "wpbridge-shop.service"
    file.write_text("[Service]\nExecStart=/bin/true\n", "utf-8")
    for more in ((), ("--force",), ("--dry-run",)):
        done = host.systemd("--name", "shop", *more)
        assert (done.code, done.err.count("\n")) == (Exit.USAGE, 1)
        assert "was not written by wpbridge" in done.err
    assert file.read_text("utf-8") == "[Service]\nExecStart=/bin/true\n"
    file.unlink()
    host.told("--name", "shop")
    changed = file.read_text("utf-8").replace("RestartSec=5", "RestartSec=9")
    file.write_text(changed, "utf-8")
    done = host.systemd("--name", "shop")
    assert (done.code, "was changed by hand" in done.err) == (Exit.USAGE, True)
    assert file.read_text("utf-8") == changed
    assert host.told("--name", "shop", "--force")["change"] == "renewed"
    assert "RestartSec=5" in file.read_text("utf-8")


def test_a_link_in_its_place_is_not_followed(host: Host) -> None:
    target = host.folder / "target"
    (host.units / "wpbridge-shop.service").symlink_to(target)
    done = host.systemd("--name", "shop", "--force")
    assert (done.code, "was not written by wpbridge" in done.err) == (Exit.USAGE, True)
    assert not target.exists()


def test_a_name_belongs_to_one_site(host: Host, tmp_path: Path) -> None:
    host.told("--name", "shop")
    (tmp_path / "second").mkdir()
    other = Host(tmp_path / "second")
    other.units = host.units
    done = other.systemd("--name", "shop")
    assert (done.code, "starts another site" in done.err) == (Exit.USAGE, True)
    # The same site under another name is written, and said.
    assert f"note: {host.unit} starts this site, too" in host.systemd("--name", "again").err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_nothing_runs_as_root(host: Host) -> None:
    host.give(0)
    done = host.systemd()
    assert (done.code, "nothing is started as root" in done.err) == (Exit.CONFIG, True)
    assert host.systemd("--run-as", "root").code == Exit.USAGE
    told = host.told("--run-as", OWNER.pw_name)
    assert told["user"] == OWNER.pw_name


@pytest.mark.parametrize("command", [["systemd", "--into", "."], ["cron"]])
def test_what_would_run_nothing_is_refused(host: Host, command: list[str]) -> None:
    (host.folder / "wpbridge.toml").write_text("[site]\n", "utf-8")
    done = host(*command)
    assert (done.code, done.out, done.err.count("\n")) == (Exit.CONFIG, "", 1)
    assert "nothing would run here: name a module with --handlers" in done.err
    assert list(host.folder.glob("*.service")) == []
    (host.folder / "wpbridge.toml").write_text("[webhooks]\nx = 'https://a.example'\n", "utf-8")
    assert host(*command).code == 0
    (host.folder / "wpbridge.toml").unlink()
    assert host(*command, "--php", "--name", "php").code == 0


def test_a_folder_into_which_everybody_may_write_is_refused_without_handlers_too(
    host: Host,
) -> None:
    host.folder.chmod(0o1777)
    done = host("cron", "--php")
    assert (done.code, done.err.count("\n")) == (Exit.CONFIG, 1), done.err
    assert f"the folder to start in {host.folder}" in done.err
    assert "everybody may write it" in done.err


@pytest.mark.parametrize("place", ["file", "folder"])
def test_what_the_daemon_would_not_obey_is_refused_before(host: Host, place: str) -> None:
    where = host.folder / "shop_hooks.py" if place == "file" else host.folder
    where.chmod(0o777)
    for command in (["systemd", "--into", str(host.units)], ["cron"]):
        done = host(*command, "--handlers", "shop_hooks")
        assert (done.code, done.err.count("\n")) == (Exit.CONFIG, 1), done.err
        assert "everybody may write it" in done.err
    assert list(host.units.iterdir()) == []


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter: pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="the site's user owns the file")
def test_what_the_user_may_not_read_is_said(open_folder: Path) -> None:
    host = Host(open_folder)
    module = host.folder / "shop_hooks.py"
    module.chmod(0o600)
    done = host.systemd("--handlers", "shop_hooks,missing", "--dry-run")
    assert f"note: {OWNER.pw_name} may not read {module}, whose mode is 0600\n" in done.err
    assert "note: the handlers' module missing is not in the folder" in done.err
    module.chmod(0o644)
    open_folder.chmod(0o700)
    done = host.systemd("--handlers", "shop_hooks", "--dry-run")
    assert f"note: {OWNER.pw_name} may not enter {open_folder}, whose mode is 0700\n" in done.err


def test_a_secret_stays_out_of_what_all_may_read(host: Host) -> None:
    done = host("cron", "--dsn", "mysql://u:secret@db/shop", "--run-as", OWNER.pw_name, path=False)
    assert (done.code, "secret" in done.err + done.out) == (Exit.CONFIG, False)
    assert "--dsn may hold a password" in done.err


def test_a_site_without_a_configuration_needs_a_name_of_a_user(host: Host) -> None:
    dsn = "sqlite:///queue.db"
    done = host("cron", path=False, dsn=dsn)
    assert (done.code, "name the user with --run-as" in done.err) == (Exit.CONFIG, True)
    done = host("cron", "--run-as", OWNER.pw_name, path=False, dsn=dsn)
    assert done.code == 0, done.err
    assert "note: set in this environment, and not there: " in done.err
    assert "WPBRIDGE_DSN" in done.err
    assert host("cron", "--run-as", "nobody-of-that-name").code == Exit.USAGE


def test_a_folder_that_takes_no_unit_is_told_in_one_line(host: Host) -> None:
    done = host("systemd", "--into", str(host.units / "missing"))
    assert (done.code, done.err.count("\n")) == (Exit.CONFIG, 1), done.err
    assert "cannot be written" in done.err


# cron


def test_the_line_is_all_that_standard_output_has(host: Host) -> None:
    done = host("cron", "--handlers", "shop_hooks")
    assert done.code == 0, done.err
    mark, line = done.lines
    assert [one.line for one in written.cron_lines_of(done.out)] == [line]
    assert str(host.wordpress) in mark
    words = shlex.split(line)
    assert words[5:8] == ["cd", str(host.folder), "&&"]
    assert words[-5:] == ["--handlers", "shop_hooks", "--max-time", words[-2], "--quiet"]
    assert f"crontab -u {OWNER.pw_name} -e" in done.err
    assert "no flock is needed" in done.err


@pytest.mark.parametrize("is_set", [True, False])
def test_it_says_what_wp_cron_does_beside_it(host: Host, is_set: bool) -> None:
    if is_set:
        text = CONFIG.replace("define( 'ABS", "define( 'DISABLE_WP_CRON', true );\ndefine( 'ABS")
        host.config.write_text(text, "utf-8")
    notes = host("cron").err
    assert ("DISABLE_WP_CRON is set: visits do not start WP-Cron" in notes) == is_set
    assert ("DISABLE_WP_CRON is not set: visits start WP-Cron" in notes) != is_set
    assert "The plugin's own runner goes on" in notes
    assert "wp install-plugin keeps it off" in notes


@pytest.mark.parametrize(
    ("owns_site", "told"),
    [
        (True, "The companion plugin has switched the plugin's own runner off"),
        (False, "The plugin's own runner goes on, and the companion plugin keeps it off"),
    ],
)
def test_it_says_what_the_companion_plugin_does(host: Host, told: str, *, owns_site: bool) -> None:
    folder = host.wordpress / "wp-content" / "mu-plugins"
    folder.parent.mkdir()
    companion.install(folder, "wp_", companion.Ownership(owns_site=owns_site))
    notes = host("cron").err
    assert told in notes
    assert "wp install-plugin keeps it off" not in notes


def test_cron_d_names_the_user_and_json_has_all(host: Host) -> None:
    told = json.loads(host("cron", "--cron-d", "--name", "shop", "--format", "json").out)
    assert told["place"] == "/etc/cron.d/wpbridge-shop"
    assert told["line"].startswith(f"* * * * * {OWNER.pw_name} cd ")
    assert told["user"] == OWNER.pw_name
    assert set(told) == {"mark", "line", "user", "place", "notes", "trial"}
