"""How often callers may ask, and how often somebody may try a password."""

from datetime import timedelta

import pytest

from clocks import FakeClock
from wpbridge.access.attempts import (
    MOST_OF_ADDRESS,
    MOST_OF_BOTH,
    MOST_OF_USER,
    WINDOW_SECONDS,
    Attempts,
)
from wpbridge.access.caller import Caller, TooMany
from wpbridge.access.rates import Rates
from wpbridge.site.rules import rate_of


def caller(name: str, rate: str | None = None) -> Caller:
    told = None if rate is None else rate_of(rate)
    return Caller(name=name, key_name=name, rights=frozenset(), rate=told)


def refused(rates: Rates, one: Caller, count: int = 1) -> float:
    with pytest.raises(TooMany) as raised:
        rates.take(one, count)
    return raised.value.retry_after_seconds


def test_a_bucket_is_emptied_and_fills_again(clock: FakeClock) -> None:
    rates, shop = Rates(clock), caller("shop", "60/min")
    for _ in range(60):
        rates.take(shop)
    assert refused(rates, shop) == pytest.approx(1.0)
    rates.take(caller("other", "60/min"))
    clock.at += timedelta(seconds=1)
    rates.take(shop)
    assert refused(rates, shop) == pytest.approx(1.0)
    clock.at += timedelta(hours=1)
    for _ in range(60):
        rates.take(shop)
    refused(rates, shop)


def test_a_batch_counts_for_all_that_is_in_it(clock: FakeClock) -> None:
    rates, shop = Rates(clock), caller("shop", "10/s")
    rates.take(shop, 1000)
    assert refused(rates, shop) == pytest.approx(99.1)
    clock.at += timedelta(seconds=99.2)
    rates.take(shop)


def test_without_a_rate_nothing_is_counted(clock: FakeClock) -> None:
    rates = Rates(clock)
    for _ in range(1000):
        rates.take(caller("shop"))


def test_a_clock_that_goes_back_takes_nothing_away(clock: FakeClock) -> None:
    rates, shop = Rates(clock), caller("shop", "2/s")
    rates.take(shop)
    clock.at -= timedelta(days=1)
    rates.take(shop)
    refused(rates, shop)


def tried(attempts: Attempts, *users: str, address: str = "10.0.0.1") -> int:
    """How many of these users may fail once more, until one is refused."""
    for count, user in enumerate(users):
        try:
            attempts.check(user, address)
        except TooMany:
            return count
        attempts.failed(user, address)
    return len(users)


def test_failed_logins_are_limited_by_user_and_by_address(clock: FakeClock) -> None:
    attempts = Attempts(clock)
    assert tried(attempts, *["anna"] * 100) == MOST_OF_BOTH
    assert tried(attempts, "Anna") == 0, "another letter case is no way out"
    assert tried(attempts, "anna", address="10.0.0.2") == 1
    many = [f"user{number}" for number in range(1000)]
    assert tried(attempts, *many) == MOST_OF_ADDRESS - MOST_OF_BOTH
    with pytest.raises(TooMany) as refused:
        attempts.check("ben", "10.0.0.1")
    assert refused.value.retry_after_seconds == WINDOW_SECONDS
    clock.at += timedelta(seconds=WINDOW_SECONDS)
    assert tried(attempts, "anna") == 1


@pytest.mark.parametrize("here", ["127.0.0.1", "::1", "", "unix"])
def test_all_who_come_through_a_proxy_are_not_taken_for_one(here: str, clock: FakeClock) -> None:
    attempts = Attempts(clock)
    many = [f"user{number}" for number in range(1000)]
    assert tried(attempts, *many, address=here) == 1000
    assert tried(attempts, *["anna"] * 100, address=here) == MOST_OF_BOTH


def test_failed_logins_of_one_user_are_limited_from_everywhere(clock: FakeClock) -> None:
    attempts = Attempts(clock)
    for number in range(MOST_OF_USER):
        attempts.failed("anna", f"10.0.0.{number}")
    with pytest.raises(TooMany):
        attempts.check("anna", "192.168.0.1")
    attempts.check("ben", "192.168.0.1")
