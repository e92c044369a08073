"""Reports of the PHP pool: the runner gets all that ended at a time, and each is on one side."""

from executor_runs import make_call
from wpbridge.clock import SystemClock
from wpbridge.executors.base import Mailbox
from wpbridge.executors.php.inbox import Inbox
from wpbridge.outcome import Completed


def test_what_has_ended_is_the_pools_until_it_is_delivered_as_a_whole() -> None:
    mailbox = Mailbox()
    inbox = Inbox(SystemClock(), mailbox)
    calls = [make_call("h", action_id=number) for number in range(1, 4)]
    for call in calls:
        inbox.put(call)
    sent = [one for _ in calls if (one := inbox.take())]
    for one in sent:
        inbox.begun(one)
    for one in sent[:2]:
        inbox.report(one, Completed())
    assert inbox.running().keys() == set(calls)
    assert mailbox.take(0.0) == []
    inbox.deliver()
    assert inbox.running().keys() == {calls[2]}
    assert [report.call for report in mailbox.take(0.0)] == calls[:2]
    inbox.deliver()
    assert mailbox.take(0.0) == []
