"""Open the broker of the settings. What that needs is loaded then, and not before."""

from typing import TYPE_CHECKING

from wpbridge.errors import ConfigError
from wpbridge.site.config import Settings

if TYPE_CHECKING:
    from wpbridge.executors.celery.broker import Broker


def broker_url(settings: Settings) -> str:
    """Return the address of the site's broker. Raises ConfigError when the settings name none."""
    if settings.celery_broker is None:
        raise ConfigError(
            "there is no message broker: set [celery] broker, or WPBRIDGE_CELERY_BROKER"
        )
    return settings.celery_broker


def open_broker(
    settings: Settings, *, connect_seconds: float = 5.0, confirm_seconds: float = 30.0
) -> "Broker":
    """Return the broker of the settings, not connected yet.

    Args:
        settings: those of the site.
        connect_seconds: how long it may take to connect.
        confirm_seconds: how long it may take to confirm a batch of messages.

    Raises:
        ConfigError: the settings name no broker, or what speaks with one is not installed.
    """
    url = broker_url(settings)
    try:
        from wpbridge.executors.celery.broker import Broker  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            f"the hand-over to Celery needs {error.name}: pip install 'wpbridge[celery]'"
        ) from None
    return Broker(
        url,
        settings.celery_transport_options,
        connect_seconds=connect_seconds,
        confirm_seconds=confirm_seconds,
    )
