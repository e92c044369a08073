"""What somebody who uses the client of the gateway writes type-checks under mypy --strict."""

from datetime import UTC, datetime, timedelta
from typing import Any

from wpbridge.client import BadAnswer, Client, ClientError, Event, Job, NewJob, Problem, Unreachable


def use(client: Client) -> object:
    try:
        job: Job = client.enqueue("send_mail", {"order": 17}, in_="10m", key="order-17")
        later = client.enqueue("h", [1], at=datetime(2030, 1, 1, tzinfo=UTC), after=[job])
        many: list[Job] = client.enqueue_many([NewJob(hook="h", in_=timedelta(hours=1))])
        events: list[Event] = list(client.events(job))
        mine: list[str] = [one.id for one in client.jobs(page=10)]
        job = client.wait(job.id, 30)
        result: Any = client.result(job) if job.has_ended else None
        return later, many, events, mine, result, client.cancel(later).status
    except Problem as problem:
        wait: float | None = problem.retry_after
        return problem.status, problem.type, problem.kind, problem.field, problem.detail, wait
    except (BadAnswer, Unreachable) as error:
        told: ClientError = error
        return told


def test_a_client_is_used_so() -> None:
    with Client("http://127.0.0.1:1", "wpb_x_y", timeout=1, patience=0) as client:
        assert isinstance(use(client), Unreachable)
