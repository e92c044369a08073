"""One connection to a message broker, on which messages are published and confirmed.

RabbitMQ confirms asynchronously: a batch is sent as a whole, and then its confirmations are
awaited. For Redis, kombu sends a batch in one pipeline, whose answer confirms it. SQS answers each
message. A connection belongs to one thread.
"""

import contextlib
import functools
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil
from typing import Any, Final, NamedTuple

import kombu
import kombu.exceptions

from wpbridge.dataclass import dataclass
from wpbridge.errors import BrokerUnavailable, ConfigError
from wpbridge.executors.celery.messages import Message
from wpbridge.outcome import class_name, plain
from wpbridge.site.celery_kinds import safe_broker

MOST_URGENT: Final = 9
BATCH: Final = 500
"""So many messages are sent before their confirmations are awaited."""
_NOT_FOUND: Final = "404"
_MOST_RESTORED: Final = 1_000_000
_MADE_BEFORE_FORKS: Final[list[object]] = []
"""Connections of parent processes, which are kept here so that nothing closes them."""


def is_amqp(url: str) -> bool:
    """Return whether the broker speaks AMQP."""
    return url.startswith("amqp")


def is_redis(url: str) -> bool:
    """Return whether the broker is a Redis."""
    return url.startswith("redis")


def _bounds(
    url: str, given: Mapping[str, Any], connect_seconds: float, confirm_seconds: float
) -> dict[str, Any]:
    """Return the options of a transport that bound each wait for a broker that is stuck.

    Without them a host that answers no more, and does not even refuse, would be waited for for
    ever.
    """
    if is_amqp(url):
        # These are whole seconds, since the library gives them to the socket as they are.
        seconds = ceil(confirm_seconds)
        return {"read_timeout": seconds, "write_timeout": seconds}
    if is_redis(url):
        return {"socket_connect_timeout": connect_seconds, "socket_timeout": confirm_seconds}
    own = {
        "connect_timeout": connect_seconds,
        "read_timeout": confirm_seconds,
        "retries": {"max_attempts": 1},
    }
    return {"client-config": own | dict(given.get("client-config") or {})}


@functools.cache
def _redis_without_retries() -> type[Any]:
    """Return kombu's transport for Redis without retries of its own.

    They would wait for a Redis that is stuck many times as long, and send a batch anew of which
    everything may have arrived.
    """
    from kombu.transport import redis  # noqa: PLC0415 - its client may not be installed

    retry, backoff = redis.redis.retry, redis.redis.backoff

    class Channel(redis.Channel):  # type: ignore[misc]
        # Kombu sends no batch in one pipeline where there is a rule for retries: it does not look
        # that this one never tries again.
        supports_batch_publish = True

        def _connparams(self, *args: Any, **more: Any) -> dict[str, Any]:
            return {
                **super()._connparams(*args, **more),
                "retry": retry.Retry(backoff.NoBackoff(), 0),
            }

    class Transport(redis.Transport):  # type: ignore[misc]
        pass

    Transport.Channel = Channel
    return Transport


