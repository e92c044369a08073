"""What the account of a runner does, each thing on an empty queue."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from accounts import ACTIONS, Account, by_name, done
from factories import insert, make_new
from rows import change, column, log_of, query
from stores import open_store
from wpbridge.access.keys import Allowed
from wpbridge.clock import SystemClock, to_text
from wpbridge.codec.keys import new_uuid
from wpbridge.queue.callbacks import callback_of
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.queue.jobs import JobQueue, JobRequest
from wpbridge.runner.identity import identity
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.base import ClaimFilter
from wpbridge.store.opened import OpenStore
from wpbridge.telling.counting import Counter
from wpbridge.telling.metrics import DURATION_BOUNDS
from wpbridge.upkeep.history import History
from wpbridge.upkeep.old_rows import OldRows

if TYPE_CHECKING:
    from receiver import Receiver

HANDLERS: Final = """
from wpbridge import Context, Enqueue, Retry, hook

@hook("h")
def h(*_): pass

@hook("fails")
def fails(): raise ValueError("no")

@hook("again")
def again(): raise Retry(after=3600)

@hook("returns")
def returns(*, context: Context):
    context.log("said")
    context.progress(0.5, "half")
    return {"n": 1}

@hook("adds")
def adds(*, context: Context):
    one = context.enqueue("h", [1], key="k", group="new", at="+1h")
    queue = context.queue
    queue.enqueue(Enqueue(hook="h", after=[one]))
    queue.schedule_cron(None, "0 3 * * *", "h", tz="Europe/Rome")

@hook("changes")
def changes(one, *, context: Context):
    queue = context.queue
    queue.cancel([one])
    queue.requeue([one], again=True)
    queue.delete([one])
"""
SETTINGS: Final = """
[[limits]]
hook = "h"
rate = "1000/min"
[[limits]]
hook = "fails"
pause_after = 1
"""
RUN: Final = ("claim-and-run", "--handlers", "acts", "--quiet")


def prepare(account: Account) -> None:
    """Write the handlers and the settings of the account's folder."""
    (account.root.folder / "acts.py").write_text(HANDLERS)
    (account.root.folder / "wpbridge.toml").write_text(SETTINGS)


@contextmanager
def opened(account: Account) -> Iterator[OpenStore]:
    """The store as a runner with the account opens it."""
    store = open_store(DatabaseAddress.from_dsn(account.dsn), "wp_")
    try:
        yield store.parts
    finally:
        store.close()


def run(account: Account, *flags: str) -> None:
    done(account.site(*RUN, *flags))


def queue_of(account: Account) -> Queue:
    return Queue(account.store.parts, close_store=False)


def know_the_zone(account: Account) -> None:
    """Whoever may not read the options takes UTC."""
    insert(account.store, make_new("h"))
    assert "+01:00" in done(account.site("list", "--tz", "site")).out


def run_handlers(account: Account) -> None:
    insert(account.store, *(make_new(hook, group="g") for hook in ("h", "again", "returns")))
    run(account)
    assert account.statuses("h") == account.statuses("returns") == ["complete"]
    assert account.statuses("again") == ["pending"]
    [one] = account.ids("returns")
    assert "said" in log_of(account.store, one)
    assert json.loads(account.root.ok("get", str(one), "--format", "json"))["result"] == {"n": 1}
    assert query(account.store, f"SELECT * FROM {account.store.names.runners}") == []


def recur(account: Account) -> None:
    queue = queue_of(account)
    # Not each minute: the successor would be due in the same run at the end of one.
    queue.schedule_cron(None, "0 3 1 1 *", "h", tz="Europe/Rome")
    change(account.store, f"UPDATE {ACTIONS} SET scheduled_date_gmt = '2026-01-01'")
    run(account)
    assert account.statuses("h") == ["complete", "pending"]
    zones = query(account.store, f"SELECT action_id FROM {account.store.names.zones}")
    assert zones == [(account.ids("h")[1],)]


def have_handlers_enqueue(account: Account) -> None:
    insert(account.store, make_new("adds"))
    run(account)
    assert account.statuses("adds") == ["complete"]
    assert account.statuses("h") == ["pending"] * 3


def have_handlers_change(account: Account) -> None:
    [one] = insert(account.store, make_new("other"))
    insert(account.store, make_new("changes", args=(one,)))
    run(account)
    assert account.statuses("changes") == ["complete"]
    assert one not in account.ids("other")


