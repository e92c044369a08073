"""Show which settings count, and where each one comes from, without any secret."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from wpbridge.site.bounds import Bounds
from wpbridge.site.celery_kinds import safe_broker
from wpbridge.site.config import SETTINGS, Settings, sources_of
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.resolve import Site
from wpbridge.site.rules import Webhook
from wpbridge.site.wpconfig import TABLE_PREFIX

MASK: Final = "********"
_WITHOUT_SECRETS: Final = frozenset({"dsn", "celery_broker", "webhooks"})
"""Settings that are shown without what is secret in them."""


def shown_settings(settings: Settings, site: Site) -> dict[str, dict[str, Any]]:
    """Return each setting's value, as JSON has it, and its source, by name.

    What is secret is masked. What wp-config.php sets has its place there.
    """
    sources = sources_of(settings)
    told = {
        field.name: {
            "value": _plain(getattr(settings, field.name)),
            "source": sources.get(field.name, "default"),
        }
        for field in fields(settings)
        if field.name in sources
    }
    for name, setting in SETTINGS.items():
        if setting.is_secret and name not in _WITHOUT_SECRETS and told[name]["value"]:
            told[name]["value"] = MASK
    if settings.dsn is not None:
        told["dsn"]["value"] = DatabaseAddress.from_dsn(settings.dsn).safe
    if settings.celery_broker is not None:
        told["celery_broker"]["value"] = safe_broker(settings.celery_broker)
    if settings.path is None and site.folder is not None:
        told["path"] = {"value": str(site.folder), "source": "the working folder"}
    if settings.table_prefix is None and site.config is not None:
        source = site.config.places.get(TABLE_PREFIX, "default")
        told["table_prefix"] = {"value": site.base_prefix, "source": source}
    return told


def _plain(value: object) -> Any:
    """Return a setting as JSON has it; what may be a secret is masked."""
    if isinstance(value, Webhook):
        parts = urlsplit(value.url)
        place = f"{parts.scheme}://{parts.hostname or ''}/{MASK}"
        return {
            "url": place,
            "secret": MASK if value.secret else None,
            "timeout": value.timeout_seconds,
        }
    if isinstance(value, timedelta | Bounds):
        return value.told if isinstance(value, Bounds) else value.total_seconds()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}  # type: ignore[arg-type]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
