"""Check the WordPress around the queue: its options, its files, and PHP itself."""

import re
from typing import Final

from wpbridge.clock import from_timestamp
from wpbridge.doctor.checks_database import clock_finding
from wpbridge.doctor.checks_runners import sightings
from wpbridge.doctor.defined import defined
from wpbridge.doctor.examination import Check
from wpbridge.doctor.examined_site import LOCK_OPTION, MIGRATION_OPTION, ExaminedSite
from wpbridge.doctor.findings import Finding, note, ok, problem, some, warning
from wpbridge.doctor.php_clock import skew_seconds
from wpbridge.errors import WpbridgeError
from wpbridge.executors.php.probe import notes, refusal
from wpbridge.plugin import companion, entrance
from wpbridge.plugin.unrun import unrun, ways_out
from wpbridge.site.wpconfig import is_true
from wpbridge.site.zone import Zone

LOCK_SECONDS: Final = 3_600
"""The plugin's lock lasts 60 s. A filter may make it longer, but hardly by so much."""
_HYPERDB: Final = re.compile(rb"\b(?:hyperdb|ludicrousdb|shareddb)\b", re.IGNORECASE)
_SQLITE: Final = (b"sqlite-database-integration", b"SQLITE_DB_DROPIN_VERSION")
_REPLICA: Final = re.compile(r"(?:SLAVE|REPLICA|READER|READONLY|READ_ONLY)", re.IGNORECASE)
_HOST: Final = re.compile(r"(?=.*(?:DB|DATABASE|MYSQL))(?=.*(?:HOST|SERVER|URL))", re.IGNORECASE)


def handlers(examined: ExaminedSite) -> Finding:
    """Can the handlers be loaded?"""
    if examined.handlers_fault:
        cause = examined.handlers_fault
        return problem(cause, "no runner starts with these settings", fix="wpbridge check")
    if examined.not_loaded:
        return ok(examined.not_loaded)
    return ok(f"{len(examined.handlers)} hook(s) with a handler or a webhook")


def time_zone(examined: ExaminedSite) -> Finding:
    """Is the site's time zone known?"""
    name = examined.options.get("timezone_string", "").strip()
    zone = Zone.from_options(name, examined.options.get("gmt_offset"))
    if name and zone.named is None:
        return note(
            f"the option timezone_string is {name!r}, which is no time zone known here",
            "local dates are written as UTC; nothing decides by them",
        )
    return ok(f"the site's time zone is {zone}")


def migration(examined: ExaminedSite) -> Finding:
    """Does the plugin read the tables, or still its old posts?"""
    if not examined.has_options:
        return ok("no WordPress around the queue")
    state = examined.options.get(MIGRATION_OPTION, "")
    posts = examined.legacy_posts
    again = f"wp option delete {MIGRATION_OPTION}"
    if state == "complete" and posts:
        return warning(
            f"the migration to tables is complete, but {posts:,} live actions are still posts",
            "nobody runs them; without the option the plugin migrates again",
            fix=again,
            count=posts,
        )
    if state == "complete":
        return ok("the plugin keeps its actions in the tables alone")
    return note(
        f"the option {MIGRATION_OPTION} is {state or 'not set'}: the plugin uses its hybrid store,"
        f" and {posts:,} live actions are posts",
        "wpbridge does not see those; PHP migrates them in time, and looks for unique actions less"
        " strictly until then",
        fix="wp action-scheduler migrate",
        count=posts,
    )


def async_lock(examined: ExaminedSite) -> Finding:
    """Can PHP's async runner start?"""
    told = examined.options.get(LOCK_OPTION)
    fix = f"wp option delete {LOCK_OPTION}"
    if told is None:
        return ok("nobody holds the lock of the async runner")
    end = told.rpartition("|")[2].strip()
    if not re.fullmatch(r"\d{1,12}", end):
        return warning(
            f"the async runner's lock has {'no' if not end else 'an unreadable'} end",
            "up to 4.0 the plugin never takes it again, and no async request runs the queue",
            fix=fix,
        )
    until = from_timestamp(int(end))
    if (until - examined.now).total_seconds() > LOCK_SECONDS:
        return warning(
            f"the async runner's lock holds until {examined.time(until)}: a clock was wrong, it"
            " seems",
            "no async request runs the queue before",
            fix=fix,
        )
    return ok("the lock of the async runner ends by itself")


def wp_cron(examined: ExaminedSite) -> Finding:
    """Do visits start PHP's runner?"""
    told = defined(examined)
    if not is_true(told.get("DISABLE_WP_CRON")):
        return ok("WP-Cron is not switched off" if told else "no wp-config.php to look into")
    fix = "wp cron event run action_scheduler_run_queue"
    if examined.is_somebody_running:
        seen = some(sightings(examined)) or "something has claimed within the last hour"
        cause = f"DISABLE_WP_CRON is set; runners have been seen all the same: {seen}"
        return note(
            cause,
            "the queue stands still if whatever starts these runners stops, such as a system cron",
        )
    return warning(
        "DISABLE_WP_CRON is set, and no runner has been seen for an hour",
        "visits do not start the plugin's runner: a system cron or wpbridge has to run the queue",
        fix=fix,
    )


