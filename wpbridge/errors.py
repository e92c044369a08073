"""Every error that wpbridge raises on purpose.

    WpbridgeError
    ├── ConfigError            settings that cannot be used
    │   └── NotObeyed          a file that others may write, so that it is not obeyed
    ├── InputError             a value from the caller that cannot be used
    ├── ActionNotFound         no action has this id
    ├── SiteError              a WordPress that cannot be read
    │   └── SchemaError        its tables are missing, foreign or too new
    ├── CodecError             a text that cannot be decoded (offset)
    ├── CronError              an expression the plugin refuses, or that never matches
    ├── StoreError             the database refused a statement
    │   ├── Unfit              a value does not fit into its column
    │   ├── StoreUnavailable   the database does not answer
    │   │   └── ReadOnly       the database answers, but takes no writes
    │   ├── StoreMissing       there is no such database file
    │   ├── Contention         the locks were not free in time
    │   ├── TookTooLong        a question was given up, since its time was over
    │   └── RunnerGone         this runner's row is not as the runner left it
    ├── BrokerUnavailable      the message broker does not answer
    └── ExecutionError         an action could not be run
        ├── HandlerNotFound
        ├── TimedOut
        ├── WorkerLost
        └── WpCliError         (exit code, stderr tail)

The docstring of a class is its default message. ``Retry``, ``Snooze`` and ``Cancel`` are no errors
but requests that handlers raise. They stand in :mod:`wpbridge.outcome`.
"""

from collections.abc import Sequence


class WpbridgeError(Exception):
    """wpbridge could not do what was asked."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class ConfigError(WpbridgeError):
    """The settings cannot be used; run `wpbridge check` to see what is read from where."""

    def __init__(self, message: str | None = None, *, faults: Sequence[str] = ()) -> None:
        """Take one message, or several faults, which become one line each."""
        lines = [" ".join(fault.split()) for fault in faults]
        super().__init__(message or "\n".join(lines))
        self.faults = tuple(lines) or (str(self),)


class NotObeyed(ConfigError):
    """Others may write this file, so what it says is not done."""


class InputError(WpbridgeError):
    """What was given cannot be used."""


class ActionNotFound(WpbridgeError):
    """There is no action with this id."""


class SiteError(WpbridgeError):
    """The WordPress site cannot be read; name its folder with --path or give --dsn."""


class SchemaError(SiteError):
    """The Action Scheduler tables are not usable; check --table-prefix and the plugin's version."""


class CodecError(WpbridgeError):
    """The text cannot be decoded."""

    def __init__(self, message: str | None = None, *, offset: int | None = None) -> None:
        """Take the message, and as ``offset`` the byte (not character) where reading stopped."""
        super().__init__(message)
        self.offset = offset

    def __str__(self) -> str:
        text = super().__str__()
        return text if self.offset is None else f"{text} (at byte {self.offset})"


class CronError(WpbridgeError):
    """The cron expression is refused or never matches."""


class StoreError(WpbridgeError):
    """The database refused a statement."""


class Unfit(StoreError):
    """A value does not fit into its column."""


class StoreUnavailable(StoreError):
    """The database does not answer; check that the server runs and the address is right."""


class ReadOnly(StoreUnavailable):
    """The database takes no writes; name the server that does, or wait until it does."""


class StoreMissing(StoreError):
    """There is no such database file; `wpbridge init` makes one."""


class Contention(StoreError):
    """Other runners hold the rows; try again later."""


class TookTooLong(StoreError):
    """The database took too long to answer; ask for less."""


class RunnerGone(StoreError):
    """Others took this runner for dead, or the server forgot its commits; it begins anew."""


class BrokerUnavailable(WpbridgeError):
    """The message broker does not answer; check that it runs and that its address is right."""


class ExecutionError(WpbridgeError):
    """The action could not be run."""


class HandlerNotFound(ExecutionError):
    """No handler is registered for the hook."""


class TimedOut(ExecutionError):
    """The action ran longer than its limit."""


class WorkerLost(ExecutionError):
    """The process that ran the action is gone."""


class WpCliError(ExecutionError):
    """WP-CLI failed."""

    def __init__(self, message: str | None = None, *, exit_code: int = 1, stderr: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.stderr = stderr
