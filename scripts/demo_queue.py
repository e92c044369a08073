"""A queue as a busy shop has it, for pictures and tests of the dashboard. All of it is made up."""

import json
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from seeding import Seeder, date_text
from wpbridge.telling.metrics import DURATION_BOUNDS, WAIT_BOUNDS

DAY = 86_400
HOUR = 3_600


@dataclass(frozen=True)
class Hook:
    """One hook of the shop: how often it runs, how long it takes, and how often it fails."""

    name: str
    group: str
    an_hour: int
    seconds: float
    failing: float = 0.0
    error: str = ""
    args: str = "[{n}]"


HOOKS = (
    Hook(
        "woocommerce_deliver_webhook_async",
        "woocommerce-webhooks",
        160,
        0.7,
        0.03,
        "RuntimeError: the receiver answered 503 Service Unavailable",
        '[{n},{{"topic":"order.updated"}}]',
    ),
    Hook(
        "woocommerce_run_product_attribute_lookup_regeneration", "woocommerce-db-updates", 24, 4.2
    ),
    Hook("wc-admin_import_orders", "wc-admin-data", 220, 0.2),
    Hook(
        "shop_send_invoice",
        "mail",
        90,
        1.4,
        0.05,
        "smtplib.SMTPServerDisconnected: Connection unexpectedly closed",
    ),
    Hook(
        "shop_sync_stock",
        "erp",
        60,
        2.6,
        0.02,
        "TimeoutError: erp.example did not answer within 30 s",
    ),
    Hook("shop_resize_images", "media", 30, 9.5),
    Hook("mailpoet_send_newsletter", "mail", 12, 22.0),
    Hook("shop_export_to_datev", "erp", 2, 41.0, 0.2, "ValueError: booking 4711 has no tax key"),
)
RECURRING = (
    ("shop_sync_stock", "erp", 900, None),
    ("woocommerce_cleanup_logs", "woocommerce", DAY, None),
    ("shop_export_to_datev", "erp", None, "30 2 * * 1-5"),
    ("shop_daily_report", "reports", None, "0 7 * * *"),
    ("action_scheduler/migration_hook", "action-scheduler-migration", 60, None),
)


def demo_queue(file: Path, now: datetime) -> None:
    """Fill a queue on SQLite, whose tables are there and empty."""
    chance = random.Random(19)  # noqa: S311 - only the same numbers each time
    with Seeder(file, now) as seeder:
        for hook in HOOKS:
            _endings(seeder, hook, chance)
            _history(seeder, hook, chance)
        _waiting(seeder, chance)
        _chains(seeder)
        _machines(seeder)
        _deeds(seeder)


def _args(hook: Hook, chance: random.Random) -> str:
    return hook.args.format(n=chance.randint(20_000, 29_999))


def _endings(seeder: Seeder, hook: Hook, chance: random.Random) -> None:
    for _ in range(min(60, hook.an_hour)):
        ago = chance.uniform(60, 20 * HOUR)
        failed = chance.random() < hook.failing * 2
        told: dict[str, Any] = {"attempts": 1, "last_attempt_gmt": _at(seeder, -ago)}
        status = "failed" if failed else "complete"
        id_ = seeder.action(
            hook.name, status, due=-ago - 2, group=hook.group, args=_args(hook, chance), **told
        )
        took = hook.seconds * chance.uniform(0.6, 1.8)
        seeder.log(id_, "action created", at=-ago - chance.uniform(3, 90))
        seeder.log(id_, "action started via wpbridge", at=-ago)
        if failed:
            seeder.log(id_, f"action failed via wpbridge: {hook.error}", at=-ago + took)
        else:
            seeder.log(id_, "action complete via wpbridge", at=-ago + took)


def _at(seeder: Seeder, seconds: float) -> str:
    return date_text(seeder.now + timedelta(seconds=seconds))


def _history(seeder: Seeder, hook: Hook, chance: random.Random) -> None:
    """What the statistics remember: minutes of two hours, and hours of a week."""
    spans = [("minute", 60, n) for n in range(1, 120)] + [("hour", HOUR, n) for n in range(3, 168)]
    for span, seconds, number in spans:
        whole = seeder.now.replace(minute=0, second=0, microsecond=0)
        begin = seeder.now.replace(second=0, microsecond=0) if span == "minute" else whole
        begin -= timedelta(seconds=seconds * number)
        # A shop sleeps at night, and has less to do on Sundays.
        busy = 0.35 + 0.65 * max(0.0, 1 - abs(begin.hour - 15) / 9)
        busy *= 0.6 if begin.weekday() == 6 else 1.0  # noqa: PLR2004 - Sunday
        ended = round(hook.an_hour * busy * seconds / HOUR * chance.uniform(0.7, 1.3) + 0.3)
        failed = sum(chance.random() < hook.failing for _ in range(ended))
        for outcome, count in (("complete", ended - failed), ("failed", failed)):
            if count:
                place = {"span": span, "begin_gmt": date_text(begin), "outcome": outcome}
                _counted(seeder, hook, count, **place)


