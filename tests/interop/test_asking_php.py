"""PHP is asked what a configuration sets: no WordPress, no database, and nothing that depends."""

import json
import os
import traceback
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner

from forms import Form, assert_same, forms, told_by_php
from stores import make_store
from wpbridge.cli.main import cli
from wpbridge.errors import SiteError, WpCliError
from wpbridge.site.config import Settings
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.resolve import resolve
from wpbridge.site.wpconfig import WpConfig, asking

ENV = {"PATH": os.environ["PATH"], "DB_FROM_ENV": "o'ne $two", "HOME": "/home/x"}
TAIL = "\n$table_prefix = 'wp_';\nrequire_once ABSPATH . 'wp-settings.php';\n"
LOGIN = "define('DB_USER', 'u'); define('DB_PASSWORD', 'p'); define('DB_HOST', 'h');"

Answer = Callable[[str], dict[str, str]]
Ask = Callable[..., WpConfig]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A WordPress that fails whoever loads it."""
    root = tmp_path.resolve() / "site"
    root.mkdir()
    (root / "wp-settings.php").write_text("<?php throw new Exception('WordPress is loaded');")
    return root


@pytest.fixture
def ask(php: str, folder: Path) -> Ask:
    """Asks PHP about a configuration of these statements."""
    assert php

    def ask(
        body: str, url: str | None = None, env: Mapping[str, str] = ENV, **more: bool
    ) -> WpConfig:
        (folder / "wp-config.php").write_text(f"<?php\n{body}{TAIL}")
        return asking.ask(folder, env, url=url, **more)

    return ask


OWN_INI = {"assert", "short-tags"}
"""Forms that hang on PHP's own settings."""
OTHER = [f for f in forms("other")[::4] if len(f.requests) == 1 and f.name not in OWN_INI]


@pytest.mark.parametrize("form", OTHER, ids=lambda form: form.name)
def test_php_says_the_same_in_both_ways(php: str, tmp_path: Path, form: Form) -> None:
    # Given what a WordPress of its own would see
    root = tmp_path.resolve() / "site"
    env = form.lay(root)
    told = told_by_php(php, root, env, {})
    # When PHP is asked by us, with the real wp-settings.php replaced
    # Then it says the same, or that it cannot
    if told is None:
        with pytest.raises((SiteError, WpCliError)):
            asking.ask(root, env, trusted=True)
        return
    assert_same(asking.ask(root, env, trusted=True), told, form.name)


def test_values_come_byte_by_byte(ask: Ask, folder: Path) -> None:
    config = ask(
        "function env($x) { return strrev($x); } define('DB_NAME', env('eman'));"
        "define('DB_PASSWORD', \"\\xe9'\\\\\"); define('DB_DIR', __DIR__); define('MULTISITE', true);"
        "echo 'noise'; define('VHOST', null); define('MYSQL_CLIENT_FLAGS', 2048);"
    )
    assert (config.db_name, config.table_prefix) == ("name", "wp_")
    assert config.db_password == "\udce9'\\"
    assert config.text("DB_DIR") == str(folder)
    assert config.is_multisite
    assert config.client_flags == 2048
    assert config.reader.startswith("told by PHP ")
    assert "/php" in config.reader


def test_a_constant_that_is_no_text_is_refused(ask: Ask) -> None:
    config = ask("define('DB_NAME', ['a']);")
    with pytest.raises(SiteError, match="that is no text"):
        _ = config.db_name


