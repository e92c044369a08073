"""A broker's address is shown without its password, also where that is written wrongly."""

from pathlib import Path

import pytest

from wpbridge.errors import ConfigError
from wpbridge.site.celery_kinds import broker_kind, safe_broker
from wpbridge.site.config import load

pytest.importorskip("kombu")
from wpbridge.executors.celery.broker import Broker


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("amqp://shop:s3cret@mq.example:5672/v", "amqp://shop@mq.example:5672/v"),
        ("redis://:s3cret@mq:6379/0", "redis://mq:6379/0"),
        ("redis://s3cret@mq/0", "redis://mq/0"),
        ("rediss://u:s3cret@[::1]:6379/0?password=s3cret", "rediss://u@[::1]:6379/0"),
        ("amqp://u:s3/cret@mq//", "amqp://…"),
        ("amqp://u:s3#cret@mq//", "amqp://…"),
        ("amqp://u:s3?cret@mq//", "amqp://…"),
        ("redis://:s3/cret@mq/0", "redis://…"),
        ("redis://:s3[cret@mq/0", "redis://…"),
        ("redis://mq:s3cret/0", "redis://…"),
        ("sqs://KEY:s3cret@", "sqs://KEY@"),
        ("sqs://", "sqs://"),
    ],
)
def test_no_password_is_shown(address: str, shown: str) -> None:
    assert safe_broker(address) == shown


@pytest.mark.parametrize("part", ["s3/cret", "s3#cret", "s3?cret", "s3[cret"])
def test_a_password_that_must_be_escaped_is_refused_and_not_shown(part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({}, {"WPBRIDGE_CELERY_BROKER": f"redis://:{part}@mq/0"}, Path("/nowhere"))
    told = str(caught.value)
    assert "s3" not in told
    assert "cret" not in told
    assert "%2F" in told
    assert "\n" not in told


def test_what_a_connection_calls_its_broker_has_no_password() -> None:
    broker = Broker("redis://s3cret@mq/0", {}, connect_seconds=1.0, confirm_seconds=1.0)
    assert broker.address == "redis://mq/0"


def test_the_kind_is_the_same_by_tls() -> None:
    addresses = ("amqps://mq", "redis://mq", "rediss://mq", "sqs://", None)
    assert [broker_kind(one) for one in addresses] == ["amqp", "redis", "redis", "sqs", None]
