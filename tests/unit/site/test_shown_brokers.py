"""A broker's address is shown without its password, also where that is written wrongly."""

import pytest

from wpbridge.site.celery_kinds import broker_kind, safe_broker


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
        ("sqs://KEY:s3cret@", "sqs://KEY@"),
        ("sqs://", "sqs://"),
    ],
)
def test_no_password_is_shown(address: str, shown: str) -> None:
    assert safe_broker(address) == shown


def test_the_kind_is_the_same_by_tls() -> None:
    addresses = ("amqps://mq", "redis://mq", "rediss://mq", "sqs://", None)
    assert [broker_kind(one) for one in addresses] == ["amqp", "redis", "redis", "sqs", None]
