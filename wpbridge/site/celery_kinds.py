"""Kinds of the values below ``[celery]``: the message broker that hands actions to Celery.

A kind is as in :mod:`wpbridge.site.value_kinds`.
"""

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from wpbridge.site.value_kinds import Origin

BROKERS: Final = ("amqp", "amqps", "redis", "rediss", "sqs")
"""The schemes of a broker's address: RabbitMQ, Redis and Amazon SQS, the first two also by TLS."""


def broker(value: object, _origin: Origin) -> str:
    """The address of a broker."""
    told = value.strip() if isinstance(value, str) else ""
    if not re.fullmatch(rf"(?:{'|'.join(BROKERS)})://[!-~]*", told):
        raise ValueError(
            "an address that begins with amqp://, amqps://, redis://, rediss:// or sqs://"
        )
    if not _is_readable(told):
        raise ValueError(
            "an address of which host and port can be told: write / # ? @ [ ] in a password as %2F"
            " %23 %3F %40 %5B %5D"
        )
    return told


def _is_readable(address: str) -> bool:
    """Tell whether nothing of the password stands where other parts of the address begin.

    Whoever reads it otherwise would take some of the password for a port, and say so.
    """
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - it is read when it is asked for
    except ValueError:
        return False
    return "@" not in parts.path + parts.query + parts.fragment


def broker_kind(address: str | None) -> str | None:
    """Return ``amqp``, ``redis`` or ``sqs`` for a broker's address, whether by TLS or not."""
    if address is None:
        return None
    scheme = address.partition("://")[0]
    return {"amqps": "amqp", "rediss": "redis"}.get(scheme, scheme)


def safe_broker(address: str) -> str:
    """Return a broker's address as people may see it: without password and options."""
    if not _is_readable(address):
        # A character that should be escaped is in the password, so what is the host is not known.
        return f"{address.partition('://')[0]}://…"
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    # A user without a password may be a password that stands in the wrong place.
    shown = f"{name}{at}" if colon and name else ""
    return f"{parts.scheme}://{shown}{host}{parts.path}"


def transport_options(value: object, _origin: Origin) -> Mapping[str, Any]:
    """A table of options that kombu gives to its transport; JSON in a variable."""
    told = value
    if isinstance(value, str):
        try:
            told = json.loads(value)
        except ValueError:
            told = None
    if not isinstance(told, Mapping) or not all(isinstance(name, str) for name in told):
        raise ValueError("a table [celery.transport_options], or JSON of one")
    return MappingProxyType(dict(told))