@pytest.mark.parametrize(
    "body",
    [
        # In an included file, in a function, by a computed name, as a comment.
        (
            "$table_prefix = 'wp_'; file_put_contents(__DIR__ . '/go.php', '<?php require ABSPATH . \"wp-settings.php\";');"
            "require 'go.php';"
        ),
        (
            "function go() { global $table_prefix; require ABSPATH . '/wp-settings.php'; }"
            "$table_prefix = 'wp_'; go();"
        ),
        "$s = 'wp-' . 'settings.php'; $table_prefix = 'wp_'; include_once __DIR__ . \"/x/../$s\";",
        "$table_prefix = 'wp_'; chdir(ABSPATH); include './wp-settings.php';",
        "/* require ABSPATH . 'wp-settings.php'; */",
    ],
)
def test_wordpress_is_never_loaded(ask: Ask, folder: Path, body: str) -> None:
    (folder / "x").mkdir()
    config = ask(f"define('DB_NAME', 'a'); {body}\ndefine('DB_CHARSET', 'late');")
    assert (config.db_name, config.table_prefix) == ("a", "wp_")
    assert ("DB_CHARSET" in config.values) is body.startswith("/*")


@pytest.mark.parametrize("name", ["wp-settings.php", "wp-load.php", "wp-blog-header.php"])
def test_nor_is_another_one(ask: Ask, tmp_path: Path, name: str) -> None:
    other = tmp_path / "other"
    (other / "wp-includes").mkdir(parents=True)
    (other / "wp-includes" / "version.php").write_text("<?php")
    (other / name).write_text("<?php throw new Exception('loaded');")
    with pytest.raises(SiteError, match=f"{name}: the configuration loads another WordPress"):
        ask(f"define('DB_NAME', 'a'); require '{other}/{name}';")


def test_files_are_read_and_written_as_ever(ask: Ask, folder: Path) -> None:
    (folder / "data.ini").write_text("name = ini\n")
    config = ask(
        "$f = __DIR__ . '/new'; mkdir($f); touch(\"$f/a\"); file_put_contents(\"$f/b\", 'x');"
        "rename(\"$f/a\", \"$f/c\"); $list = implode(',', array_diff(scandir($f), ['.', '..']));"
        "$h = fopen(\"$f/b\", 'r+'); flock($h, LOCK_EX); fseek($h, 0, SEEK_END); fwrite($h, 'y');"
        'rewind($h); $text = fgets($h); ftruncate($h, 0); fclose($h); chmod("$f/b", 0600);'
        '$size = filesize("$f/b"); unlink("$f/b"); unlink("$f/c"); rmdir($f);'
        "define('DB_NAME', parse_ini_file(__DIR__ . '/data.ini')['name'] . $list . $text . $size"
        " . count(glob(__DIR__ . '/*.ini')) . (is_dir($f) ? 'y' : 'n')"
        " . (is_readable(__FILE__) ? 'r' : '') . count(file(__DIR__ . '/data.ini')));"
    )
    assert config.db_name == "inib,cxy01nr1"


def test_it_tells_neither_passwords_nor_traces(ask: Ask) -> None:
    with pytest.raises(WpCliError, match="ended with exit code 255") as caught:
        ask("function f($x) { throw new Exception('broken'); }\nf('topsecret');")
    assert "broken" in caught.value.stderr
    assert "topsecret" not in caught.value.stderr
    with pytest.raises(WpCliError) as caught:
        ask("define('DB_PASSWORD' 'topsecret');")
    assert "topsecret" not in caught.value.stderr + str(caught.value)


def test_settings_of_ours_are_not_handed_on(ask: Ask) -> None:
    env = {**ENV, "WPBRIDGE_DSN": "mysql://u:secret@h/d"}
    assert ask("define('DB_NAME', getenv('WPBRIDGE_DSN') ?: 'none');", env=env).db_name == "none"


def test_a_configuration_that_never_ends_is_stopped(php: str, folder: Path) -> None:
    assert php
    (folder / "wp-config.php").write_text("<?php while (true) { usleep(1000); }")
    with pytest.raises(WpCliError, match=r"no answer within 0\.3 s"):
        asking.ask(folder, ENV, timeout_seconds=0.3)


def test_one_that_ends_early_is_refused(ask: Ask) -> None:
    with pytest.raises(SiteError, match="ends the program before WordPress would start"):
        ask("define('DB_NAME', 'a'); exit;")


