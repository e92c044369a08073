"""The companion plugin's file: what is written, read back, renewed and taken away."""

import json
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from wpbridge import __version__
from wpbridge.action import UPKEEP_HOOKS, is_own_hook
from wpbridge.cli.main import cli
from wpbridge.errors import ConfigError, SiteError
from wpbridge.plugin import companion
from wpbridge.plugin.companion import Companion, Ownership, Rule
from wpbridge.site.config import Settings, load
from wpbridge.site.rules import Route

HOSTILE = (
    *("it's", '"', "\\", "\\'", "\\\\'", "?>", "<?php evil()", "*/", "\0", "\n", "' ); evil(); //"),
    *("$x {$y}", "%s %%", "<script>", "é😀", " ", "\\u0027", "wpbridge-companion-file"),
)
FULL = Ownership(
    rules=(Rule(hook="a*", owned=False), Rule(group=""), Rule(hook="*", group="g?")),
    hooks=("x", "y"),
    upkeep=("u",),
    owns_site=True,
)


def rendered(**sites: Ownership) -> bytes:
    return companion.render(companion.template(), Companion(sites=sites))


# What is owned.


def test_routes_become_rules_in_their_order_and_handlers_exact_names() -> None:
    settings = Settings(
        routes=(
            Route(hook="a_b", to="leave"),
            Route(hook="a_*", to="php"),
            Route(group="", to="python"),
            Route(hook="x", group="g", to="webhook"),
        )
    )
    assert companion.owned(settings, {"z": 1, "y": 2}) == Ownership(
        rules=(
            Rule(hook="a_b", owned=False),
            Rule(hook="a_*"),
            Rule(group=""),
            Rule(hook="x", group="g"),
        ),
        hooks=("y", "z"),
        upkeep=tuple(sorted(UPKEEP_HOOKS)),
    )


def test_who_owns_the_site_does_its_upkeep_too() -> None:
    found = companion.owned(Settings(owns_site=True), [])
    assert found == Ownership(owns_site=True)


def test_the_condition_for_own_hooks_is_the_same_on_sqlite() -> None:
    """WordPress on SQLite hands it on; MySQL is asked in the interop tests."""
    [told] = re.findall(rb'const OWN_HOOKS = "(.*)";', companion.template())
    names = ["wpbridge_callback", "wpbridge_", "WPBRIDGE_x", "wpbridgex_", "wpbridge", "", "x"]
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE t (hook TEXT COLLATE NOCASE)")
        database.executemany("INSERT INTO t VALUES (?)", [(name,) for name in names])
        found = database.execute(f"SELECT hook FROM t WHERE {told.decode()}").fetchall()
    assert [name for (name,) in found] == [name for name in names if is_own_hook(name)]


# The text.


def test_what_is_rendered_is_read_back() -> None:
    told = companion.parse(rendered(wp_=FULL, wp_2_=Ownership()))
    assert told == Companion(version=__version__, sites={"wp_": FULL, "wp_2_": Ownership()})


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_any_kind_stay_inside_the_literal(name: str) -> None:
    ownership = Ownership(hooks=(name,), rules=(Rule(hook=name, group=name),))
    source = companion.render(companion.template(), Companion(sites={name: ownership}))
    changed = set(source.splitlines()) - set(companion.template().splitlines())
    (line,) = changed
    assert len(source.splitlines()) == len(companion.template().splitlines())
    assert re.fullmatch(rb"define\( 'WPBRIDGE_COMPANION', '[ -&(-;=?-~]*' \);", line)
    assert companion.parse(source) == Companion(sites={name: ownership})


def test_names_that_are_no_unicode_are_refused() -> None:
    with pytest.raises(ConfigError, match="not valid Unicode"):
        rendered(wp_=Ownership(hooks=("\udcff",)))


def test_the_same_configuration_gives_the_same_file() -> None:
    assert rendered(a=FULL, b=Ownership()) == rendered(b=Ownership(), a=FULL)


def test_the_template_owns_nothing() -> None:
    found = companion.parse(companion.template())
    assert found is not None
    assert not found.sites


def test_a_template_without_a_place_is_an_error_of_ours() -> None:
    with pytest.raises(ValueError, match="no place"):
        companion.render(b"<?php", Companion())


