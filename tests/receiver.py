"""A server that webhooks post to, and a job whose callback goes there."""

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any

from rows import query
from wpbridge.access.keys import Allowed
from wpbridge.action import CALLBACK_HOOK
from wpbridge.codec.keys import new_uuid
from wpbridge.queue.callbacks import callback_of
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.jobs import JobQueue, JobRequest
from wpbridge.store.running.runner_store import RunnerStore


class Receiver(http.server.ThreadingHTTPServer):
    """Answers every POST as told and remembers it."""

    status = 200
    headers: dict[str, str] = {}  # noqa: RUF012 - replaced as a whole by tests
    posts: list[tuple[dict[str, str], bytes]]
    met: Callable[[], object] = staticmethod(lambda: None)
    """Called when a post has been remembered, before it is answered."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append(({k.lower(): v for k, v in self.headers.items()}, body))
        self.server.met()
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """One that listens on loopback until the block ends."""
    server = Receiver(("127.0.0.1", 0), _Handler)
    server.posts = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def canceled_with_callback(store: RunnerStore, receiver: Receiver) -> tuple[int, str]:
    """Add a job with a callback and cancel it.

    Return the id of the callback, which is due now, and the UUID of the job.
    """
    rights = Allowed(rights=("enqueue",), hooks=("*",), callback_hosts=("127.0.0.1",)).as_json()
    store.parts.api_keys.add("shop", "0" * 64, rights=rights, expires_seconds=None, who="a test")
    jobs, uuid = JobQueue(store.parts, close_store=False), new_uuid()
    callback = callback_of(
        {"url": f"http://127.0.0.1:{receiver.server_port}/"},
        uuid=uuid,
        hosts=["127.0.0.1"],
        allow_private=False,
        may_enqueue=lambda _hook, _group: False,
    )
    asked = JobRequest(new=Enqueue(hook="h"), key_name="shop", callback=callback, uuid=uuid)
    [done] = jobs.submit([jobs.prepared(asked)])
    assert done.job is not None
    jobs.cancel([done.job.action_id])
    [[found]] = query(
        store,
        "SELECT action_id FROM wp_actionscheduler_actions WHERE hook = :h",
        h=CALLBACK_HOOK,
    )
    return int(str(found)), uuid
