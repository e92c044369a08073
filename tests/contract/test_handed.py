"""What a worker may take over of what a relay has named to it: only what its fence still names."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest

import invariants
from factories import NOW, insert, make_new, pauses_of
from rows import change, column, query
from stores import again
from wpbridge.action import Claim, ClaimId
from wpbridge.clock import to_text
from wpbridge.outcome import Completed
from wpbridge.runner import concluding
from wpbridge.store.base import ClaimAndSettled, ClaimFilter, Ending
from wpbridge.store.records import Pause
from wpbridge.store.running.fences import Handed
from wpbridge.store.running.handed import HandedStore, Inbox
from wpbridge.store.running.runner_store import RunnerStore

ANY = ClaimFilter()


class Worker:
    """A worker of Celery as the store sees it."""

    def __init__(
        self,
        relay: RunnerStore,
        *,
        accepts: Callable[[str, str], bool] = lambda _hook, _group: True,
    ) -> None:
        self.inbox = Inbox()
        self.store = HandedStore(again(relay).parts, self.inbox, accepts=accepts)
        self.store.register(host="worker", boot="b", pid=2, pid_started="2")
        self.refused: list[Handed] = []

    def put(self, *handed: Handed) -> None:
        for one in handed:
            self.inbox.put(one, refused=partial(self.refused.append, one))

    def claim(self, *endings: Ending, finished: tuple[ClaimId, ...] = ()) -> ClaimAndSettled:
        return self.store.claim_and_settle(
            endings,
            finished=finished,
            now=NOW,
            limit=10,
            only=ANY,
            start_plan=None,
            portion=len,
        )

    def take(self, *handed: Handed) -> Claim | None:
        self.put(*handed)
        made = self.claim()
        return made.claim.make() if made.claim else None


def endings_of(claim: Claim) -> list[Ending]:
    return [
        concluding.ending_of(a, Completed(), started_at=NOW, ended_at=NOW, marked=False)
        for a in claim.actions
    ]


@pytest.fixture
def relay(store: RunnerStore) -> RunnerStore:
    store.tell_about('{"kind":"relay"}')
    return store


def named(relay: RunnerStore, *hooks: str) -> list[Handed]:
    """Actions that a relay has claimed, as it names them."""
    insert(relay, *[make_new(hook, group="g") for hook in hooks])
    claim = relay.claim_due(now=NOW, limit=len(hooks), only=ANY)
    assert claim is not None
    return [
        Handed(action_id=a.id, claim_id=claim.id, relay=relay.runner_name) for a in claim.actions
    ]


def test_what_its_fence_names_is_taken_over_once(relay: RunnerStore) -> None:
    first, second = named(relay, "a", "b")
    worker, other = Worker(relay), Worker(relay)
    claim = worker.take(first)
    assert claim is not None
    assert [action.id for action in claim.actions] == [first.action_id]
    assert claim.id != first.claim_id
    assert column(relay, "claim_id", first.action_id) == claim.id
    assert column(relay, "status", first.action_id) == "pending"
    assert other.take(first) is None
    assert other.refused == [first]
    assert worker.take(first) is None
    assert relay.waiting([first.claim_id]) == {second.action_id}
    # The relay has it no more: it can neither put it back nor end it.
    assert relay.release([], finished=[]) == 0
    assert worker.store.settle(endings_of(claim), now=NOW, finished=[claim.id])
    assert column(relay, "status", first.action_id) == "complete"
    freed(relay, second)
    relay.release([], finished=[first.claim_id])
    invariants.check(relay)


def test_the_last_ending_is_written_with_the_next_action(relay: RunnerStore) -> None:
    first, second = named(relay, "a", "b")
    worker = Worker(relay)
    claim = worker.take(first)
    assert claim is not None
    worker.put(second)
    made = worker.claim(*endings_of(claim), finished=(claim.id,))
    assert made.settled == frozenset({first.action_id})
    assert made.claim is not None
    assert list(made.claim.ids) == [second.action_id]


def test_an_ending_that_is_not_ours_any_more_keeps_nothing_from_being_taken(
    relay: RunnerStore,
) -> None:
    first, second = named(relay, "a", "b")
    worker = Worker(relay)
    claim = worker.take(first)
    assert claim is not None
    change(
        relay,
        "UPDATE wp_actionscheduler_actions SET status = 'canceled' WHERE action_id = :i",
        i=first.action_id,
    )
    worker.put(second)
    made = worker.claim(*endings_of(claim), finished=(claim.id,))
    assert made.settled is None
    assert made.claim is not None
    assert list(made.claim.ids) == [second.action_id]


def freed(relay: RunnerStore, one: Handed) -> None:
    writes = relay.parts.writes
    relay.session.transact(lambda c: writes.free(c, [one.action_id], one.claim_id))


def canceled(relay: RunnerStore, one: Handed) -> None:
    change(
        relay,
        "UPDATE wp_actionscheduler_actions SET status = 'canceled' WHERE action_id = :i",
        i=one.action_id,
    )


def deleted(relay: RunnerStore, one: Handed) -> None:
    change(relay, "DELETE FROM wp_actionscheduler_actions WHERE action_id = :i", i=one.action_id)


def taken_by_php(relay: RunnerStore, one: Handed) -> None:
    change(
        relay,
        "UPDATE wp_actionscheduler_actions SET claim_id = 4711 WHERE action_id = :i",
        i=one.action_id,
    )


def relay_gone(relay: RunnerStore, one: Handed) -> None:
    del one
    change(relay, "DELETE FROM wp_wpbridge_runners")


def relay_reborn(relay: RunnerStore, one: Handed) -> None:
    """The row's id was given out again, to another process."""
    del one
    change(relay, "UPDATE wp_wpbridge_runners SET pid_started = 'later'")