@pytest.mark.parametrize(
    "told",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"version":"1"}',
        '{"version":"1","sites":[]}',
        '{"version":"1","sites":{"wp_":3}}',
        '{"version":"1","sites":{"wp_":{}}}',
        '{"version":"1","sites":{"wp_":{"rules":[{"x":1}],"hooks":[],"upkeep":[]}}}',
    ],
)
def test_a_damaged_configuration_says_nothing(told: str) -> None:
    empty = companion.template()
    source = companion.LINE.pattern.sub(lambda m: m[1] + told.encode() + m[3], empty)
    assert source != empty
    assert companion.parse(source) is None


def test_another_plugin_says_nothing() -> None:
    assert companion.parse(b"<?php define( 'WPBRIDGE_COMPANION', '{}' );") is None
    assert companion.parse(b"\xff\0 wpbridge-companion-file") is None


# The file.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "wp-content").mkdir()
    return tmp_path / "wp-content" / "mu-plugins"


def test_it_is_created_renewed_and_left_alone(folder: Path) -> None:
    assert companion.install(folder, "wp_", Ownership()) == "created"
    assert companion.install(folder, "wp_", Ownership()) == "unchanged"
    assert companion.install(folder, "wp_", FULL) == "renewed"
    assert companion.read(folder) == Companion(sites={"wp_": FULL})
    assert [file.name for file in folder.iterdir()] == ["wpbridge.php"]
    assert folder.joinpath("wpbridge.php").stat().st_mode & 0o777 == 0o644


def test_it_belongs_to_the_folders_owner(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(folder.parent, 1234, 2345)
    companion.install(folder, "wp_", FULL)
    for path in (folder, folder / "wpbridge.php"):
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


def test_sites_of_a_network_share_it(folder: Path) -> None:
    companion.install(folder, "wp_", FULL)
    assert companion.install(folder, "wp_2_", Ownership()) == "renewed"
    assert companion.remove(folder, "wp_3_") == "unchanged"
    assert companion.remove(folder, "wp_") == "renewed"
    assert companion.read(folder) == Companion(sites={"wp_2_": Ownership()})
    assert companion.remove(folder, "wp_2_") == "removed"
    assert companion.remove(folder, "wp_2_") == "unchanged"
    assert list(folder.iterdir()) == []


def test_a_dry_run_touches_nothing(folder: Path) -> None:
    assert companion.install(folder, "wp_", FULL, dry_run=True) == "created"
    assert not folder.exists()
    companion.install(folder, "wp_", FULL)
    before = folder.joinpath("wpbridge.php").read_bytes()
    assert companion.install(folder, "wp_", Ownership(), dry_run=True) == "renewed"
    assert companion.remove(folder, "wp_", dry_run=True) == "removed"
    assert folder.joinpath("wpbridge.php").read_bytes() == before


def test_a_foreign_file_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    file = folder / "wpbridge.php"
    file.write_text("<?php // somebody else's")
    with pytest.raises(SiteError, match="was not written by wpbridge"):
        companion.install(folder, "wp_", FULL)
    with pytest.raises(SiteError, match="was not written by wpbridge"):
        companion.remove(folder, "wp_")
    assert companion.read(folder) is None
    assert file.read_text() == "<?php // somebody else's"


def test_a_damaged_file_of_ours_is_written_anew_or_removed(folder: Path) -> None:
    companion.install(folder, "wp_", FULL)
    file = folder / "wpbridge.php"
    file.write_bytes(file.read_bytes()[:600])
    assert companion.read(folder) is None
    assert companion.install(folder, "wp_", FULL) == "renewed"
    file.write_bytes(file.read_bytes()[:600])
    assert companion.remove(folder, "wp_") == "removed"
    assert not file.exists()


def test_a_write_that_fails_leaves_the_old_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    companion.install(folder, "wp_", FULL)
    before = folder.joinpath("wpbridge.php").read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SiteError, match="cannot be written: No space left"):
        companion.install(folder, "wp_", Ownership())
    assert folder.joinpath("wpbridge.php").read_bytes() == before
    assert [file.name for file in folder.iterdir()] == ["wpbridge.php"]


def test_a_missing_content_folder_is_a_wrong_path(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="cannot be written: No such file"):
        companion.install(tmp_path / "nowhere" / "mu-plugins", "wp_", FULL)
    assert companion.remove(tmp_path / "nowhere" / "mu-plugins", "wp_") == "unchanged"


# What `check` can say.


def test_what_differs_is_explained() -> None:
    (without,) = companion.explain(None, "wp_", Ownership())
    assert without.startswith("no companion plugin")
    assert companion.explain(Companion(sites={"wp_2_": FULL}), "wp_", Ownership()) == (without,)
    assert "; switch them off yourself, or run `" in companion.explain(None, "wp_", FULL)[0]
    assert companion.explain(Companion(sites={"wp_": FULL}), "wp_", FULL) == ()
    old = Companion(version="0.0.1", sites={"wp_": FULL})
    assert [line.split(":")[0] for line in companion.explain(old, "wp_", Ownership())] == [
        "the companion plugin names other hooks and groups than the settings",
        "the companion plugin is of wpbridge 0.0.1",
    ]