def _counted(seeder: Seeder, hook: Hook, count: int, **place: str) -> None:
    wait = 1.5
    seeder.row(
        "stats",
        **place,
        hook=hook.name,
        group_id=seeder.group(hook.group),
        actions=count,
        duration_seconds=hook.seconds * count,
        wait_seconds=wait * count,
        durations=_buckets(hook.seconds, DURATION_BOUNDS, count),
        waits=_buckets(wait, WAIT_BOUNDS, count),
    )


def _buckets(seconds: float, bounds: tuple[float, ...], count: int) -> str:
    """Most lie in the bucket of the mean, some in the next one."""
    place = sum(bound < seconds for bound in bounds)
    told = [0] * (len(bounds) + 1)
    slow = count // 8
    told[place] += count - slow
    told[min(place + 1, len(bounds))] += slow
    return ",".join(map(str, told))


def _waiting(seeder: Seeder, chance: random.Random) -> None:
    for hook in HOOKS:
        for _ in range(hook.an_hour // 8 + 1):
            due = chance.uniform(-25, 6 * HOUR)
            id_ = seeder.action(hook.name, due=due, group=hook.group, args=_args(hook, chance))
            seeder.log(id_, "action created", at=-chance.uniform(30, 900))
    claim = seeder.row("claims", date_created_gmt=date_text(seeder.now))
    for hook in HOOKS[3:7]:
        told: dict[str, Any] = {
            "attempts": 1,
            "last_attempt_gmt": _at(seeder, -8),
            "claim_id": claim,
        }
        id_ = seeder.action(
            hook.name, "in-progress", due=-12, group=hook.group, args=_args(hook, chance), **told
        )
        seeder.log(id_, "action created", at=-300)
        seeder.log(id_, "action started via wpbridge", at=-8)
        seeder.row("results", action_id=id_, progress=0.6, progress_text="600 of 1000")


def _chains(seeder: Seeder) -> None:
    for hook, group, every, cron in RECURRING:
        for number in range(14, 0, -1):
            ago = number * (every or DAY)
            status = "failed" if number % 9 == 4 else "complete"  # noqa: PLR2004 - now and then
            told: dict[str, Any] = {"attempts": 1, "last_attempt_gmt": _at(seeder, -ago)}
            id_ = seeder.action(hook, status, due=-ago, group=group, every=every, cron=cron, **told)
            seeder.log(id_, "action created", at=-ago - 60)
            seeder.log(id_, "action started via WP Cron", at=-ago + 1)
            ending = "action failed via WP Cron: no route to host" if status == "failed" else ""
            seeder.log(id_, ending or "action complete via WP Cron", at=-ago + 3)
        id_ = seeder.action(hook, due=(every or HOUR) / 2, group=group, every=every, cron=cron)
        seeder.log(id_, "action created", at=-60)


def _machines(seeder: Seeder) -> None:
    for number, host in enumerate(("web1.example", "web1.example", "jobs.example")):
        seeder.row(
            "runners",
            host=host,
            boot="boot",
            pid=4_200 + number,
            pid_started="1",
            version="0.1.0",
            started_gmt=_at(seeder, -3 * HOUR),
            beat_gmt=_at(seeder, -2),
            claims="1" if number == 0 else "",
            places=8,
        )
    for number in range(12):
        id_ = seeder.action(
            "shop_new_order", "complete", due=-90 * number, group="api", args=f"[{number}]"
        )
        uuid = f"0198a000-0000-7000-8000-{number:012d}"
        seeder.row(
            "jobs",
            uuid=uuid,
            action_id=id_,
            key_name="storefront",
            fingerprint="0" * 64,
            created_gmt=_at(seeder, -90 * number),
        )
    rights = json.dumps({"rights": ["enqueue", "read"], "hooks": ["shop_*"], "groups": ["api"]})
    seeder.row("api_keys", name="storefront", secret_hash="0" * 64, rights=rights)


def _deeds(seeder: Seeder) -> None:
    seeder.row(
        "pauses",
        kind="group",
        name="erp",
        until_gmt=_at(seeder, 5_400),
        reason="the ERP moves to its new server",
        created_gmt=_at(seeder, -1_800),
    )
    for ago, who, verb, thing in (
        (1_800, "person:anna", "pause", "group erp"),
        (2_400, "person:anna", "requeue", "22 actions"),
        (7_200, "cli:ben@jobs", "cancel", "action 17"),
        (26 * HOUR, "cli:carla@jobs", "key-add", "storefront"),
    ):
        seeder.row("audit", at_gmt=_at(seeder, -ago), who=who, verb=verb, object=thing, detail="{}")
