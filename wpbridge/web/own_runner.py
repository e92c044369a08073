"""Run wpbridge's own actions beside the gateway: callbacks and bulks, where it serves alone.

It is a runner as any other, on a thread of its own, which claims wpbridge's own hooks and nothing
else. Where a daemon runs too, whoever comes first runs one.
"""

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from wpbridge.app import OWN, make_runner
from wpbridge.app.parts import prepared
from wpbridge.errors import WpbridgeError
from wpbridge.site.bounds import Bounds
from wpbridge.site.config import Settings
from wpbridge.telling.log import tell
from wpbridge.web.counted import Counted

if TYPE_CHECKING:
    from wpbridge.runner.loop import Runner

PLACES: Final = 8
"""So many own actions run at once: callbacks go out while bulks take minutes."""
_AGAIN_SECONDS: Final = 30.0
"""After a trouble that ends the runner, another one is tried so much later."""


class OwnRunner:
    """Runs wpbridge's own hooks until it is closed."""

    def __init__(self, settings: Settings, counted: Counted) -> None:
        """Start the thread. The gateway goes on whatever becomes of it."""
        self._counted = counted
        self._settings = replace(
            settings,
            handlers=(),
            webhooks={},
            php=False,
            concurrency=Bounds(PLACES, PLACES),
            hooks=tuple(sorted(OWN)),
            exclude_hooks=(),
            groups=(),
            exclude_groups=(),
            batches=0,
            max_actions=0,
            max_time=None,
            wake_address="",
        )
        self._over = threading.Event()
        self._guard = threading.Lock()
        self._runner: Runner | None = None
        self._thread = threading.Thread(target=self._serve, name="wpbridge-own", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Claim no more, let what runs end, then end."""
        self._over.set()
        with self._guard:
            if self._runner is not None:
                self._runner.stop()
        self._thread.join()

    def _serve(self) -> None:
        told = ""
        while not self._over.is_set():
            try:
                self._run()
                told = ""
            except WpbridgeError as error:
                if str(error) != told:
                    told = str(error)
                    tell("gateway.own_runner", reason=told)
            self._over.wait(_AGAIN_SECONDS)

    def _run(self) -> None:
        settings = self._settings
        parts = prepared(settings, is_daemon=True)
        try:
            runner = make_runner(
                settings,
                parts.site,
                parts.store,
                parts.handlers,
                only=parts.only,
                daemon=True,
                kind="serve",
            )
            with self._guard:
                self._runner = None if self._over.is_set() else runner
            if self._runner is not None:
                self._counted.include(runner.counter.metrics())
                runner.run()
        finally:
            with self._guard:
                self._runner = None
            parts.close()