def test_what_happens_after_the_answer_does_not_matter(ask: Ask) -> None:
    config = ask("define('DB_NAME', 'a'); register_shutdown_function(function () { wp_die(); });")
    assert config.db_name == "a"


class TestRequest:
    """What depends on the request is taken when the request is named, and refused otherwise."""

    @pytest.mark.parametrize(
        ("body", "line"),
        [
            ("define('DB_NAME', 'wp_' . $_SERVER['HTTP_HOST']);", 2),
            # A host that no trial could guess.
            (
                "\nswitch ($_SERVER['HTTP_HOST']) {\ncase 'dev.example': define('DB_NAME', 'dev'); }",
                3,
            ),
            ("if (strpos(getenv('SERVER_NAME'), 'dev') === 0) { define('DB_NAME', 'dev'); }", 2),
            (
                (
                    "$h = $_SERVER['HTTP_HOST'];\n$n = preg_replace('/:.*/', '', $h);\n"
                    "if (file_exists(\"/etc/wordpress/config-$n.php\")) { require 'x'; }"
                ),
                4,
            ),
            (
                (
                    "define('SITE', md5($_SERVER['HTTP_HOST']));\ndefine('WP_HOME', SITE);\n"
                    "define('DB_NAME', SITE === 'x' ? 'y' : 'z');"
                ),
                4,
            ),
            ("define('DB_HOST', php_sapi_name() === 'cli' ? '127.0.0.1' : 'localhost');", 2),
            ("include getenv('HOME') . '/private.php';", 2),
            ("if (PHP_SAPI !== 'cli') { define('DB_NAME', 'web'); }", 2),
            ("if (defined('WP_CLI') && WP_CLI) { $table_prefix = 'cli_'; }", 2),
            ("if (isset($_COOKIE['stage'])) { define('DB_NAME', 'stage'); }", 2),
            ("define('DB_' . 'NAME', $_SERVER['HTTP_HOST'] === 'a' ? 'x' : 'y');", 2),
            ("$x = define('DB_NAME', $_SERVER['HTTP_HOST'] === 'a' ? 'x' : 'y');", 2),
            ("if (define('DB_NAME', $_SERVER['HTTP_HOST'] === 'a' ? 'x' : 'y')) { }", 2),
            ("if ($t = $_SERVER['HTTP_HOST'] === 'a') { }\nif ($t) { $table_prefix = 'a_'; }", 2),
            (
                "define('WP_HOME', $h = $_SERVER['HTTP_HOST']);\ndefine('DB_HOST', $h === 'a' ? 'x' : 'y');",
                2,
            ),
            ("$a = $b = $_SERVER['HTTP_HOST'];", 2),
            ("header('X: ' . ($t = $_SERVER['HTTP_HOST']));", 2),
            ("$x = $_SERVER['SERVER' . '_NAME'] === 'a' ? 'x' : 'y';\ndefine('DB_NAME', $x);", 3),
            ("$x = getenv('SERVER' . '_NAME') === 'a' ? 'x' : 'y';\ndefine('DB_NAME', $x);", 3),
            (
                "$k = 'SERVER';\n$x = $_SERVER[$k . '_NAME'] === 'a' ? 'x' : 'y';\n$table_prefix = $x;",
                4,
            ),
            ('eval(\'if ($_SERVER["HTTP_HOST"] === "a") { define("DB_NAME", "x"); }\');', 2),
            ("const A = PHP_SAPI === 'x' ? 'y' : 'z';", 2),
            ("if ($_SERVER['HTTP_HOST'] === 'a'): define('DB_NAME', 'x'); endif;", 2),
            ("if ($_SERVER['HTTP_HOST'] === 'a'):\n;define('DB_NAME', 'x'); endif;", 2),
            (
                "foreach (['a', 'b'] as $h) { if ($_SERVER['HTTP_HOST'] === $h) break; }\n$table_prefix = $h;",
                2,
            ),
            ("list($sub) = explode('.', $_SERVER['HTTP_HOST'] ?? '');", 2),
            ("extract($_SERVER);", 2),
            (
                "$s = $_SERVER;\nif (isset($s['X']) && $s['X'] === 'y') { define('DB_NAME', 'x'); }",
                3,
            ),
            ("if (isset($argv)) { define('DB_NAME', 'x'); }", 2),
            (
                "if (isset($_GET['x'])) { $x = $_GET['x']; }\nif (isset($x)) { putenv(\"A=$x\"); }",
                3,
            ),
            (
                "foreach ($_SERVER as $k => $v) { if ($k === 'HTTP_X') { define('DB_NAME', $v); } }",
                2,
            ),
            ("if ($_SERVER['REMOTE_ADDR'] === '10.0.0.1') { define('DB_NAME', 'local'); }", 2),
            ("require $_SERVER['DOCUMENT_ROOT'] . '/../private.php';", 2),
            ("$f = function () { return $_SERVER['HTTP_HOST']; };\ndefine('A', $f());", 2),
            ("class A { static function h() { return $_SERVER['HTTP_HOST']; } }", 2),
            (
                "$x = \"{$_SERVER['HTTP_HOST']}\"; $table_prefix = $x === 'a.example' ? 'a_' : 'b_';",
                2,
            ),
            (
                (
                    "$_SERVER['MY'] = $_SERVER['HTTP_HOST'] === 'a' ? 'x' : 'y';\n"
                    "if ($_SERVER['MY'] === 'x') { define('DB_NAME', 'x'); }"
                ),
                3,
            ),
            ("if (filter_input(INPUT_SERVER, 'HTTP_HOST') === 'a') { define('DB_NAME', 'x'); }", 2),
            (
                "defined('DB_NAME') || define('DB_NAME', $_SERVER['HTTP_HOST'] === 'a' ? 'x' : 'y');",
                2,
            ),
            (
                (
                    "if ($_SERVER['HTTP_HOST'] === 'a') define('WP_DEBUG', true);\n"
                    "else define('DB_NAME', 'x');"
                ),
                3,
            ),
        ],
    )
    def test_it_is_refused_with_the_line(
        self, ask: Ask, folder: Path, body: str, line: int
    ) -> None:
        (folder.parent / "private.php").write_text("<?php")
        end = f"\ndefined('DB_NAME') || define('DB_NAME', 'main'); {LOGIN}"
        with pytest.raises(SiteError) as caught:
            ask(body + end)
        assert f"{folder}/wp-config.php:{line} reads the request" in str(caught.value)
        assert "--url" in str(caught.value)

    @pytest.mark.parametrize(
        "body",
        [
            (
                "if (isset($_SERVER['HTTP_X_FORWARDED_PROTO']) && $_SERVER['HTTP_X_FORWARDED_PROTO'] =="
                " 'https') { $_SERVER['HTTPS'] = 'on'; }"
            ),
            "define('WP_HOME', 'https://' . $_SERVER['HTTP_HOST']); define('WP_SITEURL', WP_HOME . '/wp');",
            (
                "$scheme = !empty($_SERVER['HTTPS']) ? 'https' : 'http';"
                "$host = isset($_SERVER['HTTP_HOST']) ? $_SERVER['HTTP_HOST'] : 'localhost';"
                "define('WP_HOME', \"$scheme://$host\"); $u = \"{$scheme}://{$_SERVER['HTTP_HOST']}\";"
            ),
            "if (defined('WP_CLI') && WP_CLI) { $_SERVER['HTTP_HOST'] = 'x'; ini_set('display_errors', 1); }",
            "if (PHP_SAPI === 'cli') { define('WP_CACHE', false); } else { define('WP_CACHE', true); }",
            (
                "if (isset($_SERVER['HTTP_X_FORWARDED_FOR'])) { $l = explode(',', $_SERVER["
                "'HTTP_X_FORWARDED_FOR']); $_SERVER['REMOTE_ADDR'] = trim($l[0]); }"
            ),
            "if ($_SERVER['REMOTE_ADDR'] === '203.0.113.9') { header('HTTP/1.0 403'); exit; }",
            "defined('WP_HOME') || define('WP_HOME', $_SERVER['HTTP_HOST']);",
            "if (!defined('COOKIE_DOMAIN')) define('COOKIE_DOMAIN', $_SERVER['HTTP_HOST']);",
            "$c = ['USER' => 'u', 'HOME' => 'h']; if ($c['USER'] === 'x') { $table_prefix = 'y_'; }",
            "define('WP_ENV', getenv('X') ?: 'live'); if (WP_ENV === 'live') { $name = 'live'; }",
        ],
    )
    def test_what_decides_nothing_is_not(self, ask: Ask, body: str) -> None:
        config = ask(f"{body} define('DB_NAME', strrev('niam')); {LOGIN}")
        assert (config.db_name, config.table_prefix) == ("main", "wp_")

    def test_a_named_host_decides(self, ask: Ask) -> None:
        body = "define('DB_NAME', $_SERVER['HTTP_HOST'] . ($_SERVER['HTTPS'] ?? 'off'));"
        assert ask(body, "https://dev.example:8443/x").db_name == "dev.example:8443on"
        assert ask(body, "http://dev.example").db_name == "dev.exampleoff"
        assert ask("define('DB_NAME', PHP_SAPI);", "dev.example").db_name == "cli"

    def test_it_does_not_decide_what_it_does_not_tell(self, ask: Ask) -> None:
        body = "define('DB_NAME', $_SERVER['REMOTE_ADDR'] === '127.0.0.1' ? 'local' : 'live');"
        with pytest.raises(SiteError, match=r"wp-config\.php:2 reads the request") as caught:
            ask(body, "https://dev.example")
        assert "--url" not in str(caught.value)

    def test_a_folder_called_vendor_is_no_library(self, ask: Ask, folder: Path) -> None:
        (folder / "vendor").mkdir()
        text = "<?php\nif ($_SERVER['HTTP_HOST'] === 'a') { define('DB_NAME', 'a'); }"
        (folder / "vendor" / "db.php").write_text(text)
        with pytest.raises(SiteError, match=r"vendor/db\.php:2 reads the request"):
            ask("require __DIR__ . '/vendor/db.php'; defined('DB_NAME') || define('DB_NAME', 'b');")

    def test_libraries_may_speak_of_the_request(self, ask: Ask, folder: Path) -> None:
        (folder / "vendor" / "x").mkdir(parents=True)
        (folder / "vendor" / "autoload.php").write_text("<?php")
        library = (
            "<?php function lib() { return PHP_SAPI === 'x' ? $_SERVER['HTTP_HOST'] : 'main'; }"
        )
        (folder / "vendor" / "x" / "lib.php").write_text(library)
        assert (
            ask("require __DIR__ . '/vendor/x/lib.php'; define('DB_NAME', lib());").db_name
            == "main"
        )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is careful")
