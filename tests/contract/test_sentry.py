"""What a Sentry on loopback gets of failures and of recurring hooks, and what it never gets."""

import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemons import until
from reported import Runs
from rows import query
from sinks import Sink, envelopes_of, sink
from wpbridge import Queue, Retry, Snooze, __version__
from wpbridge.site.rules import RetryRule
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling.sentry import slug_of

ARGS = {
    "email": "maria.wagner@example.com",
    "name": "Maria Wagner",
    "iban": "DE02120300000000202051",
    "total": 1234.5,
    "lines": [{"sku": "ZX-Spectrum", "note": "f\u00fcr Gro\u00dfmutter"}],
}
VALUES = (
    *("maria", "Maria", "Wagner", "wagner", "example.com", "DE0212", "202051", "1234.5"),
    *("Spectrum", "Gro\u00dfmutter", "mutter", "f\u00fcr"),
)


def bill(email: str, name: str, iban: str, total: float, lines: list[Any]) -> None:
    """Fail as handlers do, with everything in the message and in local variables."""
    told = f"{name} <{email}> owes {total}: {lines!r}"
    raise ValueError(f"cannot bill {told} by {iban}, xx{name.split(maxsplit=1)[0]}xx")


@pytest.fixture
def at() -> Iterator[Sink]:
    with sink() as found:
        yield found


@pytest.fixture
def run(store: RunnerStore, dsn: str, at: Sink) -> Runs:
    return Runs(store, dsn, sentry_dsn=at.url.replace("http://", "http://key@") + "/1")


@pytest.fixture
def queue(store: RunnerStore) -> Queue:
    return Queue(store.parts, close_store=False)


def heard(at: Sink, number: int) -> list[dict[str, Any]]:
    """So many reports, when they have arrived. They arrive in their order."""
    until(lambda: len(envelopes_of(at.bodies)) >= number, "the reports")
    assert len(envelopes_of(at.bodies)) == number
    return envelopes_of(at.bodies)