def replicas(examined: ExaminedSite) -> Finding:
    """Does WordPress spread its reads over several servers?"""
    names = [n for n in defined(examined) if _REPLICA.search(n) and _HOST.match(n)]
    drop_in = examined.drop_in("db.php")
    if any(mark in drop_in for mark in _SQLITE):
        return ok("wp-content/db.php is the SQLite plugin's")
    effect = (
        "PHP may read from a replica that is behind, and miss new actions or see old ones;"
        " wpbridge reads from the writer"
    )
    if match := _HYPERDB.search(drop_in):
        return note(f"wp-content/db.php is {match[0].decode()}", effect)
    if names:
        return note(f"wp-config.php names replicas: {some(sorted(names))}", effect)
    if drop_in:
        cause = "wp-content/db.php replaces WordPress's database class"
        return note(cause, "it may send queries to another server than DB_HOST")
    return ok("WordPress uses one database server")


def object_cache(examined: ExaminedSite) -> Finding:
    """Does PHP see options that are changed in the database?"""
    if not examined.drop_in("object-cache.php"):
        return ok("no persistent object cache")
    return note(
        "wp-content/object-cache.php: options and transients are served from a cache",
        "an option changed by SQL alone is not seen; the tables of the queue are not cached",
        fix="wp cache flush",
    )


def companion_plugin(examined: ExaminedSite) -> list[Finding]:
    """Does the companion plugin tell PHP's runners which hooks are ours?"""
    folder = examined.site.mu_plugins
    if folder is None:
        return [ok("no folder of must-use plugins to look into")]
    if examined.handlers_fault:
        return [ok("not compared with the settings, whose handlers cannot be loaded")]
    wanted = companion.owned(examined.settings, examined.handlers)
    found = companion.read(folder)
    command = companion.command_for(examined.settings, examined.site.folder)
    told = companion.explain(
        found, examined.store.names.prefix, wanted, command=command, left_out=examined.left_out
    )
    is_there = companion.is_of(found, examined.store.names.prefix)
    runs_hooks = bool(examined.handlers or examined.left_out)
    say = warning if examined.settings.owns_site or (runs_hooks and not is_there) else note
    effect = (
        "PHP's runners, or people in wp-admin, do other than the settings say"
        if is_there or not runs_hooks
        else "PHP's runners claim due actions of the hooks that handlers and webhooks run here, and"
        " fail them where WordPress has no callback"
    )
    findings = [say(one, effect, fix=command) for one in told]
    if reason := unrun(examined.settings, examined.site, examined.store.names.prefix):
        out = ways_out(examined.settings, examined.site)
        findings.insert(0, warning(reason, f"PHP's actions wait until you {out}"))
    if blocked := entrance.blocked(examined.settings):
        findings.append(warning(blocked, "nobody sees the dashboard on the site's own address"))
    return findings or [ok("the companion plugin is there")]


def php(examined: ExaminedSite) -> list[Finding]:
    """Does WordPress start, and does it belong to this queue?"""
    if not examined.settings.php:
        return [ok("php is off")]
    seen = examined.php
    if isinstance(seen, WpbridgeError):
        return [problem(str(seen), "no action is run in PHP", fix="wpbridge check --php")]
    hello = seen.hello
    prefix, bookkeeping = examined.store.names.prefix, examined.settings.php_books
    refused = refusal(hello, prefix=prefix, bookkeeping=bookkeeping)
    if refused:
        return [problem(refused, "no action is run in PHP")]
    told = [
        note(one, "actions run, but not everything is as on other sites") for one in notes(hello)
    ]
    plugin = hello.action_scheduler or "none"
    return told or [ok(f"PHP {hello.php}, WordPress {hello.wordpress}, Action Scheduler {plugin}")]


def php_callbacks(examined: ExaminedSite) -> Finding:
    """Are the hooks that PHP would run registered there?"""
    if not examined.settings.php:
        return ok("php is off")
    seen = examined.php
    if isinstance(seen, WpbridgeError):
        return ok("WordPress was not asked: it does not start")
    if examined.not_loaded:
        return ok(f"not compared; {examined.not_loaded}")
    missing = [
        hook
        for hook, is_known in sorted(seen.callbacks.items())
        if not is_known and examined.routes.may_accept(hook) and hook not in examined.handlers
    ]
    if not missing:
        return ok("every due hook that PHP runs has a callback")
    deed = "fail" if examined.settings.missing_callback == "fail" else "are held back"
    return warning(
        f"no callback in PHP: {some(missing)}",
        f"their actions {deed}; the plugin that registers them may be inactive",
        fix="wp plugin list --status=inactive",
        count=len(missing),
    )


def php_clock(examined: ExaminedSite) -> Finding:
    """Do PHP and this host agree on the time?"""
    if not examined.settings.php:
        return ok("php is off")
    try:
        skew = skew_seconds(examined.launch, examined.clock)
    except (WpbridgeError, ValueError, IndexError):
        return ok("PHP tells no time by itself")
    effect = "actions start early or late, and claims look stale to the other side"
    return clock_finding("PHP's clock", skew, effect)


CHECKS: Final = (
    Check(name="handlers", look=handlers, needs="nothing"),
    Check(name="time-zone", look=time_zone, needs="server"),
    Check(name="migration", look=migration, needs="server"),
    Check(name="async-lock", look=async_lock, needs="server"),
    Check(name="wp-cron", look=wp_cron),
    Check(name="replicas", look=replicas, needs="nothing"),
    Check(name="object-cache", look=object_cache, needs="nothing"),
    Check(name="companion", look=companion_plugin, needs="nothing"),
    Check(name="php", look=php),
    Check(name="php-clock", look=php_clock),
    Check(name="php-callbacks", look=php_callbacks),
)