class TestRoot:
    def test_runs_nothing_that_others_may_change(self, ask: Ask, folder: Path) -> None:
        body = "define('DB_NAME', strrev('a'));"
        assert ask(body).db_name == "a"
        (folder / "wp-config.php").chmod(0o666)
        with pytest.raises(SiteError, match=r"wp-config\.php: others than root may change it"):
            ask(body)
        assert ask(body, trusted=True).db_name == "a"

    def test_nor_what_such_a_file_is_owned_by(self, ask: Ask, folder: Path) -> None:
        (folder / "inc").mkdir()
        (folder / "inc" / "x.php").write_text("<?php touch(ABSPATH . 'touched');")
        os.chown(folder / "inc", 12345, -1)
        with pytest.raises(SiteError, match=r"inc/x\.php: others than root may change it"):
            ask("define('DB_NAME', strrev('a')); require __DIR__ . '/inc/x.php';")
        assert not (folder / "touched").exists()

    @pytest.mark.parametrize("link", ["its own", "another's", "of a chain"])
    def test_nor_what_such_a_link_leads_to(
        self, php: str, folder: Path, tmp_path_factory: pytest.TempPathFactory, link: str
    ) -> None:
        """Else whoever may make links would choose which of root's PHP files root runs."""
        assert php
        elsewhere = tmp_path_factory.mktemp("roots")
        body = "<?php touch(__DIR__ . '/touched'); define('DB_NAME', strrev('a'));"
        (elsewhere / "x.php").write_text(body + TAIL)
        file = folder / "wp-config.php"
        file.symlink_to(elsewhere / "x.php")
        if link == "another's":
            os.lchown(file, 12345, -1)
            folder.chmod(0o1777)
        elif link == "of a chain":
            theirs = folder / "theirs"
            theirs.mkdir()
            file.rename(theirs / "x.php")
            file.symlink_to("theirs/x.php")
            os.chown(theirs, 12345, -1)
        is_run = link == "its own"
        refused = pytest.raises(SiteError, match="others than root may change it")
        with nullcontext() if is_run else refused:
            asking.ask(folder, ENV)
        assert (elsewhere / "touched").exists() is is_run


