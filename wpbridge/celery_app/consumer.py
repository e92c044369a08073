"""The consumer of a worker: a message that Celery cannot read is refused, and stops nothing.

Celery itself would raise the error out of its loop: it ends the worker, or has it connect anew. The
broker then delivers the same message again, and no other one is ever read.
"""

from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer as CelerysConsumer

from wpbridge.outcome import class_name
from wpbridge.telling.log import tell


class Consumer(CelerysConsumer):  # type: ignore[misc]
    """Takes messages from the broker, and gives them to the pool."""

    def create_task_handler(self, **more: Any) -> Callable[[Any], None]:
        """Return what is called with each message."""
        take = super().create_task_handler(**more)

        def take_or_refuse(message: Any) -> None:
            try:
                take(message)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                reason = f"a message that Celery cannot read: {class_name(error)}"
                tell("celery.refused", reason=reason)
                if not message.acknowledged:
                    message.reject()

        return take_or_refuse