def release_what_waits(account: Account) -> None:
    [first] = insert(account.store, make_new("h"))
    queue_of(account).enqueue(Enqueue(hook="h", after=[first]))
    run(account)
    assert account.statuses("h") == ["complete"] * 2


def pause_after_failures(account: Account) -> None:
    insert(account.store, make_new("fails"), make_new("h"))
    run(account)
    assert account.statuses("fails") == ["failed"]
    assert [one.name for one in queue_of(account).pauses()] == ["fails"]


def leave_out_what_is_paused(account: Account) -> None:
    queue = queue_of(account)
    queue.pause(hooks=["h"])
    insert(account.store, make_new("h"))
    run(account)
    assert account.statuses("h") == ["pending"]


def rescue(account: Account) -> None:
    """Put back what a killed runner of this host had in hand."""
    insert(account.store, make_new("h"))
    dead = open_store(DatabaseAddress.from_dsn(account.root.dsn), "wp_")
    try:
        me = identity()
        dead.register(host=me.host, boot=me.boot, pid=2**22 + 1, pid_started="1")
        only = ClaimFilter(hooks=frozenset({"h"}))
        assert dead.claim_due(now=SystemClock().now(), limit=9, only=only) is not None
    finally:
        dead.close()
    change(account.store, f"UPDATE {ACTIONS} SET status = 'in-progress'")
    run(account)
    assert account.statuses("h") == ["complete"]
    assert query(account.store, f"SELECT * FROM {account.store.names.runners}") == []


def hold_what_php_does_not_know(account: Account) -> None:
    """What a runner notes of a hook without a callback; the row goes when the hook runs again."""
    held = account.store.names.held
    with opened(account) as store:
        assert store.held.tell(["h"]) == ["h"]
        assert store.held.tell(["h"]) == []
        change(account.store, f"UPDATE {held} SET told_gmt = '2020-01-01'")
        assert store.held.tell(["h"]) == ["h"]
    insert(account.store, make_new("h"))
    run(account)
    assert query(account.store, f"SELECT * FROM {held}") == []


def change_in_bulk(account: Account) -> None:
    """Everything that a filter matches, by wpbridge's own hook."""
    ids = [insert(account.store, make_new("other", args=(n,)))[0] for n in range(3)]
    now = to_text(SystemClock().now())
    for table, columns in (
        ("results", "(action_id, updated_gmt)"),
        ("traces", "(action_id, traceparent)"),
    ):
        name = getattr(account.store.names, table)
        change(account.store, f"INSERT INTO {name} {columns} VALUES ({ids[0]}, '{now}')")
    queue = JobQueue(account.store.parts, close_store=False)
    for verb in ("requeue", "delete"):
        change(account.store, f"UPDATE {ACTIONS} SET status = 'failed' WHERE hook = 'other'")
        args = {
            "verb": verb,
            "filter": {"hooks": ["other"]},
            "up_to_id": max(account.ids("other")),
            "count": len(account.ids("other")),
            "who": "user:anna",
        }
        queue.enqueue_async("wpbridge_bulk", args, group="wpbridge")
    run(account)
    told = [log_of(account.store, one) for one in account.ids("wpbridge_bulk")]
    assert account.statuses("wpbridge_bulk") == ["complete"] * 2, told
    results = query(account.store, f"SELECT result FROM {account.store.names.results}")
    assert len([one for (one,) in results if "changed" in str(one)]) == 2


def tell_clients(account: Account) -> None:
    """A callback of a job, to a server of the test's own."""
    receiver: Receiver = account.more["receiver"]
    rights = Allowed(rights=("enqueue",), hooks=("*",), callback_hosts=("127.0.0.1",)).as_json()
    keys = account.store.parts.api_keys
    keys.add("shop", "0" * 64, rights=rights, expires_seconds=None, who="a test")
    uuid = new_uuid()
    told = callback_of(
        {"url": f"http://127.0.0.1:{receiver.server_port}/done"},
        uuid=uuid,
        hosts=["127.0.0.1"],
        allow_private=True,
        may_enqueue=lambda *_: True,
    )
    jobs = JobQueue(account.store.parts, close_store=False)
    asked = JobRequest(new=Enqueue(hook="h"), key_name="shop", callback=told, uuid=uuid)
    jobs.submit([jobs.prepared(asked)])
    before = len(receiver.posts)
    run(account)
    run(account)
    logs = [log_of(account.store, one) for one in account.ids("wpbridge_callback")]
    assert len(receiver.posts) == before + 1, logs


