"""``--php`` as a user runs it."""

import json
import os
import subprocess
import sys

import pytest

import warm
from php_site import PhpSite
from wpbridge.clock import SystemClock


def command(
    site: PhpSite, *words: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    given = [f"--path={site.folder}"]
    if not any(word.startswith("--wp=") for word in words):
        given.append(f"--wp={' '.join(site.wp)}")
    return warm.run(
        [sys.executable, "-m", "wpbridge", words[0], *given, *words[1:]],
        cwd=site.folder,
        env={**os.environ, **(env or {})},
    )


def test_a_run_tells_what_it_did(wordpress: PhpSite) -> None:
    wordpress.enqueue("t_noop")
    wordpress.enqueue("t_throw")
    wordpress.enqueue("t_nobody")
    plan = command(wordpress, "claim-and-run", "--php", "--dry-run", "--format=json")
    assert json.loads(plan.stdout)["would_claim"] == 3
    done = command(
        wordpress, "claim-and-run", "--php", "--format=json", env={"WPBRIDGE_PHP_WORKERS": "1"}
    )
    totals = json.loads(done.stdout)
    assert done.returncode == 0
    assert (totals["complete"], totals["failed"], totals["held"]) == (1, 1, 1)
    assert "t_nobody" in done.stderr


def test_what_wordpress_has_no_callback_for(wordpress: PhpSite) -> None:
    """Told once an hour whatever the runs, counted apart, and never taken for what was run."""
    held = [wordpress.enqueue("t_nobody", n) for n in range(2)]
    runs = [command(wordpress, "claim-and-run", "--php", "--quiet") for _ in range(2)]
    assert [run.returncode for run in runs] == [0, 0]
    assert "php.no_callback" in runs[0].stderr
    assert "hook=t_nobody" in runs[0].stderr
    assert runs[1].stderr == ""
    assert due_and_held(wordpress) == (0, 2)
    good = wordpress.enqueue("t_noop")
    done = command(wordpress, "run", str(good), *map(str, held), "--php")
    assert done.returncode == 1
    for action_id in held:
        assert f"action {action_id} was not run, and is pending as before: Word" in done.stderr
        assert wordpress.state(action_id) == ("pending", 0, 0)
        assert wordpress.log(action_id) == ["action created"]
    assert "complete 1" in done.stdout
    assert wordpress.state(good)[0] == "complete"
    # Its plugin is on again: it is not held any more.
    plugin = wordpress.folder / "wp-content" / "mu-plugins" / "again.php"
    plugin.write_text("<?php add_action( 't_nobody', '__return_true' );")
    try:
        again = command(wordpress, "claim-and-run", "--php", "--format=json")
    finally:
        plugin.unlink()
    assert json.loads(again.stdout)["complete"] == 2
    wordpress.enqueue("t_nobody")
    assert due_and_held(wordpress) == (1, 0)


def due_and_held(wordpress: PhpSite) -> tuple[int, int]:
    """As `status` counts them."""
    store, now = wordpress.open(), SystemClock().now()
    parts = store.parts
    held = parts.due.held(now, parts.held.hooks())
    due = parts.due.count(now, cap=100, held=held)
    store.close()
    return due, held


def test_a_plan_of_named_actions_says_what_it_did_not_ask(wordpress: PhpSite) -> None:
    action_id = wordpress.enqueue("t_nobody")
    plan = command(wordpress, "run", str(action_id), "--php", "--dry-run")
    assert plan.returncode == 0
    assert f"action {action_id}: not asked whether WordPress has a callback" in plan.stderr
    assert f"wpbridge explain {action_id} --php --ask-wordpress" in plan.stderr


def test_settings_may_stand_in_the_file(wordpress: PhpSite) -> None:
    file = wordpress.folder / "wpbridge.toml"
    file.write_text(
        '[php]\nenabled = true\nworkers = 1\n\n[[routes]]\nhook = "t_args"\nto = "leave"\n'
    )
    left = wordpress.enqueue("t_args")
    try:
        done = command(wordpress, "claim-and-run", "--fail-on-error")
    finally:
        file.unlink()
    assert (done.returncode, wordpress.state(left)) == (0, ("pending", 0, 0))


def test_hooks_asks_wordpress(wordpress: PhpSite) -> None:
    wordpress.enqueue("t_noop")
    wordpress.enqueue("t_nobody")
    told = command(wordpress, "hooks", "--php", "--ask-wordpress", "--format=json")
    found = {line["hook"]: (line["to"], line["callback"]) for line in json.loads(told.stdout)}
    assert found["t_noop"] == ("php", True)
    assert found["t_nobody"] == ("php", False)


def test_check_shows_wordpress(wordpress: PhpSite) -> None:
    facts = json.loads(command(wordpress, "check", "--php", "--format=json").stdout)
    assert facts["php"]["prefix"] == "wp_"
    assert facts["problems"] == []


@pytest.mark.parametrize("words", [("check", "--php"), ("claim-and-run", "--php")])
def test_a_wordpress_that_does_not_start_is_one_line_and_69(
    wordpress: PhpSite, words: tuple[str, ...]
) -> None:
    action_id = wordpress.enqueue("t_noop")
    broken = wordpress.folder / "wp-content" / "mu-plugins" / "broken.php"
    broken.write_text("<?php throw new RuntimeException( 'broken at boot' );")
    try:
        done = command(wordpress, *words)
    finally:
        broken.unlink()
    assert done.returncode == 69
    assert "broken at boot" in done.stderr.splitlines()[-1]
    assert wordpress.state(action_id) == ("pending", 0, 0)


def test_a_program_that_is_missing_is_69(wordpress: PhpSite) -> None:
    wordpress.enqueue("t_noop")
    done = command(wordpress, "claim-and-run", "--php", "--wp=/nowhere/wp")
    assert done.returncode == 69
    assert done.stderr.splitlines()[-1].startswith("wpbridge: ")


def test_php_without_a_path_is_78(wordpress: PhpSite) -> None:
    done = warm.run(
        [
            sys.executable,
            "-m",
            "wpbridge",
            "claim-and-run",
            "--php",
            f"--dsn={wordpress.dsn}",
            "--wp=php",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd="/",
    )
    assert done.returncode == 78
    assert "--path" in done.stderr