# The command.


@pytest.fixture
def wordpress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration; the working folder has settings."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("WPBRIDGE_")]:
        monkeypatch.delenv(name)
    site = tmp_path / "site"
    (site / "wp-content").mkdir(parents=True)
    (site / "wp-settings.php").touch()
    names = ("DB_NAME", "DB_USER", "DB_PASSWORD", "DB_HOST")
    lines = "".join(f"define('{name}', 'x');" for name in names)
    (site / "wp-config.php").write_text(
        f"<?php {lines} $table_prefix = 'shop_'; require_once ABSPATH . 'wp-settings.php';"
    )
    (tmp_path / "wpbridge.toml").write_text(
        '[webhooks]\npaid = "https://example.com/"\n[[routes]]\ngroup = "mail"\nto = "python"\n'
    )
    return site


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["wp", "install-plugin", *arguments])
    return result.exit_code, result.output


def test_the_command_installs_what_the_settings_own_and_removes_it(wordpress: Path) -> None:
    file = wordpress / "wp-content" / "mu-plugins" / "wpbridge.php"
    arguments = ("--path", str(wordpress))
    assert run(*arguments, "--dry-run")[1].startswith(f"would write {file}: ")
    assert not file.exists()
    told = (
        "on shop_ PHP's runners leave 1 hook(s) with a handler to wpbridge, and follow 1 route(s)"
    )
    assert run(*arguments) == (0, f"created {file}: {told}\n")
    found = companion.read(file.parent)
    assert found is not None
    assert found.sites["shop_"].hooks == ("paid",)
    assert found.sites["shop_"].rules == (Rule(group="mail"),)
    assert run(*arguments) == (0, f"nothing to do: {file}\n")
    assert "PHP's runners are off" in run(*arguments, "--owns-site")[1]
    assert b'"owns_site":true' in file.read_bytes()
    assert run(*arguments, "--no-owns-site")[0] == 0
    assert run(*arguments, "--remove", "--dry-run")[1].startswith(f"would remove {file}")
    assert run(*arguments, "--remove")[1].startswith(f"removed {file}")
    assert not file.exists()
    assert run(*arguments, "--remove") == (0, f"nothing to do: {file}\n")


