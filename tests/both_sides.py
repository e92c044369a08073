"""One site's queue from both sides: the real plugin's PHP and WP-CLI, and wpbridge."""

import json
import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from click.testing import CliRunner

from php_site import PhpSite
from rows import change, query
from wordpress import worker_command
from wpbridge.action import UPKEEP_HOOKS
from wpbridge.cli.main import cli
from wpbridge.plugin.companion import FILE_NAME
from wpbridge.queue.facade import Queue
from wpbridge.store.queueing.adding import UniqueBy

PHP: Final = Path(__file__).parent / "php"
TABLES: Final = ("actions", "claims", "groups", "logs")

Call: TypeAlias = Sequence[Any]
"""A PHP function's name and what it is called with."""


@dataclass(frozen=True)
class Threw:
    """What a PHP function did instead of returning."""

    error: str


@dataclass(frozen=True)
class Printed:
    """What a WP-CLI command did."""

    code: int
    stdout: str
    stderr: str
    statuses: dict[int, str]
    """Of all actions, afterwards."""


class BothSides:
    """A WordPress with the real plugin, and wpbridge over its tables; empty for each test."""

    def __init__(self, site: PhpSite) -> None:
        self.site = site
        self.folder = site.folder
        self.store = site.open()
        """For looking past both of them."""
        self._queues: list[Queue] = []

    @property
    def release(self) -> tuple[int, ...]:
        """The plugin's."""
        return self.site.release

    def told_priority(self, given: int) -> int:
        """What PHP says of an action's priority; before 3.6 there is none but that of all."""
        return given if self.release >= (3, 6) else 10

    def php(
        self,
        *calls: Call,
        admin: bool = False,
        may_throw: bool = False,
        stderr: Callable[[str], bool] = lambda told: not told,
    ) -> list[Any]:
        """What calls gave, all in one process; whatever PHP complains of is a failure."""
        done = subprocess.run(
            [
                "php",
                "-d",
                "display_errors=stderr",
                str(PHP / "queue.php"),
                str(self.folder),
                *(["admin"] if admin else []),
            ],
            input=json.dumps(calls),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{done.stderr}{done.stdout}"
        assert stderr(done.stderr), done.stderr
        answers, complaints = json.loads(done.stdout.splitlines()[-1])
        assert complaints == []
        found = [a["gave"] if "gave" in a else Threw(a["threw"]) for a in answers]
        if not may_throw:
            assert [one for one in found if isinstance(one, Threw)] == []
        return found

    def ask(self, *call: Any, admin: bool = False) -> Any:
        """What one call gave."""
        return self.php(call, admin=admin)[0]

    def wp(self, *commands: Sequence[object]) -> list["Printed"]:
        """What commands of the plugin's print, all in one process of WP-CLI."""
        told = [shlex.join(["action-scheduler", *map(str, words)]) for words in commands]
        done = subprocess.run(
            [*worker_command(), "eval-file", str(PHP / "wp_cli.php"), f"--path={self.folder}"],
            input=json.dumps(told),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{done.stderr}{done.stdout}"
        return [
            Printed(code, out, err, {int(i): status for i, status in left.items()})
            for code, out, err, left in json.loads(done.stdout.splitlines()[-1])
        ]

    def queue(self, unique_by: UniqueBy = "auto") -> Queue:
        """wpbridge's side, closed after the test."""
        queue = Queue.open(self.folder, env={}, cwd=self.folder, unique_by=unique_by)
        self._queues.append(queue)
        return queue

    def wpbridge(self, *words: object) -> str:
        """What a command of wpbridge prints."""
        done = CliRunner().invoke(cli, [*map(str, words), f"--path={self.folder}"])
        assert done.exit_code == 0, f"{words}: {done.output}"
        return done.stdout

    # Past both

    def rows(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        """Rows of a SELECT; a table's name in braces gets its prefix."""
        return [tuple(row) for row in query(self.store, self._named(statement), **values)]

    def change(self, statement: str, **values: object) -> None:
        """Change tables behind everybody's back."""
        change(self.store, self._named(statement), **values)

    def set(self, action_id: int, **columns: object) -> None:
        """Change columns of an action."""
        sets = ", ".join(f"{name} = :{name}" for name in columns)
        self.change(f"UPDATE {{actions}} SET {sets} WHERE action_id = :i", i=action_id, **columns)

    def raw(self, action_id: int) -> dict[str, Any]:
        """A row of the actions table, column by column."""
        names = [str(row[0]) for row in self.rows("SHOW COLUMNS FROM {actions}")]
        rows = self.rows(
            f"SELECT {', '.join(names)} FROM {{actions}} WHERE action_id = {action_id}"
        )
        return dict(zip(names, rows[0], strict=True))

    def statuses(self) -> dict[int, str]:
        """Every action's status but the upkeep's."""
        rows = self.rows("SELECT action_id, status, hook FROM {actions} ORDER BY 1")
        return {i: status for i, status, hook in rows if hook not in UPKEEP_HOOKS}

    def keep(self) -> None:
        """Remember the tables of actions and logs as they are."""
        for name in ("actions", "logs"):
            self.change(f"CREATE TABLE kept_{name} AS SELECT * FROM {{{name}}}")

    def restore(self) -> None:
        """Put back what was kept."""
        for name in ("actions", "logs"):
            self.change(f"DELETE FROM {{{name}}}")
            self.change(f"INSERT INTO {{{name}}} SELECT * FROM kept_{name}")

    @staticmethod
    def _named(statement: str) -> str:
        names = {name: f"wp_actionscheduler_{name}" for name in TABLES}
        return statement.format(**names, options="wp_options")

    def reset(self) -> None:
        """As the site was made."""
        for queue in self._queues:
            queue.close()
        self._queues.clear()
        self.site.reset()
        self.change("DELETE FROM {groups}")
        for name in ("actions", "logs"):
            self.change(f"DROP TABLE IF EXISTS kept_{name}")
        self.store.parts.own.drop()
        self.change("DELETE FROM {options} WHERE option_name LIKE '%transient%'")
        (self.folder / "wp-content" / "mu-plugins" / FILE_NAME).unlink(missing_ok=True)
