"""Decides which of WP-Cron's events a move takes, and which stay where they are."""

from collections import Counter
from dataclasses import field
from pathlib import Path
from typing import Final

from wpbridge.codec.wp_cron import CronOption, Event, Odd
from wpbridge.dataclass import dataclass
from wpbridge.errors import CodecError, InputError
from wpbridge.patterns import matches
from wpbridge.queue.enqueue import GROUP_CHARACTERS, HOOK_CHARACTERS, check_text

GROUP: Final = "wp-cron"
RUN_QUEUE: Final = "action_scheduler_run_queue"
"""What starts Action Scheduler's own runner: as an action it could not start itself."""
CORE: Final = frozenset(
    {
        "delete_expired_transients",
        "do_pings",
        "importer_scheduled_cleanup",
        "publish_future_post",
        "recovery_mode_clean_expired_keys",
        "update_network_counts",
        "upgrader_scheduled_cleanup",
        "wp_delete_temp_updater_backups",
        "wp_https_detection",
        "wp_maybe_auto_update",
        "wp_privacy_delete_old_export_files",
        "wp_scheduled_auto_draft_delete",
        "wp_scheduled_delete",
        "wp_site_health_scheduled_check",
        "wp_split_shared_term_batch",
        "wp_update_comment_type_batch",
        "wp_update_plugins",
        "wp_update_themes",
        "wp_update_user_counts",
        "wp_version_check",
    }
)
"""WordPress's own hooks, which expect to find themselves in WP-Cron."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which events are to be moved."""

    hooks: tuple[str, ...] = ()
    """Patterns with ``*`` and ``?``; none: all."""
    with_core: bool = False
    """Also WordPress's own, where a pattern meets them."""

    def __post_init__(self) -> None:
        if RUN_QUEUE in self.hooks:
            raise InputError(
                f"--hooks {RUN_QUEUE}: it starts Action Scheduler's own runner and stays in WP-Cron"
            )

    def __call__(self, event: Event | Odd) -> bool:
        """Tell whether an event is meant. WordPress's own need their exact name, or the flag."""
        hook = event.name()
        if hook == RUN_QUEUE:
            return False
        if hook in CORE and not self.with_core:
            return hook in self.hooks
        return not self.hooks or any(matches(one, hook) for one in self.hooks)


@dataclass(frozen=True, slots=True)
class Left:
    """An event that stays where it is, and why."""

    event: Event | Odd
    reason: str


@dataclass(kw_only=True)
class Plan:
    """What would be moved."""

    events: list[Event] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    others: int = 0
    """Events that are not meant."""

    def by_hook(self) -> Counter[str]:
        """Count the events of each hook."""
        return Counter(event.name() for event in self.events)


def plan(data: bytes, choice: Choice, group: str = GROUP) -> Plan:
    """Plan what a move takes out of the option's bytes. CodecError when they are damaged."""
    check_text("--group", group, least=1, most=GROUP_CHARACTERS)
    found = Plan()
    for event in CronOption.decode(data).entries():
        if not choice(event):
            found.others += 1
            continue
        if isinstance(event, Odd):
            found.left.append(Left(event, event.reason))
            continue
        try:
            event.check(hook_characters=HOOK_CHARACTERS)
        except CodecError as error:
            found.left.append(Left(event, str(error)))
        else:
            found.events.append(event)
    return found


def plan_of(data: bytes, choice: Choice, group: str, file: str | None) -> Plan:
    """Plan a move before anything is changed.

    Raises:
        InputError: the bytes of ``file`` are no cron option.
        CodecError: the site's option is damaged.
    """
    try:
        return plan(data, choice, group)
    except CodecError as error:
        if file is not None:
            raise InputError(f"--file {file}: not the bytes of a cron option: {error}") from None
        raise CodecError(
            f"the cron option is damaged, and nothing was changed: {error}; look at it with"
            " wpbridge decode, and restore it"
        ) from None


def bytes_of(file: Path) -> bytes:
    """Read a file with the bytes of a cron option; InputError when it cannot be or is empty."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"--file: {file}: {error.strerror}") from None
    if not data.strip():
        raise InputError(f"--file {file}: it is empty")
    return data