def delete_what_is_old(account: Account) -> None:
    """The plugin's cleaner's work: what ended long ago goes, with all that names it."""
    ids = insert(account.store, *(make_new("old", args=(n,)) for n in range(2)))
    change(
        account.store,
        f"UPDATE {ACTIONS} SET status = 'complete', last_attempt_gmt = '2020-01-01'",
    )
    keys = account.store.names.keys
    change(account.store, f"INSERT INTO {keys} VALUES ('x', {ids[0]}, '2020-01-01')")
    run(account, "--owns-site")
    assert account.ids("old") == []
    assert query(account.store, f"SELECT * FROM {keys}") == []


def free_stale_claims(account: Account) -> None:
    """The plugin's cleaner's work: what a dead runner of PHP's holds is free again."""
    [one] = insert(account.store, make_new("php"))
    change(account.store, f"UPDATE {ACTIONS} SET claim_id = 900, last_attempt_gmt = '2020-01-01'")
    run(account, "--owns-site")
    assert column(account.store, "claim_id", one) == 0


def delete_empty_claims(account: Account) -> None:
    """Rows of claims that nobody needs."""
    change(account.store, "INSERT INTO wp_actionscheduler_claims VALUES (900, '2020-01-01')")
    run(account, "--owns-site")
    assert query(account.store, "SELECT * FROM wp_actionscheduler_claims") == []


def delete_what_is_old_in_own_tables(account: Account) -> None:
    """Results, jobs, traces and minutes, which one runner of the site deletes each hour."""
    names, store = account.store.names, account.store
    buckets = ",".join(["0"] * (len(DURATION_BOUNDS) + 1))
    for statement in (
        f"INSERT INTO {names.results} (action_id, updated_gmt) VALUES (7, '2020-01-01')",
        f"INSERT INTO {names.traces} VALUES (7, 'x')",
        (
            f"INSERT INTO {names.jobs} (uuid, action_id, key_name, fingerprint, created_gmt)"
            f" VALUES ('{new_uuid()}', 7, 'shop', '', '2020-01-01')"
        ),
        (
            f"INSERT INTO {names.stats} (span, begin_gmt, hook, group_id, outcome, durations, waits)"
            f" VALUES ('minute', '2020-01-01', 'h', 0, 'complete', '{buckets}', '0')"
        ),
    ):
        change(store, statement)
    clock = SystemClock()
    with opened(account) as own:
        keeper = OldRows(own, clock, holder="a", keep_results=timedelta(days=7))
        while keeper.step().has_more:
            pass
    for table in (names.results, names.traces, names.jobs):
        assert query(store, f"SELECT * FROM {table}") == [], table
    assert query(store, f"SELECT * FROM {names.stats} WHERE outcome = 'complete'") == []


def count_what_ended(account: Account) -> None:
    """The minutes of the history, of what runners and PHP have ended."""
    [one] = insert(account.store, make_new("h"))
    clock = SystemClock()
    with opened(account) as own:
        history = History(own, clock, Counter(), holder="a", has_duty=True)
        history.step()
        for message in ("action started via WP Cron", "action complete via WP Cron"):
            change(
                account.store,
                f"INSERT INTO {account.store.names.logs} (action_id, message, log_date_gmt,"
                f" log_date_local) VALUES ({one}, '{message}', UTC_TIMESTAMP(), UTC_TIMESTAMP())",
            )
        history.leave()
    run(account)
    told = query(account.store, f"SELECT outcome FROM {account.store.names.stats}")
    assert ("complete",) in told


def clean_by_hand(account: Account) -> None:
    """`clean` and `delete` of the same account."""
    ids = insert(account.store, make_new("h"), make_new("h"))
    change(account.store, f"UPDATE {ACTIONS} SET status='failed', last_attempt_gmt='2020-01-01'")
    done(account.site("delete", str(ids[0]), "--yes"))
    done(account.site("clean", "--status", "failed", "--yes"))
    assert account.ids("h") == []


DEEDS: Final = by_name(
    know_the_zone,
    run_handlers,
    recur,
    have_handlers_enqueue,
    have_handlers_change,
    release_what_waits,
    pause_after_failures,
    leave_out_what_is_paused,
    rescue,
    hold_what_php_does_not_know,
    change_in_bulk,
    tell_clients,
    delete_what_is_old,
    free_stale_claims,
    delete_empty_claims,
    delete_what_is_old_in_own_tables,
    count_what_ended,
    clean_by_hand,
)
