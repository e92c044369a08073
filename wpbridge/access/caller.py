"""A caller of the HTTP gateway, and what it may do. Nothing is allowed that is not named."""

from wpbridge.access.hosts import plain_host
from wpbridge.access.tickets import Ticket
from wpbridge.codec.callback_urls import allows_host
from wpbridge.dataclass import dataclass
from wpbridge.errors import WpbridgeError
from wpbridge.patterns import matches
from wpbridge.site.rules import Rate, Right


class NotKnown(WpbridgeError):
    """Nobody is known by what the request says of its caller: 401.

    The message does not tell whether a name exists.
    """


class TooMany(WpbridgeError):
    """The caller has asked too often: 429."""

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody who is known, with all that the gateway may do for them."""

    name: str
    """For logs and the audit table: ``key:shop``, ``user:anna``, ``job:UUID``, ``ticket:ID``."""
    key_name: str
    """Under which jobs are added: the name of the API key, ``user:7`` or ``ticket:``. Empty for a
    token that only reads. The name of an API key has no colon."""
    rights: frozenset[Right]
    hooks: tuple[str, ...] = ()
    """Patterns of the hooks that it may enqueue."""
    groups: tuple[str, ...] = ()
    """Patterns of the groups that it may enqueue to. Actions without a group need none."""
    rate: Rate | None = None
    """How many requests it may make; None for any number."""
    callback_hosts: tuple[str, ...] = ()
    """Patterns of the hosts that its callbacks may go to."""
    only_job: str | None = None
    """The only job that it may see, for a token of one job."""
    ticket: Ticket | None = None
    """The only action that it may enqueue, for a ticket."""

    def may(self, right: Right) -> bool:
        """Tell whether it has a right. No right includes another."""
        return right in self.rights

    def may_enqueue(self, hook: str, group: str) -> bool:
        """Tell whether it may enqueue actions of a hook to a group; empty for none.

        For a ticket, the args must fit too: :meth:`Ticket.fits`.
        """
        if not self.may("enqueue"):
            return False
        if self.ticket is not None:
            return (hook, group) == (self.ticket.hook, self.ticket.group)
        return any(matches(one, hook) for one in self.hooks) and (
            not group or any(matches(one, group) for one in self.groups)
        )

    def may_see(self, key_name: str, job: str = "") -> bool:
        """Tell whether it may see a job of this id, which was added under this name.

        Whoever may operate and read sees the jobs of all.
        """
        if not self.may("read"):
            return False
        if self.only_job is not None:
            return self.only_job == job
        return self.may("operate") or (bool(key_name) and key_name == self.key_name)

    def allows_callback(self, host: str) -> bool:
        """Tell whether callbacks may go to a host: a name or an address, without a port.

        Whether a whole URL is allowed is another question: :mod:`wpbridge.codec.callback_urls`.
        """
        plain = plain_host(host)
        return plain is not None and allows_host(self.callback_hosts, plain)
