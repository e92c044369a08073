"""Exit codes, named once (sysexits.h where it has one)."""

from enum import IntEnum

from wpbridge.errors import (
    BrokerUnavailable,
    ConfigError,
    Contention,
    InputError,
    SiteError,
    StoreMissing,
    StoreUnavailable,
    WpbridgeError,
    WpCliError,
)


class Exit(IntEnum):
    """The exit codes of all commands."""

    OK = 0
    """Done, or nothing was due."""
    ERROR = 1
    USAGE = 2
    SOME_FAILED = 3
    """Some actions failed; only with --fail-on-error."""
    UNAVAILABLE = 69
    """The database does not answer, or WordPress does not start."""
    TEMPORARY = 75
    """Another runner holds what is needed; try again later."""
    CONFIG = 78
    INTERRUPTED = 130
    TERMINATED = 143


def code_of(error: WpbridgeError) -> Exit:
    """Return the exit code of an error."""
    for kind, code in (
        (StoreUnavailable, Exit.UNAVAILABLE),
        (BrokerUnavailable, Exit.UNAVAILABLE),
        (Contention, Exit.TEMPORARY),
        (InputError, Exit.USAGE),
        (StoreMissing, Exit.CONFIG),
        (ConfigError, Exit.CONFIG),
        (SiteError, Exit.CONFIG),
        (WpCliError, Exit.UNAVAILABLE),
    ):
        if isinstance(error, kind):
            return code
    return Exit.ERROR