def queue_named(name: str, url: str) -> kombu.Queue:
    """Return a queue as the relay and Celery's workers declare it: the same, whoever is first."""
    # A queue of RabbitMQ that was declared without priorities can never get them.
    arguments = {"x-max-priority": MOST_URGENT} if is_amqp(url) else None
    exchange = kombu.Exchange(name, type="direct", durable=True)
    return kombu.Queue(name, exchange, routing_key=name, durable=True, queue_arguments=arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Durability:
    """What a Redis says of how it keeps messages; None where it may not be asked."""

    appendonly: str | None = None
    """``no``: messages are lost when it is killed."""
    maxmemory_policy: str | None = None
    """``noeviction``: a full Redis refuses messages. With others it may forget some."""


class Broker:
    """A connection, made when it is first needed and again after each failure."""

    def __init__(
        self,
        url: str,
        transport_options: Mapping[str, Any],
        *,
        connect_seconds: float,
        confirm_seconds: float,
    ) -> None:
        """See :func:`wpbridge.executors.celery.opening.open_broker`."""
        self._url = url
        bounds = _bounds(url, transport_options, connect_seconds, confirm_seconds)
        self._options = {**transport_options, **bounds}
        self._connect_seconds = connect_seconds
        self._confirm_seconds = confirm_seconds
        self._connection: kombu.Connection | None = None
        self._pid = 0
        """The process that has made the connection."""
        self._declared: set[str] = set()
        self._confirms: _Confirms | None = None
        self._producer: Any = None

    @property
    def address(self) -> str:
        """Return the broker's address without its password."""
        return safe_broker(self._url)

    def check(self) -> None:
        """Connect. Raises BrokerUnavailable when the broker does not answer."""
        with self._telling():
            self._open()

    def durability(self) -> Durability | None:
        """Return how a Redis keeps messages; None for other brokers, which keep what they confirm.

        Raises BrokerUnavailable.
        """
        if not is_redis(self._url):
            return None
        with self._telling():
            return Durability(
                appendonly=self._redis_option("appendonly"),
                maxmemory_policy=self._redis_option("maxmemory-policy"),
            )

    def _redis_option(self, name: str) -> str | None:
        connection = self._open()
        with connection.channel() as channel:
            try:
                told = channel.client.config_get(name)
            except connection.channel_errors:
                # An account without this right, or a service that has no such command.
                return None
        return str(told[name]) if name in told else None

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish messages, and return when the broker has confirmed them all.

        Raises BrokerUnavailable when it has not; then any of them may have arrived.
        """
        with self._telling():
            self._open()
            for name in {one.queue for one in messages} - self._declared:
                self._declare(name)
            for start in range(0, len(messages), BATCH):
                self._publish(messages[start : start + BATCH])

    def depth(self, queue: str) -> int:
        """Return how many messages wait in a queue and no worker has. Raises BrokerUnavailable."""
        with self._telling():
            connection = self._open()
            with connection.channel() as channel:
                try:
                    return int(channel.queue_declare(queue, passive=True).message_count)
                except connection.channel_errors as error:
                    if str(getattr(error, "reply_code", "")) == _NOT_FOUND:
                        return 0
                    raise

    def take(self, queue: str, most: int) -> "list[TakenMessage]":
        """Take up to so many messages out of a queue.

        What is not acknowledged goes back when the connection is closed. What a worker has taken
        that died since comes back after the visibility timeout. Raises BrokerUnavailable.
        """
        with self._telling():
            self._open()
            if queue not in self._declared:
                self._declare(queue)
                if is_redis(self._url):
                    # Elsewhere the broker does it. Here the workers do, and perhaps none is left.
                    # Once, so that what is only looked at here does not come again and again.
                    self._producer.channel.qos.restore_visible(num=_MOST_RESTORED, interval=1)
            found: list[TakenMessage] = []
            own = queue_named(queue, self._url)(self._producer.channel)
            while len(found) < most and (message := own.get(no_ack=False)) is not None:
                found.append(TakenMessage(*_told(message), message.ack))
            return found

    def forgets(self) -> str:
        """Say why the broker may forget its messages when it stops; empty when it does not.

        Raises BrokerUnavailable.
        """
        told = self.durability()
        if told is None or told.appendonly == "yes":
            return ""
        if told.appendonly is None:
            return "it does not say whether appendonly is on"
        return "appendonly is off"

    def close(self) -> None:
        """Close the connection."""
        self._leave_to_parent()
        connection, self._connection = self._connection, None
        self._declared.clear()
        self._confirms = self._producer = None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.release()

    def _break_off(self) -> None:
        """Close the connection after an error. A broker that is stuck is not told."""
        self._leave_to_parent()
        connection = self._connection
        if connection is not None and connection.connected and is_amqp(self._url):
            with contextlib.suppress(Exception):
                connection.connection.collect()
        self.close()

    def _leave_to_parent(self) -> None:
        """Forget a connection that was made before a fork, and do not close it.

        Two processes on one connection would take each other's confirmations.
        """
        if self._connection is not None and self._pid != os.getpid():
            # The library would close it for both processes when nobody holds it.
            _MADE_BEFORE_FORKS.append((self._connection, self._producer, self._confirms))
            self._connection = self._producer = self._confirms = None
            self._declared.clear()

    def _open(self) -> kombu.Connection:
        self._leave_to_parent()
        if self._connection is not None:
            return self._connection
        self._pid = os.getpid()
        connection = self._connection = kombu.Connection(
            self._url,
            transport=_redis_without_retries() if is_redis(self._url) else None,
            connect_timeout=self._connect_seconds,
            transport_options=self._options,
        )
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=self._connect_seconds)
        channel = connection.channel()
        self._producer = kombu.Producer(channel)
        if is_amqp(self._url):
            self._confirms = _Confirms(connection, channel, self._confirm_seconds)
        return connection

    def _declare(self, name: str) -> None:
        queue_named(name, self._url)(self._producer.channel).declare()
        self._declared.add(name)

    def _publish(self, messages: Sequence[Message]) -> None:
        if self._confirms is not None:
            self._confirms.begin()
        with self._batch():
            for one in messages:
                self._producer.publish(
                    one.body,
                    exchange="",
                    routing_key=one.queue,
                    content_type="application/json",
                    content_encoding="utf-8",
                    delivery_mode=2,
                    headers=dict(one.headers),
                    priority=self._priority(one.priority),
                    retry=False,
                    mandatory=self._confirms is not None,
                    **one.properties,
                )
        if self._confirms is not None:
            self._confirms.wait(len(messages))

    def _batch(self) -> contextlib.AbstractContextManager[Any]:
        """Return what sends a batch as one; for RabbitMQ each message is sent at once."""
        return contextlib.nullcontext() if self._confirms else self._producer.batch()

    def _priority(self, told: int | None) -> int | None:
        # Redis counts the other way: its 0 is the most urgent.
        is_reversed = is_redis(self._url)
        if told is None:
            return MOST_URGENT if is_reversed else 0
        return MOST_URGENT - told if is_reversed else told

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Close the connection after any error, which is raised as BrokerUnavailable."""
        try:
            yield
        except ImportError as error:
            self._break_off()
            raise ConfigError(
                f"this broker needs {error.name or error}: pip install 'wpbridge[celery-sqs]'"
            ) from None
        except Exception as error:
            self._break_off()
            told = plain(error, most=200) or class_name(error)
            raise BrokerUnavailable(f"the broker does not answer: {told}") from error


class TakenMessage(NamedTuple):
    """A message that was taken out of a queue, and is not acknowledged yet."""

    task: str
    """The name of its task; empty for what is no task in JSON."""
    args: Any
    ack: Callable[[], None]


def _told(message: Any) -> tuple[str, Any]:
    if message.content_type != "application/json":
        return "", None
    try:
        body = json.loads(message.body)
        return str((message.headers or {}).get("task") or ""), body[0]
    except (ValueError, LookupError, TypeError, RecursionError):
        return "", None


class _Confirms:
    """The confirmations of one channel of RabbitMQ."""

    def __init__(self, connection: kombu.Connection, channel: Any, seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds
        self._fault = ""
        channel.confirm_select()
        channel.events["basic_ack"].add(self._ack)
        channel.events["basic_nack"].add(self._nack)
        channel.events["basic_return"].add(self._returned)
        self._last = 0
        """The highest delivery tag that was acknowledged together with all before it."""
        self._single: set[int] = set()
        """Higher tags that were acknowledged alone."""
        self._sent = 0

    def begin(self) -> None:
        """Begin a batch."""
        self._fault = ""

    def wait(self, messages: int) -> None:
        """Wait until the messages just sent are confirmed. Raises OSError when they are not."""
        self._sent += messages
        deadline = time.monotonic() + self._seconds
        while self._last < self._sent and not self._fault:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no confirmation within {self._seconds:g} s")
            self._connection.drain_events(timeout=left)
        if self._fault:
            raise ConnectionError(self._fault)

    def _ack(self, tag: int, multiple: bool) -> None:  # noqa: FBT001 - as the library calls it
        if multiple:
            self._last = max(self._last, tag)
            self._single = {one for one in self._single if one > self._last}
        else:
            self._single.add(tag)
        while self._last + 1 in self._single:
            self._last += 1
            self._single.discard(self._last)

    def _nack(self, tag: int, multiple: bool) -> None:  # noqa: FBT001
        del tag, multiple
        self._fault = "it has refused a message"

    def _returned(self, error: Exception, *_: Any) -> None:
        self._fault = f"it could not route a message: {error}"
