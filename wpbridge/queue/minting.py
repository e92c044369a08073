"""Tokens for browsers: docs/reference/http-access.md."""

from wpbridge.queue.connection import QueueConnection
from wpbridge.queue.enqueue import NOTHING, Args, check_group, check_hook


class QueueMinting(QueueConnection):
    """Mint tokens with which a browser may call the HTTP gateway."""

    def job_token(self, uuid: str, seconds: float | str = 600) -> str:
        """Return a token with which one job can be read; it counts for 15 minutes at most.

        Raises:
            InputError: the id is none of a job's, or the time is too long.
            ConfigError: PyJWT is not installed (``wpbridge[web]``).
        """
        from wpbridge.access import tokens  # noqa: PLC0415 - few queues need it

        with self._turn() as parts:
            return tokens.job_token(parts, uuid, seconds=seconds, now=self._now())

    def ticket(
        self, hook: str, args: Args = NOTHING, seconds: float | str = 600, *, group: str = ""
    ) -> str:
        """Return a token with which one action can be enqueued, once.

        Raises:
            InputError: the tables cannot hold such an action, or the time is too long.
            ConfigError: PyJWT is not installed (``wpbridge[web]``).
        """
        from wpbridge.access import tokens  # noqa: PLC0415 - few queues need it

        check_hook(hook)
        check_group(group)
        with self._turn() as parts:
            return tokens.ticket(parts, hook, args, group=group, seconds=seconds, now=self._now())
