"""What relay and workers ask of Amazon SQS is what the policies that come with the package allow."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from brokers import SQS, missing_sqs
from cli_helpers import state_of
from conftest import ROOT, needs
from daemons import until
from ports import HOST
from wpbridge.executors.celery.messages import WholeAction, whole

POLICIES: Final = ROOT / "wpbridge" / "deploy" / "aws"
SERVER: Final = """
import sys
from moto.core.responses import BaseResponse
from moto.server import main

asked = BaseResponse._get_action

def remember(self):
    name = asked(self)
    with open("calls", "a") as calls:
        calls.write(name + "\\n")
    return name

BaseResponse._get_action = remember
main(["-H", sys.argv[1], "-p", sys.argv[2]])
"""
HANDLERS: Final = """
from wpbridge import hook

@hook("send_mail")
def send_mail(number):
    with open("mails", "a") as mails:
        mails.write(f"{number}\\n")
"""


class Recording(SQS):
    """One that writes down what it is asked."""

    def _run(self) -> "subprocess.Popen[bytes]":
        (self.folder / "calls").touch()
        return self._start_process([sys.executable, "-c", SERVER, HOST, str(self.port)])

    seen = 0
    """So many lines were taken."""

    def take_calls(self) -> set[str]:
        """The names of what was asked since the last time."""
        told = (self.folder / "calls").read_text().splitlines()[self.seen :]
        self.seen += len(told)
        return set(told)

    def make_queue(self, name: str) -> str:
        with self._client() as client:
            made = client.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "600"})
            return str(made["QueueUrl"])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Recording]:
    needs(missing_sqs())
    made = Recording(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.stop()


class Site:
    """A folder with settings, in which relays and workers start."""

    def __init__(self, folder: Path, broker: Recording, *, url: str | None) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700)
        (folder / "mail_hooks.py").write_text(HANDLERS)
        self.options: dict[str, Any] = {**broker.transport_options}
        if url is not None:
            self.options["predefined_queues"] = {"mail": {"url": url}}
        (folder / "wpbridge.toml").write_text(
            '[site]\ndsn = "sqlite:///queue.db"\n[run]\nhandlers = ["mail_hooks"]\n'
            '[[routes]]\nhook = "*"\nto = "celery"\nqueue = "mail"\n'
        )
        clean = {k: v for k, v in os.environ.items() if not k.startswith("WPBRIDGE_")}
        self.env = {
            **clean,
            "WPBRIDGE_STATE_DIR": str(state_of(folder)),
            "WPBRIDGE_CELERY_BROKER": broker.url,
            "WPBRIDGE_CELERY_TRANSPORT_OPTIONS": json.dumps(self.options),
        }
        self.run("wpbridge", "init")

    def run(self, *words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    @contextmanager
    def started(self, *words: str) -> Iterator[None]:
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=self.folder,
                env=self.env,
                stdout=log,
                stderr=log,
            )
        try:
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) in {0, 143}, self.log()
        finally:
            process.kill()
            process.wait()

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def mails(self) -> list[str]:
        mails = self.folder / "mails"
        return mails.read_text().split() if mails.exists() else []


RELAY: Final = ("wpbridge", "relay")
WORKER: Final = ("celery", "-A", "wpbridge.celery_app", "worker", "--pool", "solo")


def allowed(who: str) -> set[str]:
    told = json.loads((POLICIES / f"iam-policy-sqs-{who}.json").read_text("utf-8"))
    return {name.removeprefix("sqs:") for name in told["Statement"][0]["Action"]}


def test_relay_and_workers_ask_what_their_policies_allow(tmp_path: Path, broker: Recording) -> None:
    url = broker.make_queue("shop-mail")
    site = Site(tmp_path / "shop", broker, url=url)
    site.run("wpbridge", "enqueue", "send_mail", "--args", "[17]")
    broker.take_calls()
    with site.started(*RELAY):
        handed = gathered(broker, {"SendMessage"}, site)
    assert handed | broker.take_calls() == allowed("relay")
    # What belongs to another site is given back, and becomes visible again.
    stray = whole(
        WholeAction(
            "other.wp_", "01a22a06-712e-74e6-92b5-78b8e2e1617c", "send_mail", "[18]", "", 10, 1, ""
        ),
        queue="mail",
    )
    send(broker, site.options, stray)
    broker.take_calls()
    with site.started(*WORKER):
        calls = gathered(broker, {"ChangeMessageVisibility", "DeleteMessage"}, site)
    assert calls | broker.take_calls() == allowed("worker")
    # The relay's message counts no more. The next relay names the action again.
    with site.started(*RELAY), site.started(*WORKER):
        until(lambda: site.mails() == ["17"], site.log)


def gathered(broker: Recording, awaited: set[str], site: Site) -> set[str]:
    """What is asked until all of this is."""
    found: set[str] = set()

    def is_there() -> bool:
        found.update(broker.take_calls())
        return awaited <= found

    until(is_there, lambda: f"{awaited}: {found} {site.log()}", 120, pause=0.1)
    return found


def send(broker: Recording, options: dict[str, Any], message: Any) -> None:
    from kombu import Connection  # noqa: PLC0415 - it may be missing

    with Connection(broker.url, transport_options=options) as connection:
        connection.Producer().publish(
            message.body,
            exchange="",
            routing_key=message.queue,
            content_type="application/json",
            content_encoding="utf-8",
            headers=dict(message.headers),
            **message.properties,
        )


def test_without_named_queues_they_also_list_and_make_them(
    tmp_path: Path, broker: Recording
) -> None:
    site = Site(tmp_path / "shop", broker, url=None)
    site.run("wpbridge", "enqueue", "send_mail", "--args", "[17]")
    broker.take_calls()
    with site.started(*RELAY), site.started(*WORKER):
        until(lambda: site.mails() == ["17"], site.log)
    more = {"ListQueues", "CreateQueue"}
    both = allowed("relay") | allowed("worker")
    assert more <= broker.take_calls() <= both | more
