"""`wpbridge watch` and `check --nagios` as their operators have them, with apprise and a sink."""

import json
import re
import signal
from datetime import UTC, datetime, timedelta
from importlib import import_module
from queue import SimpleQueue
from types import ModuleType

import pytest

import warm
from cli_helpers import COMMAND, Site, clean_env
from conftest import ROOT
from daemons import until
from receiver import Receiver
from rows import change
from wpbridge.monitor import watched_site
from wpbridge.store.rows.stats import Count

SECRET = "sesame-open"


def failing(site: Site) -> None:
    """A hook that fails: an alert that fires at once."""
    store = site.store.parts
    store.own.ensure(store.names.stats)
    begin = datetime.now(UTC).replace(second=0, microsecond=0)
    store.stats.add([Count(begin=begin, hook="mail", group_id=0, outcome="failed", actions=5)])


def mended(site: Site) -> None:
    change(site.store, "DELETE FROM wp_wpbridge_stats")


def target(receiver: Receiver) -> dict[str, str]:
    return {"WPBRIDGE_ALERTS_TO": f"json://user:{SECRET}@127.0.0.1:{receiver.server_port}/x"}


def titles(receiver: Receiver) -> list[str]:
    return [json.loads(body)["title"].rpartition("] ")[2] for _, body in receiver.posts]


FIRING, RESOLVED = "FIRING: FailRatio (mail)", "RESOLVED: FailRatio (mail)"


def test_once_tells_by_its_exit_code_whether_something_fires(lite: Site) -> None:
    assert lite.ok("watch", "--once") == ""
    failing(lite)
    done = lite("watch", "--once")
    assert (done.code, done.err) == (1, "")
    assert done.out.startswith("FailRatio (mail): 100 % of the actions of the hook mail ")
    # Nobody is to be told: nothing is written down.
    assert lite.store.parts.alerts.all() == []


def test_each_change_is_sent_once_by_runs_of_cron(lite: Site, receiver: Receiver) -> None:
    env = target(receiver)
    failing(lite)
    for _ in range(3):
        assert lite("watch", "--once", env=env).code == 1
    mended(lite)
    for _ in range(2):
        assert lite("watch", "--once", env=env).code == 0
    assert titles(receiver) == [FIRING, RESOLVED]
    [(headers, body), _] = receiver.posts
    assert SECRET not in body.decode()
    assert "wpbridge failures" in body.decode()
    assert headers["authorization"].startswith("Basic ")


def test_what_would_be_sent_is_printed_and_not_sent(lite: Site, receiver: Receiver) -> None:
    failing(lite)
    done = lite("watch", "--dry-run", env=target(receiver))
    assert (done.code, receiver.posts) == (0, [])
    assert f"] {FIRING}" in done.out
    assert "would send: [wpbridge " in done.out


def test_a_test_message_goes_to_each_target(lite: Site, receiver: Receiver) -> None:
    env = target(receiver)
    assert lite("watch", "--test", env=env).out == "sent to number 1 (JSON)\n"
    assert titles(receiver) == ["test"]
    receiver.status = 500
    done = lite("watch", "--test", env=env)
    assert (done.code, done.out) == (1, "not taken by number 1 (JSON)\n")


def test_a_rule_has_its_own_threshold_and_is_switched_off(lite: Site) -> None:
    failing(lite)
    file = lite.folder / "wpbridge.toml"
    for told, code in (('"100%"', 0), ("false", 0), ("0.9", 1)):
        file.write_text(f"[alerts.rules]\nFailRatio = {told}\n")
        assert lite("watch", "--once").code == code, told
    file.write_text('[alerts.rules]\nFailRatio = "x"\nNone = 1\n')
    done = lite("watch", "--once")
    assert (done.code, len(done.err.splitlines())) == (78, 2)


@pytest.mark.parametrize(
    ("to", "told"),
    [
        (None, "nobody would be told: set [alerts] to"),
        (f"nonsense://{SECRET}", "number 1 is no address that apprise knows"),
        (f"{SECRET}", "WPBRIDGE_ALERTS_TO expects a list of addresses"),
    ],
)
def test_it_says_who_is_to_be_told_and_never_an_address(
    lite: Site, to: str | None, told: str
) -> None:
    done = lite("watch", env={} if to is None else {"WPBRIDGE_ALERTS_TO": to})
    assert (done.code, len(done.err.splitlines())) == (78, 1)
    assert told in done.err
    assert SECRET not in done.err + done.out


def test_settings_are_shown_without_addresses(lite: Site, receiver: Receiver) -> None:
    env = {**target(receiver), "WPBRIDGE_METRICS_TOKEN": f"{SECRET}-of-sixteen"}
    for form in ("text", "json"):
        told = lite("config", "show", "--format", form, env=env).out
        assert ("alerts_to" in told, SECRET in told) == (True, False)


