"""Check what the HTTP gateway needs, where there are API keys or users may log in.

No check asks the gateway itself: it may serve from another host.
"""

from collections.abc import Iterator
from datetime import timedelta
from importlib.util import find_spec
from typing import Final

from wpbridge.doctor.examination import Check
from wpbridge.doctor.examined_site import ExaminedSite
from wpbridge.doctor.findings import Finding, note, ok, some
from wpbridge.site.web_kinds import Listen

PACKAGES: Final = (
    "starlette",
    "uvicorn",
    "httptools",
    "fastjsonschema",
    "jwt",
    "jinja2",
    "argon2",
    "cron_descriptor",
)
SOON: Final = timedelta(days=7)


def gateway(examined: ExaminedSite) -> list[Finding]:
    """Can the gateway serve, and does nobody read on the way what its clients send?"""
    keys = examined.store.api_keys.all()
    is_used = any(key.revoked_at is None for key in keys) or examined.settings.web_wordpress_login
    found = [*_beyond_this_host(examined), *(_wants(examined) if is_used else ())]
    if found:
        return found
    return [ok("the gateway can serve" if is_used else "nobody may call the gateway yet")]


def _wants(examined: ExaminedSite) -> Iterator[Finding]:
    missing = [name for name in PACKAGES if not _is_there(name)]
    if missing:
        yield note(
            f"the gateway's packages are not in this Python: {some(missing)}",
            "`wpbridge serve` does not start from here",
            fix="pip install 'wpbridge[web]'",
            count=len(missing),
        )
    ending = [
        key.name
        for key in examined.store.api_keys.all()
        if key.revoked_at is None
        and key.expires_at is not None
        and key.expires_at < examined.now + SOON
    ]
    if ending:
        yield note(
            f"API keys that have expired or will within {SOON.days} days: {some(ending)}",
            "the gateway knows nobody by an expired key",
            fix=f"wpbridge keys rotate {ending[0]} --expires 90d",
            count=len(ending),
        )


def _beyond_this_host(examined: ExaminedSite) -> Iterator[Finding]:
    where = Listen.of(examined.settings.web_listen)
    if not where.is_loopback:
        yield note(
            f"the gateway is to listen on {where.told}, which other hosts reach",
            "it speaks plain HTTP, so others can read keys on the way",
            fix="listen on 127.0.0.1 or a Unix socket, behind a proxy with TLS",
        )


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


CHECKS: Final = (Check(name="gateway", look=gateway),)