def test_the_command_tells_php_where_the_dashboard_is(
    wordpress: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("--path", str(wordpress))
    monkeypatch.setenv("WPBRIDGE_WEB_ON_SITE", "true")
    monkeypatch.setenv("WPBRIDGE_WEB_LISTEN", "10.0.0.5:8787")
    code, told = run(*arguments)
    assert (code, "PHP reaches on this host, and [web] listen is 10.0.0.5" in told) == (78, True)
    assert not (wordpress / "wp-content" / "mu-plugins").exists()
    monkeypatch.setenv("WPBRIDGE_WEB_LISTEN", "unix:/run/s.sock")
    assert run(*arguments)[1].endswith("; the dashboard is at /wpbridge/ of the site\n")
    found = companion.read(wordpress / "wp-content" / "mu-plugins")
    assert found is not None
    assert found.sites["shop_"].dashboard.server == "unix:///run/s.sock"
    monkeypatch.setenv("WPBRIDGE_WEB_LISTEN", "10.0.0.5:8787")
    assert run(*arguments, "--remove")[0] == 0, "what cannot be shown can be taken away"


@pytest.mark.parametrize("place", ["elsewhere", "/tmp/never/elsewhere"])  # noqa: S108 - only named
def test_the_must_use_folder_is_where_the_configuration_says(wordpress: Path, place: str) -> None:
    config = wordpress / "wp-config.php"
    config.write_text(
        config.read_text().replace("<?php", f"<?php define('WPMU_PLUGIN_DIR', '{place}');")
    )
    told = run("--path", str(wordpress), "--dry-run")[1]
    assert f" {wordpress / place / 'wpbridge.php'}: " in told


def test_the_content_folder_moves_the_must_use_folder(wordpress: Path) -> None:
    config = wordpress / "wp-config.php"
    moved = "<?php define('WP_CONTENT_DIR', __DIR__ . '/content');"
    config.write_text(config.read_text().replace("<?php", moved))
    told = run("--path", str(wordpress), "--dry-run")[1]
    assert f" {wordpress / 'content' / 'mu-plugins' / 'wpbridge.php'}: " in told


def test_the_configuration_may_look_at_the_hosts_name(wordpress: Path) -> None:
    config = wordpress / "wp-config.php"
    by_host = "<?php define('WP_CONTENT_DIR', '/c/' . $_SERVER['HTTP_HOST']);"
    config.write_text(config.read_text().replace("<?php", by_host))
    told = run("--path", str(wordpress), "--url", "https://shop.test/", "--dry-run")[1]
    assert " /c/shop.test/mu-plugins/wpbridge.php: " in told
    code, told = run("--path", str(wordpress), "--dry-run")
    assert code == 78
    assert "WP_CONTENT_DIR may depend on it: name the site with --url" in told


def test_the_working_folders_wordpress_is_taken(
    wordpress: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(wordpress / "wp-content")
    assert f" {wordpress}/wp-content/mu-plugins/wpbridge.php: " in run("--dry-run")[1]


def test_the_command_needs_a_wordpress_folder(wordpress: Path) -> None:
    code, told = run("--dsn", "sqlite:///queue.db")
    assert code == 78
    assert told == (
        "wpbridge: the companion plugin lies in a WordPress folder: name it with --path\n"
    )


def test_the_companions_json_is_readable_by_people(wordpress: Path) -> None:
    run("--path", str(wordpress))
    source = (wordpress / "wp-content" / "mu-plugins" / "wpbridge.php").read_text("ascii")
    (line,) = [line for line in source.splitlines() if line.startswith("define(")]
    assert json.loads(line.split("'")[3])["sites"]["shop_"]["hooks"] == ["paid"]


# Nothing is given up in silence, and what differs is named.


def names_of(path: Path) -> tuple[str, ...]:
    found = companion.read(path / "wp-content" / "mu-plugins")
    assert found is not None
    return found.sites["shop_"].hooks


def test_a_run_that_would_give_hooks_back_to_php_refuses(wordpress: Path) -> None:
    arguments = ("--path", str(wordpress))
    assert run(*arguments)[0] == 0
    (wordpress.parent / "wpbridge.toml").write_text('[[routes]]\ngroup = "news"\nto = "leave"\n')
    code, told = run(*arguments)
    lost = "the hook paid, a route for group 'mail', a route to leave for group 'news'"
    assert (code, f"PHP's runners would get back {lost}" in told) == (78, True)
    assert names_of(wordpress) == ("paid",)
    assert run(*arguments, "--dry-run")[0] == 0
    assert names_of(wordpress) == ("paid",)
    code, told = run(*arguments, "--yes")
    assert (code, f"PHP's runners get back {lost}" in told) == (0, True)
    assert names_of(wordpress) == ()


def test_the_site_is_given_back_only_when_that_is_said(wordpress: Path) -> None:
    arguments = ("--path", str(wordpress))
    assert run(*arguments, "--owns-site")[0] == 0
    code, told = run(*arguments)
    assert (code, "get back the whole site (owns_site)" in told) == (78, True)
    assert run(*arguments, "--no-owns-site")[0] == 0
    assert run(*arguments)[0] == 0


@pytest.mark.parametrize(
    ("there", "wanted", "words"),
    [
        (
            FULL,
            Ownership(),
            "it says that wpbridge owns the site, the settings say that it does not",
        ),
        (Ownership(), FULL, "it says that wpbridge does not own the site"),
        (Ownership(), Ownership(hooks=("a", "b")), ": it lacks the hooks a, b; run `"),
        (Ownership(hooks=("a",)), Ownership(), ": it has the hook a, without a handler in the"),
        (Ownership(hooks=tuple("abcdefgh")), Ownership(), "the hooks a, b, c, d, e and 3 more"),
        (Ownership(), Ownership(rules=(Rule(hook="m*"),)), "it lacks a route for hook 'm*'"),
        (
            Ownership(rules=(Rule(hook="m", owned=False),)),
            Ownership(),
            "it has a route to leave for",
        ),
        (
            Ownership(rules=(Rule(hook="a"), Rule(hook="b"))),
            Ownership(rules=(Rule(hook="b"), Rule(hook="a"))),
            "its routes stand in another order",
        ),
        (Ownership(upkeep=("u",)), Ownership(), "it leaves other upkeep to PHP"),
        (
            Ownership(hooks=("a",)),
            Ownership(),
            "(it asks for --yes, since PHP gets back the hook a)",
        ),
    ],
)
def test_the_hint_names_what_differs(there: Ownership, wanted: Ownership, words: str) -> None:
    found = Companion(sites={"wp_": there})
    [told] = companion.explain(found, "wp_", wanted, command="COMMAND --path=/x")
    assert words in told
    assert "run `COMMAND --path=/x`" in told


def test_hooks_that_were_not_loaded_are_not_missed() -> None:
    found = Companion(sites={"wp_": Ownership(hooks=("a",))})
    assert companion.explain(found, "wp_", Ownership(), left_out=("shop",)) == ()


def test_the_hint_is_the_whole_command(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("[run]\nbatch_size = 3\n")
    flags = {
        "path": "/srv/my site",
        "url": "https://x.test/",
        "handlers": ("a", "b"),
        "owns_site": True,
        "config": "my.toml",
        "dsn": "mysql://u:secret@h/d",
    }
    settings = load(flags, {"WPBRIDGE_TABLE_PREFIX": "shop_"}, tmp_path)
    assert companion.command_for(settings, None) == (
        f"wpbridge wp install-plugin '--path=/srv/my site' --config={tmp_path}/my.toml"
        " --table-prefix=shop_ --url=https://x.test/ --handlers=a,b --owns-site --dsn=…"
    )
    assert companion.command_for(load({}, {}, tmp_path), tmp_path) == (
        f"wpbridge wp install-plugin --path={tmp_path}"
    )


def test_what_is_wrong_with_the_file_itself_is_told(folder: Path, tmp_path: Path) -> None:
    file = folder / "wpbridge.php"
    assert companion.condition(folder) == []
    companion.install(folder, "wp_", FULL)
    assert companion.condition(folder, elsewhere=folder) == []
    # Given: everybody may write it
    file.chmod(0o666)
    [told] = companion.condition(folder)
    assert "has mode 0666, so everybody may change" in told
    assert f"run `chmod o-w {file}`" in told
    file.chmod(0o644)
    # Given: one is left where WordPress does not look
    [told] = companion.condition(tmp_path / "elsewhere", elsewhere=folder)
    assert told == (
        f"a companion plugin lies in {file}, but WordPress loads those of {tmp_path}/elsewhere"
    )
    # Given: somebody changed its code
    file.write_bytes(file.read_bytes() + b"\n// mine\n")
    [told] = companion.condition(folder, command="COMMAND")
    assert told == f"the code in {file} is not what wpbridge {__version__} wrote; run `COMMAND`"
    file.write_bytes(file.read_bytes()[:600])
    assert "is damaged" in companion.condition(folder)[0]
    if os.geteuid() == 0:
        companion.install(folder, "wp_", FULL)
        os.chown(file, 1234, 1234)
        [told] = companion.condition(folder)
        assert (
            f"belongs to the user 1234, who may change what PHP runs there; run `chown root {file}`"
            in told
        )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is led astray")
def test_a_configuration_of_others_leads_root_nowhere(wordpress: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    config = wordpress / "wp-config.php"
    told = f"<?php define('WPMU_PLUGIN_DIR', '{outside}');"
    config.write_text(config.read_text().replace("<?php", told))
    os.chown(config, 33, 33)
    code, said = run("--path", str(wordpress))
    assert (code, f"the folder {outside} lies outside WordPress" in said) == (78, True)
    assert list(outside.iterdir()) == []
    os.chown(config, 0, 0)
    assert run("--path", str(wordpress))[0] == 0


# Traces.


def test_traces_are_kept_where_the_settings_ask_for_them() -> None:
    wanted = companion.owned(Settings(telemetry_traces=True), {})
    assert wanted.traces
    mark = b'"traces":true'
    assert mark in (companion.LINE.text(rendered(wp_=wanted)) or b"")
    hostile = Ownership(hooks=('","traces":true',))
    assert mark not in (companion.LINE.text(rendered(wp_=hostile)) or b"")
    assert companion.parse(rendered(wp_=wanted)) == Companion(sites={"wp_": wanted})


def test_a_file_of_an_earlier_release_keeps_no_traces() -> None:
    source = rendered(wp_=Ownership()).replace(b',"traces":false', b"")
    found = companion.parse(source)
    assert found == Companion(sites={"wp_": Ownership()})
    [told] = companion.explain(found, "wp_", Ownership(traces=True))
    assert told == (
        "the companion plugin keeps no traces of what PHP adds; run `wpbridge wp install-plugin`"
    )
    [told] = companion.explain(Companion(sites={"wp_": Ownership(traces=True)}), "wp_", Ownership())
    assert told.startswith("the companion plugin keeps traces, which are off; ")