def test_a_missing_extra_is_one_line(lite: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str) -> ModuleType:
        if name == "wpbridge.monitor.sending":
            raise ModuleNotFoundError("apprise", name="apprise")
        return import_module(name)

    monkeypatch.setattr(watched_site, "import_module", without)
    done = lite("watch", env={"WPBRIDGE_ALERTS_TO": "json://localhost"})
    assert (done.code, done.err) == (
        78,
        "wpbridge: alerts need apprise: install it with `pip install 'wpbridge[alerts]'`\n",
    )


def test_quiet_hours_have_a_form(lite: Site) -> None:
    for told, code in (
        ("22:00-07:00", 0),
        ("7:30-9:00", 0),
        ("off", 0),
        ("22-7", 78),
        ("1:00-1:00", 78),
    ):
        done = lite("watch", "--once", env={"WPBRIDGE_ALERTS_QUIET_HOURS": told})
        assert done.code == code, told


# As a process


def started(site: Site, receiver: Receiver) -> warm.Popen:
    env = clean_env(site.folder, {**site.env, **target(receiver)})
    with (site.folder / "log").open("ab") as log:
        return warm.Popen([*COMMAND, "watch", "-v"], cwd=site.folder, env=env, stderr=log)


def test_it_watches_until_it_is_told_to_stop(lite: Site, receiver: Receiver) -> None:
    failing(lite)
    with started(lite, receiver) as watcher:
        until(lambda: receiver.posts, "a message")
        watcher.send_signal(signal.SIGTERM)
        assert watcher.wait() == 0
    # It has let go of its duty: the next one goes on at once.
    mended(lite)
    lite("watch", "--once", env=target(receiver))
    assert titles(receiver) == [FIRING, RESOLVED]
    assert SECRET not in (lite.folder / "log").read_text()


def test_a_watcher_killed_when_it_has_sent_repeats_that_message_once(
    lite: Site, receiver: Receiver
) -> None:
    failing(lite)
    watchers = SimpleQueue[warm.Popen]()
    # The message has come, and the watcher does not know yet.
    receiver.met = lambda: watchers.get().kill()
    with started(lite, receiver) as watcher:
        watchers.put(watcher)
        assert watcher.wait() == -signal.SIGKILL
    receiver.met = lambda: None
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    change(lite.store, f"UPDATE wp_wpbridge_duties SET due_gmt = '{long_ago:%Y-%m-%d %H:%M:%S}'")
    for _ in range(2):
        lite("watch", "--once", env=target(receiver))
    mended(lite)
    lite("watch", "--once", env=target(receiver))
    assert titles(receiver) == [FIRING, FIRING, RESOLVED]


# For monitoring plugins


def test_a_plugin_answers_by_its_own_codes(lite: Site) -> None:
    done = lite("check", "--nagios")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("OK - nothing is due|due=0;;;0 ")
    lite.ok("enqueue", "mail", "--at=-20m")
    done = lite("check", "--nagios")
    assert (done.code, done.out.partition(" - ")[0]) == (2, "CRITICAL")
    flags = ("--critical", "no_runner=off", "-w", "oldest_due=1h", "-w", "due=0")
    done = lite("check", "--nagios", *flags)
    assert (done.code, done.out.partition("|")[0]) == (1, "WARNING - due is 1")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--dsn", f"mysql://nobody:{SECRET}@127.0.0.1:1/x"),
        ("--dsn", "sqlite:///away.db"),
        ("--dsn", "nonsense"),
        ("--config", "nowhere"),
        ("--critical", "due=many"),
        ("--warning", "nothing=1"),
        ("--no-such-option",),
        ("extra",),
    ],
)
def test_whatever_goes_wrong_is_unknown_in_one_line(lite: Site, arguments: tuple[str, ...]) -> None:
    done = lite("check", "--nagios", *arguments)
    assert (done.code, done.err, len(done.lines)) == (3, "", 1)
    assert done.out.startswith("UNKNOWN - ")
    assert SECRET not in done.out


def test_thresholds_without_the_plugins_line_are_refused(lite: Site) -> None:
    assert lite("check", "--warning", "due=1").code == 2


def test_the_addresses_on_the_page_are_such(lite: Site) -> None:
    page = (ROOT / "docs" / "how-to" / "alert.md").read_text("utf-8")
    [told, *rules] = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (lite.folder / "wpbridge.toml").write_text(told + "".join(rules))
    done = lite("watch", "--dry-run")
    assert (done.code, done.err) == (0, "")