def test_a_final_failure_is_an_issue_without_any_arg(
    queue: Queue, run: Runs, at: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the SDK would find out of the process by itself, in words that no path has.
    monkeypatch.setattr(sys, "argv", ["program-of-the-test", "flag-of-the-test"])
    monkeypatch.setattr(socket, "gethostname", lambda: "host-of-the-test")
    failed = queue.enqueue_async("wc/bill", ARGS, group="orders")
    run({"wc/bill": bill})
    [issue] = heard(at, 1)
    assert (issue["level"], issue["transaction"]) == ("error", "wc/bill")
    assert issue["release"] == f"wpbridge@{__version__}"
    assert issue["tags"] == {"site": issue["tags"]["site"], "group": "orders", "attempt": "1"}
    assert issue["tags"]["site"]
    assert issue["contexts"]["action"]["id"] == failed
    [error] = issue["exception"]["values"]
    assert error == {"type": "ValueError", "value": issue["fingerprint"][-1]}
    assert error["value"].startswith("cannot bill <arg>")
    assert issue["fingerprint"][:3] == ["wpbridge", "wc/bill", "ValueError"]
    for value in (*VALUES, socket.gethostname(), *sys.argv, "told", __file__):
        assert value not in at.everything.decode(), value


def test_args_are_sent_where_somebody_has_asked_for_it(queue: Queue, run: Runs, at: Sink) -> None:
    queue.enqueue_async("bill", ARGS)
    run({"bill": bill}, sentry_send_args=True)
    [issue] = heard(at, 1)
    assert issue["extra"]["args"]["name"] == "Maria Wagner"
    assert "cannot bill Maria Wagner" in issue["exception"]["values"][0]["value"]
    assert "Maria" not in str(issue["fingerprint"])


@pytest.mark.parametrize("retries", [False, True])
def test_retries_are_reported_on_demand(
    queue: Queue, run: Runs, at: Sink, *, retries: bool
) -> None:
    def fail() -> None:
        raise OSError("no route")

    queue.enqueue_async("fail")
    rules = (RetryRule(max_attempts=2),)
    for attempt, ahead in enumerate((60, 600)):
        run({"fail": fail}, ahead=ahead, retry=rules, sentry_retries=retries)
        # Each run sends by a thread of its own.
        heard(at, attempt + retries)
    found = heard(at, 2 if retries else 1)
    assert [one["level"] for one in found] == ["warning", "error"][-len(found) :]
    assert [one["tags"]["attempt"] for one in found] == ["1", "2"][-len(found) :]


def test_recurring_hooks_check_in(queue: Queue, run: Runs, at: Sink) -> None:
    def fail() -> None:
        raise OSError("no route")

    queue.schedule_cron("2026-01-01T00:00:00Z", "0 3 * * *", "nightly", tz="Europe/Rome")
    run({"nightly": lambda: None})
    # Each run sends by a thread of its own.
    heard(at, 2)
    queue.schedule_recurring(None, 90, "minutely")
    run({"minutely": fail})
    heard(at, 5)
    queue.enqueue_async("once")
    run({"once": lambda: None})
    first, second, third, issue, fourth = heard(at, 5)
    assert {one["item"] for one in (first, second, third, fourth)} == {"check_in"}
    assert [one["status"] for one in (first, second)] == ["in_progress", "ok"]
    assert first["check_in_id"] == second["check_in_id"] != third["check_in_id"]
    assert second["duration"] >= 0
    assert first["monitor_slug"] == "nightly"
    assert first["monitor_config"] == {
        "schedule": {"type": "crontab", "value": "0 3 * * *"},
        "timezone": "Europe/Rome",
    }
    assert [one["status"] for one in (third, fourth)] == ["in_progress", "error"]
    assert third["monitor_config"]["schedule"] == {
        "type": "interval",
        "value": 2,
        "unit": "minute",
    }
    assert issue["transaction"] == "minutely"
    assert socket.gethostname() not in at.everything.decode()


def test_a_wish_is_no_failure(queue: Queue, run: Runs, at: Sink) -> None:
    def again() -> None:
        raise Retry(timedelta(hours=1), "later")

    def snooze() -> None:
        raise Snooze(datetime(2100, 1, 1, tzinfo=UTC), "much later")

    queue.schedule_recurring(None, 3600, "again")
    queue.schedule_recurring(None, 3600, "snooze")
    run({"again": again, "snooze": snooze}, sentry_retries=True)
    found = heard(at, 4)
    assert sorted(one["status"] for one in found) == ["in_progress", "in_progress", "ok", "ok"]


def test_check_ins_can_be_left_out(queue: Queue, run: Runs, at: Sink) -> None:
    queue.schedule_recurring(None, 3600, "hourly")
    queue.enqueue_async("fail", priority=200)
    run({"hourly": lambda: None, "fail": lambda: 1 / 0}, sentry_check_ins=False)
    [issue] = heard(at, 1)
    assert issue["exception"]["values"][0]["type"] == "ZeroDivisionError"


def test_the_environment_may_name_the_sentry(
    store: RunnerStore, dsn: str, queue: Queue, at: Sink
) -> None:
    queue.enqueue_async("fail")
    named = at.url.replace("http://", "http://key@") + "/1"
    Runs(store, dsn)({"fail": lambda: 1 / 0}, env={"SENTRY_DSN": named})
    heard(at, 1)


def test_a_sentry_that_is_away_costs_no_action(store: RunnerStore, dsn: str, queue: Queue) -> None:
    queue.enqueue_async("fail")
    done = queue.enqueue_async("works")
    away = Runs(store, dsn, sentry_dsn="http://key@127.0.0.1:9/1")
    away({"fail": lambda: 1 / 0, "works": lambda: None})
    rows = query(store, "SELECT hook, status FROM wp_actionscheduler_actions ORDER BY hook")
    assert list(map(tuple, rows)) == [("fail", "failed"), ("works", "complete")]
    assert done is not None


@pytest.mark.parametrize(
    ("hook", "slug"),
    [("nightly", "nightly"), ("wc-admin_daily", "wc-admin_daily"), ("a" * 50, "a" * 50)],
)
def test_the_slug_of_a_hook_is_its_name(hook: str, slug: str) -> None:
    assert slug_of(hook) == slug


def test_other_slugs_tell_hooks_apart() -> None:
    hooks = ["a/b", "a b", "A/B", "a-b", "123", "4" * 60, "a" * 51, "a" * 52, "\u65e5\u672c", "-"]
    slugs = [slug_of(hook) for hook in hooks]
    assert len(set(slugs)) == len(hooks)
    for slug in slugs:
        assert len(slug) <= 50
        assert not slug.isdigit()
        assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