def relay_no_relay(relay: RunnerStore, one: Handed) -> None:
    """The message names another runner, which runs the action itself."""
    del one
    relay.tell_about('{"kind":"work"}')


def claim_given_back(relay: RunnerStore, one: Handed) -> None:
    """The server has given out the claim's id a second time: the relay has it no more."""
    del one
    change(relay, "UPDATE wp_wpbridge_runners SET claims = ''")


@pytest.mark.parametrize(
    "what",
    [
        freed,
        canceled,
        deleted,
        taken_by_php,
        relay_gone,
        relay_reborn,
        relay_no_relay,
        claim_given_back,
    ],
)
def test_an_old_message_starts_nothing(
    relay: RunnerStore, what: Callable[[RunnerStore, Handed], None]
) -> None:
    (one,) = named(relay, "a")
    what(relay, one)
    before = query(relay, "SELECT action_id, status, claim_id FROM wp_actionscheduler_actions")
    worker = Worker(relay)
    assert worker.take(one) is None
    assert worker.refused == [one]
    after = query(relay, "SELECT action_id, status, claim_id FROM wp_actionscheduler_actions")
    assert after == before


@pytest.mark.parametrize("pause", pauses_of("a", "g"), ids=lambda pause: pause.kind)
def test_what_is_paused_meanwhile_is_free_again(relay: RunnerStore, pause: Pause) -> None:
    (one,) = named(relay, "a")
    relay.parts.pauses.add([pause], now=NOW)
    worker = Worker(relay)
    assert worker.take(one) is None
    assert column(relay, "claim_id", one.action_id) == 0
    assert column(relay, "status", one.action_id) == "pending"


def test_what_was_moved_to_a_later_date_is_free_again(relay: RunnerStore) -> None:
    (one,) = named(relay, "a")
    later = (NOW + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S")
    change(
        relay,
        "UPDATE wp_actionscheduler_actions SET scheduled_date_gmt = :d WHERE action_id = :i",
        d=later,
        i=one.action_id,
    )
    assert Worker(relay).take(one) is None
    assert column(relay, "claim_id", one.action_id) == 0


def test_of_two_messages_of_one_action_the_second_waits(relay: RunnerStore) -> None:
    (one,) = named(relay, "a")
    worker = Worker(relay)
    worker.put(one, one)
    assert worker.claim().claim is not None
    assert worker.refused == []
    assert worker.claim().claim is None
    assert worker.refused == [one]


def test_what_a_worker_cannot_run_stays_with_its_relay(relay: RunnerStore) -> None:
    first, second = named(relay, "a", "b")
    worker = Worker(relay, accepts=lambda hook, group: (hook, group) != ("a", "g"))
    worker.put(first, second)
    made = worker.claim()
    assert made.claim is not None
    assert list(made.claim.ids) == [second.action_id]
    assert worker.refused == [first]
    assert relay.waiting([first.claim_id]) == {first.action_id}


def test_a_worker_whose_clock_is_a_little_behind_takes_what_its_relay_found_due(
    relay: RunnerStore,
) -> None:
    (first,) = named(relay, "a")
    change(
        relay,
        "UPDATE wp_actionscheduler_actions SET scheduled_date_gmt = :due WHERE action_id = :i",
        due=to_text(NOW + timedelta(seconds=4)),
        i=first.action_id,
    )
    claim = Worker(relay).take(first)
    assert claim is not None
    assert [action.id for action in claim.actions] == [first.action_id]
