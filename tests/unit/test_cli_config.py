"""``wpbridge config show`` and ``--ask-php`` on the command line."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from wpbridge.cli import config
from wpbridge.cli.main import cli
from wpbridge.site import resolve as site

CONFIG = """<?php
define('DB_NAME', 'shop'); define('DB_USER', 'bob');
define('DB_PASSWORD', 't0psecret');
define('DB_HOST', 'db.example:3307'); define('DB_CHARSET', 'utf8');
$table_prefix = 'x_';
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A WordPress folder with a plain configuration; no variable of ours is set."""
    root = tmp_path.resolve() / "html"
    root.mkdir()
    (root / "wp-settings.php").write_text("<?php")
    (root / "wp-config.php").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("WPBRIDGE_ASK_PHP", "WPBRIDGE_DSN", "WPBRIDGE_PATH"):
        monkeypatch.delenv(name, raising=False)
    return root


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def show(*words: str) -> dict[str, Any]:
    done = run("config", "show", "--format", "json", *words)
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.output)
    return told


def test_every_value_has_its_source(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WPBRIDGE_BATCH_SIZE", "7")
    told = show("--path", str(folder))
    assert told["database"] == {
        "dialect": "mysql",
        "host": "db.example",
        "port": 3307,
        "socket": None,
        "file": None,
        "user": "bob",
        "name": "shop",
        "charset": "utf8mb4",
        "tls": None,
    }
    assert told["table_prefix"] == "x_"
    settings = told["settings"]
    assert settings["path"] == {"value": str(folder), "source": "flag"}
    assert settings["batch_size"] == {"value": 7, "source": "env WPBRIDGE_BATCH_SIZE"}
    assert settings["table_prefix"] == {"value": "x_", "source": f"{folder}/wp-config.php:5"}
    assert settings["concurrency"] == {"value": 4, "source": "default"}
    values = told["wp_config"]["values"]
    assert values["DB_NAME"] == {"value": "shop", "source": f"{folder}/wp-config.php:2"}
    assert told["wp_config"]["reader"] == "read without PHP"


def test_secrets_are_masked(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "wpbridge.toml").write_text(
        "[webhooks]\na = { url = 'https://u:t0psecret@h.example/t0psecret', secret = 't0psecret' }\n"
    )
    told = show("--path", str(folder))
    assert told["wp_config"]["values"]["DB_PASSWORD"]["value"] == "********"
    assert told["settings"]["webhooks"]["value"]["a"] == {
        "url": "https://h.example/********",
        "secret": "********",
        "timeout": 30.0,
    }
    assert "t0psecret" not in json.dumps(told)
    assert "t0psecret" not in run("config", "show", "--path", str(folder)).output


@pytest.mark.usefixtures("folder")
def test_a_dsn_alone() -> None:
    told = show("--dsn", "mysql://bob:t0psecret@h/shop?ssl_ca=/ca.pem")
    assert told["wp_config"] is None
    assert told["settings"]["dsn"]["value"] == "mysql://bob@h:3306/shop"
    assert told["database"]["tls"]["ca"] == "/ca.pem"
    assert "t0psecret" not in json.dumps(told)
    told = show("--dsn", "sqlite:///q.db")
    assert (told["database"]["dialect"], told["database"]["file"]) == ("sqlite", "q.db")


def test_the_prefix_of_a_networks_url_is_not_guessed(folder: Path) -> None:
    (folder / "wp-config.php").write_text(CONFIG + "define('MULTISITE', true);")
    told = show("--path", str(folder), "--url", "https://two.example")
    assert (told["table_prefix"], told["base_prefix"], told["blog_id"]) == (None, "x_", None)
    assert show("--path", str(folder), "--blog-id", "2")["table_prefix"] == "x_2_"


def test_what_cannot_be_told_is_one_line(folder: Path) -> None:
    (folder / "wp-config.php").write_text(CONFIG + "set_up();")
    done = run("config", "show", "--path", str(folder), "--ask-php=never")
    assert done.exit_code == 78
    assert f"{folder}/wp-config.php:6: it calls set_up()" in done.output
    assert done.output.count("\n") == 1


class TestAskPhp:
    @pytest.mark.parametrize(
        ("words", "value"),
        [
            ((), "auto"),
            (("--ask-php",), "always"),
            (("--ask-php=auto",), "auto"),
            (("--ask-php=never",), "never"),
            (("--ask-php=always",), "always"),
            (("--ask-php=false",), "never"),
        ],
    )
    def test_is_given_on_the_command_line(
        self, folder: Path, words: tuple[str, ...], value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = _seen(monkeypatch)
        for place in (
            ("config", "show", *words, "--path", str(folder)),
            (*words, "config", "show", "--path", str(folder)),
        ):
            run(*place)
            assert seen.pop() == value

    def test_alone_it_never_takes_the_next_word(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = _seen(monkeypatch)
        assert run("--ask-php", "config", "show", "--path", str(folder)).exit_code == 0
        assert seen.pop() == "always"
        done = run("config", "show", "--path", str(folder), "--ask-php", "never")
        assert done.exit_code == 2
        assert "unexpected extra argument (never)" in done.output

    @pytest.mark.parametrize(
        ("value", "wanted"), [("1", "always"), ("0", "never"), ("Auto", "auto"), ("never", "never")]
    )
    def test_is_given_by_variable(
        self, folder: Path, value: str, wanted: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = _seen(monkeypatch)
        monkeypatch.setenv("WPBRIDGE_ASK_PHP", value)
        run("config", "show", "--path", str(folder))
        assert seen.pop() == wanted

    @pytest.mark.parametrize(
        ("value", "wanted"), [("true", "always"), ("false", "never"), ('"auto"', "auto")]
    )
    def test_is_given_by_file(
        self, folder: Path, value: str, wanted: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = _seen(monkeypatch)
        Path("wpbridge.toml").write_text(f"[site]\nask_php = {value}\n")
        run("config", "show", "--path", str(folder))
        assert seen.pop() == wanted

    @pytest.mark.parametrize("value", ["often", "2"])
    def test_another_word_is_refused(self, folder: Path, value: str) -> None:
        done = run("config", "show", "--path", str(folder), f"--ask-php={value}")
        assert done.exit_code == 78
        assert "expects never, auto or always" in done.output


def _seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the command is told of asking PHP; the site is found without PHP."""
    seen: list[str] = []

    def spy(settings: Any, env: Any) -> Any:
        seen.append(settings.ask_php)
        return site.resolve(replace(settings, ask_php="never"), env)

    monkeypatch.setattr(config, "resolve", spy)
    return seen


@pytest.mark.parametrize(
    "words", [("check",), ("claim-and-run",), ("work", "--dry-run"), ("config", "show")]
)
def test_all_faults_of_the_settings_are_told_at_once(
    folder: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("wpbridge.toml").write_text("[run]\nbatch_size = 0\nbach_size = 1\n")
    monkeypatch.setenv("WPBRIDGE_CONCURRENCY", "many")
    done = run(*words, "--path", str(folder), "--ask-php=often")
    assert done.exit_code == 78
    assert [line.partition(" expects ")[0] for line in done.stderr.splitlines()] == [
        (
            f"wpbridge: {Path.cwd()}/wpbridge.toml [run]: unknown setting bach_size;"
            " did you mean batch_size?"
        ),
        f"wpbridge: {Path.cwd()}/wpbridge.toml: batch_size",
        "wpbridge: WPBRIDGE_CONCURRENCY",
        "wpbridge: --ask-php",
    ]
