"""Check the server, and our session with it."""

from datetime import timedelta
from typing import Final

from wpbridge.doctor.examination import Check
from wpbridge.doctor.examined_site import ExaminedSite
from wpbridge.doctor.findings import Finding, note, ok, problem, some, span, warning
from wpbridge.errors import SchemaError, StoreError, StoreUnavailable
from wpbridge.store.database.dialect import FORGETFUL, WORDPRESS_REMOVES

SKEW_SECONDS: Final = 5
"""Clocks agree when they differ by no more than this."""
GREAT_SKEW_SECONDS: Final = 60
_ISOLATION: Final = ("transaction_isolation", "tx_isolation")
_FOREIGN_MODES: Final = ("ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "PIPES_AS_CONCAT")


def database(examined: ExaminedSite) -> Finding:
    """Does the database answer?"""
    where = examined.site.database.safe
    try:
        server = examined.info.server
    except SchemaError:
        return ok(f"{where} answers")
    except StoreUnavailable as error:
        return problem(f"{where}: {error}", "nothing can be claimed, and nothing else be checked")
    except StoreError as error:
        return problem(f"{where}: {error}", "wpbridge's account lacks rights to read what it needs")
    if not examined.server.is_file and not examined.info.skip_locked:
        return note(
            f"{server} at {where} knows no SKIP LOCKED",
            "runners that claim at the same moment wait for each other",
        )
    return ok(f"{server} at {where}; the driver is {examined.info.driver}")


def read_only(examined: ExaminedSite) -> Finding:
    """Does the server accept writes?"""
    names = ("read_only", "super_read_only", "innodb_read_only")
    told = examined.server.variables(*names, scope="GLOBAL")
    found = [name for name, value in told.items() if value.upper() not in {"0", "OFF"}]
    if not found:
        return ok("the server takes writes")
    return problem(
        f"the server is read-only ({', '.join(found)}): it is probably a replica",
        "nothing can be claimed, and reads may be out of date; give the writer's address",
    )


def durability(examined: ExaminedSite) -> Finding:
    """Does the server keep what it has committed?"""
    name = "innodb_flush_log_at_trx_commit"
    told = examined.server.variables(name, scope="GLOBAL").get(name, "1")
    forgets = FORGETFUL.get(int(told)) if told.isdigit() else None
    if forgets is None:
        return ok("the server keeps what it has committed")
    once = sorted(hook for hook, one in examined.handlers.items() if one.at_most_once)
    effect = "actions that ended in that time run again"
    if examined.not_loaded:
        effect += f", at most once is not kept either; {examined.not_loaded}"
    if once:
        effect += f", and these may run more than once although they must not: {some(once)}"
    return warning(f"{name} is {told}: {forgets}", effect, fix=f"SET GLOBAL {name} = 1")


def isolation(examined: ExaminedSite) -> Finding:
    """Do transactions see what they should, and no more?"""
    told = examined.server.variables(*_ISOLATION)
    level = next(iter(told.values()), "").upper().replace(" ", "-")
    if level == "SERIALIZABLE":
        return warning("the isolation level is SERIALIZABLE", "every read locks: runners wait")
    if level == "READ-UNCOMMITTED":
        return warning(
            "the isolation level is READ-UNCOMMITTED",
            "wpbridge sees rows that may be rolled back, and runs actions that never existed",
        )
    return ok(f"the isolation level is {level}" if level else "SQLite has one writer at a time")


def autocommit(examined: ExaminedSite) -> Finding:
    """Is a write committed at once?"""
    for of, whose in (("SESSION", "our session"), ("GLOBAL", "every new session, PHP's too")):
        told = examined.server.variables("autocommit", scope=of)
        if told.get("autocommit", "ON").upper() in {"0", "OFF"}:
            return problem(
                f"autocommit is off for {whose}",
                "other runners do not see what a session writes, and it is lost at the end",
            )
    return ok("autocommit is on")


def sql_mode(examined: ExaminedSite) -> Finding:
    """Have sessions the SQL mode that WordPress sets?"""
    told = examined.server.variables("sql_mode").get("sql_mode", "")
    modes = [mode for mode in told.split(",") if mode]
    strict = sorted(WORDPRESS_REMOVES.intersection(modes))
    if strict:
        return problem(
            f"the session has {', '.join(strict)} although wpbridge removed them: likely a proxy",
            "inserts and zero dates are refused",
        )
    foreign = [mode for mode in modes if mode in _FOREIGN_MODES]
    if foreign:
        return note(
            f"the server's sql_mode has {', '.join(foreign)}, which WordPress does not take out",
            "plugins that write texts in double quotes, || or \\ into their SQL fail",
        )
    return ok(f"sql_mode: {', '.join(modes) or 'none'}")


def clock(examined: ExaminedSite) -> Finding:
    """Do the database and this host agree on the time?"""
    before = examined.clock.now()
    told = examined.server.now()
    if told is None:
        return ok("there is no other clock than this host's")
    # The answer has whole seconds, and the question took a while.
    least = (told - examined.clock.now()).total_seconds()
    most = (told + timedelta(seconds=1) - before).total_seconds()
    skew = least if least > 0 else min(most, 0.0)
    return clock_finding("the database's clock", skew, "beats of runners are dated by it")


def clock_finding(whose: str, seconds: float, effect: str) -> Finding:
    """Judge a clock that is so many seconds ahead of ours."""
    size = abs(seconds)
    if size < SKEW_SECONDS:
        return ok(f"{whose} agrees with this host's")
    cause = f"{whose} is {span(size)} {'ahead of' if seconds > 0 else 'behind'} this host's"
    say = problem if size >= GREAT_SKEW_SECONDS else warning
    return say(cause, effect, fix="timedatectl set-ntp true")


def sqlite(examined: ExaminedSite) -> Finding:
    """Does SQLite keep its file so that readers and writers do not block each other?"""
    mode = examined.server.journal_mode()
    if not mode:
        return ok("the database is no SQLite file")
    file = examined.site.database.path
    driver = "the SQLite plugin of this WordPress" if examined.site.folder else "wpbridge alone"
    if mode in {"wal", "memory"}:
        return ok(f"SQLite in {mode} mode, written by {driver}")
    return note(
        f"SQLite's journal mode is {mode}, and not wal; it is written by {driver}",
        "readers wait for writers, and writers for readers",
        fix=f"sqlite3 '{file}' 'PRAGMA journal_mode=WAL'",
    )


CHECKS: Final = (
    Check(name="database", look=database, needs="nothing"),
    Check(name="read-only", look=read_only, needs="server"),
    Check(name="durability", look=durability, needs="server"),
    Check(name="isolation", look=isolation, needs="server"),
    Check(name="autocommit", look=autocommit, needs="server"),
    Check(name="sql-mode", look=sql_mode, needs="server"),
    Check(name="clock", look=clock, needs="server"),
    Check(name="sqlite", look=sqlite, needs="server"),
)
