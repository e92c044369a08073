"""The command lines that start workers, and which workers may be used."""

import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from wpbridge.errors import ConfigError
from wpbridge.executors.php.frames import Hello
from wpbridge.executors.php.launch import WORKER, Launch, launch
from wpbridge.executors.php.probe import notes, refusal
from wpbridge.executors.printed_output import Output


def made(*command: str, path: str | None = "/srv/wp", **more: object) -> Launch:
    given = {
        "url": None,
        "user": None,
        "skip_plugins": (),
        "env": {"PATH": "", "WPBRIDGE_DSN": "s"},
    }
    return launch(command, path=Path(path) if path else None, **{**given, **more})  # type: ignore[arg-type]  # by name


def test_wp_cli_here() -> None:
    start = made("/usr/bin/wp", url="https://a.example/b", user="admin", skip_plugins=("x", "y"))
    assert start.words() == [
        "/usr/bin/wp",
        "eval-file",
        str(WORKER),
        "--path=/srv/wp",
        "--url=https://a.example/b",
        "--user=admin",
        "--skip-plugins=x,y",
    ]


def test_php_here() -> None:
    assert made("php8.2").words() == ["php8.2", str(WORKER), "--path=/srv/wp"]
    assert made("php", "/opt/wp-cli.phar").words()[:3] == ["php", "/opt/wp-cli.phar", "eval-file"]


@pytest.mark.parametrize(
    "prefix", ["docker exec -i site wp", "kubectl exec -i pod -- wp", "sudo -u www-data wp"]
)
def test_behind_a_prefix_no_file_and_no_path_of_ours_is_named(prefix: str) -> None:
    words = made(*prefix.split(), path=None).words()
    assert words[: len(prefix.split())] == prefix.split()
    assert words[-3] == "eval"
    assert words[-1] == "--skip-wordpress"
    assert not any(str(WORKER) in word for word in words)


def test_ssh_gets_words_that_survive_the_other_sides_shell() -> None:
    words = made("ssh", "web1", "wp").words()
    assert shlex.split(" ".join(words[3:]))[1] == "eval(base64_decode(fgets(STDIN)));"


def test_all_plugins_can_be_left_out() -> None:
    assert made("wp", skip_plugins=("*",)).options[-1] == "--skip-plugins"


def test_our_own_variables_stay_here() -> None:
    assert made("wp").env == {"PATH": ""}


def test_a_local_worker_needs_a_path() -> None:
    with pytest.raises(ConfigError, match="--path"):
        made("wp", path=None)


def test_without_any_program_it_says_so() -> None:
    with pytest.raises(ConfigError, match="neither wp nor php"):
        made()


def hello(**more: object) -> Hello:
    told: dict[str, Any] = {
        "worker": 1,
        "pid": 1,
        "php": "8.2",
        "wordpress": "6.1",
        "action_scheduler": "3.9.3",
        "store": "ActionScheduler_DBStore",
        "logger": "ActionScheduler_DBLogger",
        "url": "",
        "zone": "",
        "memory_limit": -1,
        "prefix": "wp_",
        "sees_runner": True,
        "wp_cli": None,
    }
    return Hello(**{**told, **more})


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"prefix": "wp_2_"}, "prefix wp_2_"),
        ({"sees_runner": False}, "another database"),
        ({"store": "Mine"}, "the store Mine"),
        ({"store": "ActionScheduler_wpPostStore"}, "wpPostStore"),
    ],
)
def test_a_worker_of_another_queue_is_refused(more: dict[str, object], says: str) -> None:
    assert says in (refusal(hello(**more), prefix="wp_", bookkeeping="bridge") or "")


def test_a_worker_of_this_queue_is_taken() -> None:
    assert refusal(hello(), prefix="wp_", bookkeeping="native") is None
    assert notes(hello()) == []
    without = hello(action_scheduler=None, store=None, logger=None)
    assert refusal(without, prefix="wp_", bookkeeping="bridge") is None
    assert "not active" in (refusal(without, prefix="wp_", bookkeeping="native") or "")
    assert "not active" in notes(without)[0]


def test_output_is_cut_at_the_marks_however_it_arrives() -> None:
    output = Output("\x1emark:")
    text = b"one\x1emark:1\ntwo\nlines\x1emark:2\nrest"
    for byte in text:
        output.feed(bytes([byte]))
    assert (output.take(1), output.take(2), output.rest()) == ("one", "two\nlines", "rest")
    assert output.take(1) == ""


def test_only_the_end_of_much_output_is_kept() -> None:
    output = Output("\x1emark:")
    output.feed(b"x" * 100_000 + b"THE END\x1emark:1\n")
    kept = output.take(1)
    assert kept.endswith("xTHE END")
    assert len(kept.encode()) == 8192


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize(
    "theirs", [".", "wp-config.php", "wp-load.php", "wp-content", "wp-content/plugins"]
)
def test_root_runs_no_wordpress_that_others_may_change(tmp_path: Path, theirs: str) -> None:
    (tmp_path / "wp-content" / "plugins").mkdir(parents=True)
    for name in ("wp-config.php", "wp-load.php"):
        (tmp_path / name).touch()
    made("php", path=str(tmp_path))
    os.chown(tmp_path / theirs, 33, 33)
    for command in (("php",), ("wp",)):
        with pytest.raises(ConfigError, match=r"the code of WordPress in .* is not obeyed by root"):
            made(*command, path=str(tmp_path))
    # Who says so, or has another user on the other side, may.
    assert made("wp", "--allow-root", path=str(tmp_path)).is_local
    assert made("php", path=str(tmp_path), trusted=True).is_local
    assert not made("docker", "exec", "-i", "site", "wp", path=str(tmp_path)).is_local
