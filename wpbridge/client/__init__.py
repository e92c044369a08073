"""A client of the HTTP gateway: ``from wpbridge.client import Client``.

It needs nothing of a queue, no database and no WordPress: only the address of a gateway and a key.
"""

from typing import Final

from wpbridge.client.client import Client
from wpbridge.client.errors import BadAnswer, ClientError, Problem, Unreachable
from wpbridge.client.events import Event
from wpbridge.client.jobs import Job, NewJob, Progress

__all__ = [
    "BadAnswer",
    "Client",
    "ClientError",
    "Event",
    "Job",
    "NewJob",
    "Problem",
    "Progress",
    "Unreachable",
]

DOOR: Final = ()
"""The modules that other rooms may import: none, only the names above."""