class TestModes:
    """``--ask-php=never|auto|always``."""

    COMPUTED = f"<?php\ndefine('DB_NAME', strrev('emanym')); {LOGIN}{TAIL}"

    def test_auto_asks_where_the_reader_does_not_know(self, php: str, folder: Path) -> None:
        assert php
        (folder / "wp-config.php").write_text(f"<?php {LOGIN} define('DB_NAME', 'plain');{TAIL}")
        site = resolve(Settings(path=folder), ENV)
        assert site.config is not None
        assert site.config.reader == "read without PHP"
        (folder / "wp-config.php").write_text(self.COMPUTED)
        site = resolve(Settings(path=folder), ENV)
        assert site.database.name == "myname"
        assert site.config is not None
        assert site.config.reader.startswith("told by PHP")

    def test_auto_tells_why_it_asked_a_php_that_failed(self, php: str, folder: Path) -> None:
        assert php
        (folder / "wp-config.php").write_text("<?php\nset_up_my_host();")
        with pytest.raises(WpCliError) as caught:
            resolve(Settings(path=folder), ENV)
        assert "thrown in" in str(caught.value)
        assert "wp-config.php:2: it calls set_up_my_host()" in str(caught.value)
        assert "--dsn" in str(caught.value)

    def test_never_names_the_statement(self, folder: Path) -> None:
        (folder / "wp-config.php").write_text(self.COMPUTED)
        with pytest.raises(SiteError, match=r"wp-config\.php:2: it calls strrev\(\)") as caught:
            resolve(Settings(path=folder, ask_php="never"), ENV)
        assert "--ask-php" in str(caught.value)

    def test_so_does_auto_without_php(self, folder: Path, tmp_path: Path) -> None:
        (folder / "wp-config.php").write_text(self.COMPUTED)
        with pytest.raises(SiteError, match=r"wp-config\.php:2: it calls strrev\(\)"):
            resolve(Settings(path=folder), {"PATH": str(tmp_path)})

    def test_always_asks_though_the_reader_knows(self, php: str, folder: Path) -> None:
        assert php
        (folder / "wp-config.php").write_text(f"<?php {LOGIN} define('DB_NAME', 'plain');{TAIL}")
        site = resolve(Settings(path=folder, ask_php="always"), ENV)
        assert site.config is not None
        assert site.config.reader.startswith("told by PHP")

    def test_check_names_the_php_that_was_asked(
        self, php: str, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "wp-config.php").write_text(self.COMPUTED)
        monkeypatch.chdir(folder)
        words = ("--path", str(folder), "--dsn", "sqlite:///q.db", "--ask-php=always")
        make_store(DatabaseAddress.from_dsn("sqlite:///q.db"), "wp_")
        done = CliRunner().invoke(cli, ["check", *words, "--format", "json"])
        told = json.loads(done.stdout)["configuration"]
        assert told.startswith(f"{folder}/wp-config.php, told by PHP ")
        assert php in told
        done = CliRunner().invoke(cli, ["check", *words])
        assert told in done.output

    def test_what_the_command_line_names_needs_no_answer(self, folder: Path) -> None:
        (folder / "wp-config.php").write_text(f"<?php {LOGIN} set_up();{TAIL}")
        settings = Settings(path=folder, dsn="sqlite://", table_prefix="x_", ask_php="never")
        with pytest.raises(SiteError, match=r"MULTISITE .*set_up"):
            resolve(settings, ENV)


