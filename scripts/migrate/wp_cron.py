"""WP-Cron's events into actions, in Python: a file to read and adapt.

scripts/migrate/wp_cron.py /var/www/html 'shop_*' 'mail_*'
"""

import sys
from pathlib import Path

from wpbridge import Queue
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.wpcron import Choice, Mover


def main(folder: str, *hooks: str) -> int:
    file = Path("wp-cron.journal")
    with Queue.open(folder) as queue, Journal(file, kind="wp-cron", site=folder) as journal:
        mover = Mover(queue, journal, choice=Choice(hooks=hooks))
        done = mover.move(settle_seconds=10)
    print(
        f"moved {done.moved} events; {len(done.left)} left; undo: wpbridge.migrate.wpcron_undo.undo"
    )
    return 1 if done.left else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
