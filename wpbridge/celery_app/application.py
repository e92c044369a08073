"""Make the Celery application of a site: its broker, its queues and its two tasks."""

import os
import time
from typing import Any, Final

import celery
import celery.exceptions
import click

from wpbridge.app.handed_worker import NOT_RUN
from wpbridge.celery_app.processes import OptionCheck, Processes, refuse
from wpbridge.errors import InputError, WpbridgeError
from wpbridge.executors.celery.broker import queue_named
from wpbridge.executors.celery.messages import RUN_TASK, THROUGH_TASK, wake_of, whole_of
from wpbridge.executors.celery.opening import broker_url
from wpbridge.outcome import class_name, plain
from wpbridge.site.config import Settings, load, working_folder
from wpbridge.site.rules import CELERY_QUEUE
from wpbridge.telling.log import tell

AGAIN_SECONDS: Final = 1.0
"""What could not be run now is given back to the broker after so long."""


def make_app() -> celery.Celery:
    """Return the application. What is wrong with the settings ends the process with one line."""
    try:
        settings = load({}, os.environ, working_folder())
        return _application(settings, broker_url(settings))
    except WpbridgeError as error:
        refuse(str(error))


def _application(settings: Settings, broker: str) -> celery.Celery:
    app = celery.Celery("wpbridge", set_as_current=False)
    names = dict.fromkeys(route.queue for route in settings.routes if route.to == "celery")
    queues = [queue_named(name, broker) for name in names or (CELERY_QUEUE,)]
    app.conf.update(
        broker_url=broker,
        broker_transport_options=dict(settings.celery_transport_options),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Nothing but JSON is read: a pickle of a stranger would be code.
        accept_content=["json"],
        task_serializer="json",
        event_serializer="json",
        result_accept_content=["json"],
        # The tables hold what becomes of an action.
        task_ignore_result=True,
        # A message is acknowledged before its action starts: a fence decides, not redelivery.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        # It would be restored from the pool's threads, which then wait for ever for each other's
        # answers on the one connection to RabbitMQ.
        worker_enable_prefetch_count_reduction=False,
        worker_consumer="wpbridge.celery_app.consumer:Consumer",
        task_queues=queues,
        task_default_queue=queues[0].name,
        task_create_missing_queues=False,
        worker_redirect_stdouts=False,
        # Its message is gone, so a task that runs must end.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        enable_utc=True,
        timezone="UTC",
    )
    if broker.startswith("sqs"):
        # SQS has neither events nor remote control.
        app.conf.update(worker_enable_remote_control=False, worker_send_task_events=False)
    processes = Processes()
    processes.connect()

    @app.task(name=RUN_TASK, ignore_result=True, typing=False, shared=False)  # type: ignore[untyped-decorator]
    def run(*args: Any) -> str:
        """Run the action that a message names."""
        try:
            told = wake_of(args)
        except InputError as error:
            tell("celery.refused", reason=str(error))
            return "refused"
        return processes.here().run(told)

    @app.task(  # type: ignore[untyped-decorator]
        name=THROUGH_TASK,
        ignore_result=True,
        typing=False,
        shared=False,
        # Only its message holds this action. It goes when the handler has ended, or a row tells.
        acks_late=True,
        acks_on_failure_or_timeout=False,
        reject_on_worker_lost=True,
    )
    def through(*args: Any) -> str:
        """Run the action that a message holds."""
        try:
            told = whole_of(args)
        except InputError as error:
            tell("celery.refused", reason=str(error))
            return "refused"
        try:
            word = processes.here().run_whole(told)
        except Exception as error:  # noqa: BLE001 - Celery would drop the message, which is all there is
            tell("celery.refused", reason=f"{class_name(error)}: {plain(error, most=200)}")
            word = NOT_RUN
        if word == NOT_RUN:
            time.sleep(AGAIN_SECONDS)
            raise celery.exceptions.Reject("it is delivered again", requeue=True)
        return word

    app.user_options["worker"].add(
        click.Option(
            ["--handlers"], metavar="MODULES", help="Modules of handlers, as WPBRIDGE_HANDLERS."
        )
    )
    app.steps["worker"].add(OptionCheck)
    return app