class TestWpCli:
    """A stand-in for ``wp``, alone in the PATH."""

    @pytest.fixture
    def answer(self, tmp_path: Path, folder: Path) -> Answer:
        """Makes a ``wp`` that runs these lines; gives the environment that finds it."""
        (folder / "wp-config.php").write_text("<?php")

        def answer(lines: str) -> dict[str, str]:
            program = tmp_path / "bin" / "wp"
            program.parent.mkdir()
            program.write_text(f"#!/bin/sh\n{lines}\n")
            program.chmod(0o755)
            return {"PATH": str(program.parent)}

        return answer

    def test_tells_where_there_is_no_php(self, answer: Answer, folder: Path) -> None:
        rows = [
            {"name": "table_prefix", "value": "x_", "type": "variable"},
            {"name": "DB_NAME", "value": "shop", "type": "constant"},
            {"name": "AUTH_KEY", "value": "other", "type": "constant"},
            {"name": "MULTISITE", "value": True, "type": "constant"},
        ]
        env = answer(f"echo PHP Deprecated: noise [x]\necho '{json.dumps(rows)}'")
        config = asking.ask(folder, env, trusted=True)
        assert (config.db_name, config.table_prefix, config.is_multisite) == ("shop", "x_", True)
        assert set(config.values) == {"DB_NAME", "$table_prefix", "MULTISITE"}

    def test_fails_with_its_last_words(self, answer: Answer, folder: Path) -> None:
        env = answer("echo first >&2; echo 'Error: no WordPress here' >&2; exit 3")
        with pytest.raises(WpCliError, match="exit code 3: Error: no WordPress here") as caught:
            asking.ask(folder, env, trusted=True)
        assert caught.value.exit_code == 3
        assert caught.value.stderr == "first\nError: no WordPress here"

    def test_answers_what_is_no_json(self, answer: Answer, folder: Path) -> None:
        with pytest.raises(WpCliError, match="wp answered no JSON") as caught:
            asking.ask(folder, answer("echo s3''cret"), trusted=True)
        assert "s3cret" not in "".join(traceback.format_exception(caught.value))

    def test_is_not_waited_for_without_end(self, answer: Answer, folder: Path) -> None:
        env = answer("echo s3''cret; exec /bin/sleep 60")
        with pytest.raises(WpCliError, match=r"no answer within 0\.2 s") as caught:
            asking.ask(folder, env, trusted=True, timeout_seconds=0.2)
        assert "s3cret" not in "".join(traceback.format_exception(caught.value))

    def test_is_not_there_either(self, folder: Path, tmp_path: Path) -> None:
        (folder / "wp-config.php").write_text("<?php")
        with pytest.raises(SiteError, match="neither php nor wp"):
            asking.ask(folder, {"PATH": str(tmp_path)}, trusted=True)
