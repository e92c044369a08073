"""Find what writes metrics: prometheus-client, which is an extra."""

from importlib import import_module
from types import ModuleType

from wpbridge.errors import ConfigError


def needed() -> ModuleType:
    """Return :mod:`wpbridge.telling.exposition`.

    Raises:
        ConfigError: prometheus-client is not installed.
    """
    try:
        return import_module("wpbridge.telling.exposition")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"metrics need {error.name}: install it with `pip install 'wpbridge[metrics]'`"
        ) from None
