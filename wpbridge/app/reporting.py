"""Report what a runner does to other services: traces to a collector, failures to Sentry.

Neither is loaded where the settings do not ask for it.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

from wpbridge.errors import ConfigError
from wpbridge.events import Event, Subscriber
from wpbridge.site.config import Settings
from wpbridge.store.opened import OpenStore
from wpbridge.telling import traces
from wpbridge.telling.log import tell

_SENTRY: Final = "pip install 'wpbridge[sentry]'"


def reporters(
    settings: Settings, store: OpenStore, env: Mapping[str, str]
) -> list[tuple[type[Event], Subscriber]]:
    """Return what reports a runner's events to other services. Traces begin with it.

    Raises:
        ConfigError: the settings ask for something whose package is not installed, or the
            environment says something that the package refuses.
    """
    if settings.telemetry_traces:
        traces.start(settings.telemetry_otlp_endpoint)
        store.traces.prepare()
    return [*traces.subscribers(), *_to_sentry(settings, env)]


def lacking(settings: Settings) -> list[str]:
    """Say what the settings ask for and what is not installed. Nothing is loaded for it."""
    found: list[str] = []
    if settings.telemetry_traces and not _is_there("opentelemetry.exporter.otlp.proto.http"):
        found.append(f"traces need OpenTelemetry: install it with `{traces.INSTALL}`")
    if settings.sentry_dsn and not _is_there("sentry_sdk"):
        found.append(f"reports need sentry_sdk: install it with `{_SENTRY}`")
    return found


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ImportError:
        return False


def _to_sentry(settings: Settings, env: Mapping[str, str]) -> list[tuple[type[Event], Subscriber]]:
    """Return what reports to Sentry, if somebody has asked for it.

    If only the environment names a Sentry, it may be meant for handlers alone. So a missing package
    is no error then.
    """
    dsn = settings.sentry_dsn or env.get("SENTRY_DSN")
    if not dsn:
        return []
    try:
        from wpbridge.telling import sentry  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        told = f"reports need {error.name}: install it with `{_SENTRY}`"
        if settings.sentry_dsn:
            raise ConfigError(told) from None
        tell("sentry.missing", reason=f"SENTRY_DSN is set, and {told}")
        return []
    try:
        return sentry.subscribers(
            dsn,
            send_args=settings.sentry_send_args,
            retries=settings.sentry_retries,
            check_ins=settings.sentry_check_ins,
        )
    except ValueError:
        # The message would hold the key.
        raise ConfigError("SENTRY_DSN expects a DSN such as https://KEY@HOST/PROJECT") from None
