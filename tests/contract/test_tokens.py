"""Tokens for browsers: each counts for what it was made for, on its site, and for its time."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from clocks import FakeClock
from rows import change
from tokens_by_hand import encoded, signed
from wpbridge import Queue
from wpbridge.access.caller import Caller, NotKnown
from wpbridge.access.callers import Callers
from wpbridge.access.tokens import MOST_SECONDS
from wpbridge.codec.signing import USES, derived_key
from wpbridge.errors import InputError, SiteError
from wpbridge.store.opened import OpenStore
from wpbridge.store.running.runner_store import RunnerStore

if TYPE_CHECKING:
    from collections.abc import Callable

UUID = "01935c2e-7b1a-7c3e-8f00-1234567890ab"


@pytest.fixture
def callers(store: RunnerStore, clock: FakeClock) -> Callers:
    return Callers(store.parts, clock=clock)


def known(callers: Callers, token: str) -> Caller:
    """By the header and by the address, which count the same."""
    found = callers.identify(f"Bearer {token}", None, "")
    assert callers.identify("Bearer other", token, "") == found
    return found


def is_refused(callers: Callers, token: str) -> bool:
    try:
        callers.identify(None, token, "")
    except NotKnown as error:
        return str(error) == "the token is not valid, or has expired"
    return False


def secret_of(parts: OpenStore) -> bytes:
    [row] = parts.signing.stored()
    assert row.secret is not None
    return row.secret


def test_a_job_token_reads_one_job_and_nothing_else(queue: Queue, callers: Callers) -> None:
    caller = known(callers, queue.job_token(UUID))
    assert (caller.name, caller.only_job) == (f"job:{UUID}", UUID)
    assert caller.rights == {"read"}
    assert caller.may_see("any", UUID)
    assert not caller.may_see("any", UUID.replace("0", "1"))
    assert not caller.may_see("")
    assert not caller.may_enqueue("h", "")


def test_a_ticket_enqueues_one_action_and_nothing_else(queue: Queue, callers: Callers) -> None:
    caller = known(callers, queue.ticket("send_mail", {"order": 17, "to": "é/x"}, group="mail"))
    ticket = caller.ticket
    assert ticket is not None
    assert caller.rights == {"enqueue"}
    assert caller.may_enqueue("send_mail", "mail")
    assert not caller.may_enqueue("send_mail", "")
    assert not caller.may_enqueue("send_mai?", "mail")
    assert not caller.may_see("ticket:")
    assert not caller.allows_callback("example.com")
    assert ticket.fits("send_mail", "mail", {"order": 17, "to": "é/x"})
    for args in (
        {"to": "é/x", "order": 17},  # a callback would get the values in another order
        {"order": "17", "to": "é/x"},
        {"order": 17},
        [17, "é/x"],
        [],
        "x",
        None,
    ):
        assert not ticket.fits("send_mail", "mail", args), args
    assert not ticket.fits("other", "mail", {"order": 17, "to": "é/x"})
    again = known(callers, queue.ticket("send_mail", {"order": 17}))
    assert again.ticket is not None
    assert again.ticket.id != ticket.id


def test_args_are_the_same_where_php_takes_them_for_the_same(
    queue: Queue, callers: Callers
) -> None:
    same: list[tuple[Any, Any]] = [
        ([], {}),
        ({"a": 1.0}, {"a": 1}),
        ({"a": {}}, {"a": []}),
        ({"0": "x"}, ["x"]),
        ((1,), [1]),
    ]
    for minted, sent in same:
        ticket = known(callers, queue.ticket("h", minted)).ticket
        assert ticket is not None
        assert ticket.fits("h", "", sent), minted
        assert not ticket.fits("h", "", [True])


def test_a_token_counts_until_its_second(queue: Queue, callers: Callers, clock: FakeClock) -> None:
    tokens = [queue.job_token(UUID, 60), queue.ticket("h", seconds="1m")]
    start = clock.at
    for seconds, counts in ((-10, True), (-11, False), (59, True), (60, False), (61, False)):
        clock.at = start + timedelta(seconds=seconds)
        assert [is_refused(callers, token) for token in tokens] == [not counts] * 2, seconds


def test_what_is_forged_or_of_another_use_or_site_is_refused(
    store: RunnerStore, queue: Queue, callers: Callers, clock: FakeClock
) -> None:
    now = int(clock.at.timestamp())
    queue.job_token(UUID)
    secret, facts = secret_of(store.parts), store.parts.own.facts
    assert facts is not None
    right = {
        "iss": "wpbridge",
        "aud": facts.site_id,
        "iat": now,
        "exp": now + 600,
        "job": UUID,
    }
    key = derived_key(secret, "job-token")

    def made(*without: str, key: bytes = key, algorithm: str = "HS256", **changed: Any) -> str:
        claims = {name: value for name, value in right.items() if name not in without}
        return signed(claims | changed, key, algorithm)

    assert not is_refused(callers, made())
    assert not is_refused(callers, made(nbf=now))
    head, body, mark = made().split(".")
    other = encoded(json.dumps(right | {"job": UUID[::-1]}).encode())
    bare = encoded(b'{"alg":"none","typ":"JWT"}')
    wrong = {
        "no algorithm": f"{bare}.{body}.",
        "no algorithm, with a signature": f"{bare}.{body}.{mark}",
        "a tampered body": f"{head}.{other}.{mark}",
        "no signature": f"{head}.{body}.",
        "cut": made()[:-2],
        "not three parts": f"{head}.{body}",
        "nothing": "...",
        "binary": "\0",
        "not ASCII": "é",
        "too long": made(more="x" * 9000),
        "no object": signed([right], key, "HS256"),
        "HS384": made(algorithm="HS384"),
        "HS512": made(algorithm="HS512"),
        "another site's secret": made(key=derived_key(b"x" * 32, "job-token")),
        "the secret itself": made(key=secret),
        "another site": made(aud="other"),
        "no site": made("aud"),
        "another issuer": made(iss="other"),
        "no issuer": made("iss"),
        "no end": made("exp"),
        "no beginning": made("iat"),
        "an end that is no number": made(exp="9999999999"),
        "an end that is true": made(exp=True),
        "an end with a fraction": made(exp=now + 0.5),
        "a huge end": made(exp=10**30),
        "too long a life": made(exp=now + MOST_SECONDS + 1),
        "too long a life, begun before": made(iat=now - 600, exp=now + 301),
        "not yet": made(iat=now + 60, exp=now + 120),
        "not yet, by nbf": made(nbf=now + 60),
        "an end before its beginning": made(iat=now + 5, exp=now + 5),
        "no job": made("job"),
        "a job that is none": made(job="x"),
        "a job that is a list": made(job=[UUID]),
        "a ticket's key": made(key=derived_key(secret, "ticket")),
        "an empty hook": made(
            key=derived_key(secret, "ticket"), hook="", group="", args_sha256="", jti="x" * 32
        ),
        "a short id": made(
            key=derived_key(secret, "ticket"), hook="h", group="", args_sha256="", jti="x"
        ),
    }
    wrong |= {
        f"the key of {use}": made(key=derived_key(secret, use))
        for use in USES
        if use != "job-token"
    }
    assert [name for name, token in wrong.items() if not is_refused(callers, token)] == []


def test_tokens_outlive_a_rotation_but_not_the_end_of_their_secret(
    queue: Queue, store: RunnerStore, callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing = store.parts.signing
    monkeypatch.setattr("wpbridge.access.tokens._AGES", (0.0, 0.0))
    old = queue.job_token(UUID)
    signing.rotate(expected=signing.stored()[0].fingerprint)
    new = queue.job_token(UUID)
    assert [is_refused(callers, token) for token in (old, new)] == [False, False]
    signing.rotate(expected=signing.stored()[0].fingerprint, keep_previous=False)
    assert [is_refused(callers, token) for token in (old, new)] == [True, True]


def test_what_no_token_can_be_made_for_is_refused(queue: Queue) -> None:
    wrong: list[Callable[[], str]] = [
        lambda: queue.job_token("x"),
        lambda: queue.job_token(UUID.upper()),
        lambda: queue.job_token(UUID, 901),
        lambda: queue.job_token(UUID, 0),
        lambda: queue.job_token(UUID, "soon"),
        lambda: queue.ticket(""),
        lambda: queue.ticket("h" * 192),
        lambda: queue.ticket("h", group="g" * 256),
        lambda: queue.ticket("h", ["x" * 8000]),
        lambda: queue.ticket("h", "x"),
    ]
    for mint in wrong:
        with pytest.raises(InputError):
            mint()


def test_without_a_secret_no_token_is_made_and_none_counts(
    queue: Queue, store: RunnerStore, callers: Callers
) -> None:
    token = queue.job_token(UUID)
    change(store, "UPDATE wp_wpbridge_secrets SET secret = 'x'")
    store.parts.signing._looked_at = None
    assert is_refused(callers, token)
    with pytest.raises(SiteError, match="wpbridge init"):
        queue.job_token(UUID)
