"""The queue of a shop on the morning after a bad night, in the tables of a real WordPress."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from factories import insert, make_new
from rows import change
from seeding import date_text
from wpbridge import Queue
from wpbridge.store.running.runner_store import RunnerStore

PAYMENTS = "payments"
"""The group whose actions failed last night."""
CAPTURE = "shop_capture_payment"
WHY = "cURL error 28: Operation timed out after 30001 milliseconds with 0 bytes received"
"""What all of the failures of last night say, but for their numbers."""
INVOICE = "shop_send_invoice"
MAIL = "mail"
NEWSLETTER = "mailpoet_send_newsletter"
SHIPMENT = "shop_ship_order"
REPORT = "shop_daily_report"
MISSING = "old_loyalty_points_sync"


@dataclass(frozen=True, kw_only=True)
class Night:
    """The actions of the shop that matter, by their ids."""

    captures: Sequence[int]
    """They failed last night."""
    invoices: Sequence[int]
    """They failed this morning, for another reason."""
    paused: int
    label: int
    """It failed this morning, too."""
    held: int
    """It waits for the label."""
    early: int
    missing: int
    """WordPress has no callback for its hook."""


@dataclass
class _Shop:
    store: RunnerStore
    now: datetime
    zone: tzinfo

    def at(self, days: int, hour: int, minute: int = 0) -> datetime:
        """A moment by the clock of the site."""
        there = self.now.astimezone(self.zone) + timedelta(days=days)
        return there.replace(hour=hour, minute=minute, second=0, microsecond=0).astimezone(UTC)

    def added(
        self, hook: str, count: int, *, group: str, due: datetime, first: int = 1
    ) -> list[int]:
        due_in = (due - self.now).total_seconds()
        rows = [
            make_new(hook, group=group, args=[8_000 + first + n], due_in=due_in, now=self.now)
            for n in range(count)
        ]
        ids: list[int] = [*insert(self.store, *rows, now=min(due, self.now))]
        return ids

    def ended(self, ids: Iterable[int], status: str, at: datetime, words: str) -> None:
        """Have actions end, a minute after each other; each ``#`` is a number of its own."""
        for place, one in enumerate(ids):
            then = date_text(at + timedelta(minutes=place))
            change(
                self.store,
                "UPDATE wp_actionscheduler_actions SET status = :s, attempts = 1,"
                " last_attempt_gmt = :t, last_attempt_local = :t WHERE action_id = :i",
                s=status,
                t=then,
                i=one,
            )
            for line in ("action started via WP Cron", words.replace("#", str(4_711 + place))):
                change(
                    self.store,
                    "INSERT INTO wp_actionscheduler_logs"
                    " (action_id, message, log_date_gmt, log_date_local) VALUES (:i, :m, :t, :t)",
                    i=one,
                    m=line,
                    t=then,
                )

    def audited(self, at: datetime, who: str, verb: str, thing: str, detail: str) -> None:
        change(
            self.store,
            "INSERT INTO wp_wpbridge_audit (at_gmt, who, verb, object, detail)"
            " VALUES (:t, :w, :v, :o, :d)",
            t=date_text(at),
            w=who,
            v=verb,
            o=thing,
            d=detail,
        )


def shop_night(store: RunnerStore, dsn: str, now: datetime, zone: tzinfo) -> Night:
    """Fill the tables; the night and yesterday are those of the site's clock."""
    shop = _Shop(store, now, zone)
    night = shop.at(-1, 22)
    captures = shop.added(CAPTURE, 22, group=PAYMENTS, due=night)
    told = f"action failed via WP Cron: {WHY} from https://api.pay.example/v1/captures/#"
    shop.ended(captures, "failed", night, told)
    invoices = shop.added(INVOICE, 7, group=MAIL, due=now - timedelta(minutes=40))
    lost = "action failed via WP Cron: SMTP connect() failed: connection refused by mail#.example"
    shop.ended(invoices, "failed", now - timedelta(minutes=30), lost)
    [label] = shop.added("shop_print_label", 1, group="shipping", due=now - timedelta(minutes=20))
    shop.ended(
        [label], "failed", now - timedelta(minutes=20), "action failed via WP Cron: no paper"
    )
    orders = shop.added("wc-admin_import_orders", 30, group="wc-admin-data", due=night)
    shop.ended(orders, "complete", night, "action complete via WP Cron")
    shop.added(CAPTURE, 3, group=PAYMENTS, due=now + timedelta(hours=3), first=500)
    _deeds(shop)
    [paused] = shop.added(NEWSLETTER, 1, group="newsletter", due=now - timedelta(minutes=5))
    [early] = shop.added(REPORT, 1, group="reports", due=now + timedelta(hours=5))
    [missing] = shop.added(MISSING, 1, group="", due=now - timedelta(minutes=5))
    change(store, "INSERT INTO wp_wpbridge_held VALUES (:h, :t)", h=MISSING, t=date_text(now))
    with Queue.open(dsn=dsn) as queue:
        queue.pause(groups=["newsletter"], reason="the texts are not ready")
        held = queue.enqueue_async(SHIPMENT, [8_001], group="shipping", after=[label])
    assert held is not None
    return Night(
        captures=captures,
        invoices=invoices,
        paused=paused,
        label=label,
        held=held,
        early=early,
        missing=missing,
    )


def _deeds(shop: _Shop) -> None:
    for days, who, verb, thing, detail in (
        (-3, "cli:ben@web1", "key-add", "storefront", "{}"),
        (
            -1,
            "site:carla",
            "cancel",
            "actions by a filter",
            '{"changed": 40, "reason": "test orders"}',
        ),
        (0, "cli:ben@web1", "key-rotate", "storefront", "{}"),
    ):
        # At midnight and not later, since nothing of today may lie ahead.
        shop.audited(shop.at(days, 0 if days == 0 else 15), who, verb, thing, detail)
