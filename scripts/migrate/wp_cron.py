"""WP-Cron's events into actions, in Python: a file to read and adapt.

scripts/migrate/wp_cron.py /var/www/html 'shop_*' 'mail_*'
"""

import sys
from pathlib import Path

from wpbridge import Queue
from wpbridge.migrate.journal import Journal, name_of
from wpbridge.migrate.wp_cron.moving import KIND, Mover
from wpbridge.migrate.wp_cron.plan import Choice


def main(folder: str, *hooks: str, settle_seconds: float = 10) -> int:
    file = Path("wp-cron.journal")
    with (
        Queue.open(folder) as queue,
        Journal(file, kind=KIND, site=name_of(queue.store)) as journal,
    ):
        mover = Mover(queue, journal, choice=Choice(hooks=hooks))
        done = mover.move(settle_seconds)
    print(f"moved {done.moved} events; {len(done.left)} left; undo: --undo {file}", *done.faults)
    return 1 if done.left or done.faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
