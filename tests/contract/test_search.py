"""Searching args: what they say is found, the md5 that stands for long ones is not."""

import hashlib
from collections.abc import Callable

from wpbridge.codec import args as args_codec
from wpbridge.queue.facade import Queue
from wpbridge.store.running.runner_store import RunnerStore


def test_nothing_is_found_in_the_md5_of_long_args(
    dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    queue = Queue(open_queue(dsn).parts, close_store=False)
    long: list[args_codec.JsonValue] = ["word" * 60]
    queue.enqueue_async("h", ["a word"])
    queue.enqueue_async("h", long)
    digest = hashlib.md5(args_codec.canonical(long).encode(), usedforsecurity=False).hexdigest()
    assert queue.count(search="word") == 2
    assert queue.count(search="wordword") == 1
    assert queue.count(search=digest[:6]) == 0
