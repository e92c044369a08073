"""Archive complete actions from Python: python scripts/migrate/archive.py DSN FILE.jsonl.gz."""

import sys
from datetime import timedelta
from pathlib import Path

from wpbridge.action import Status
from wpbridge.clock import SystemClock
from wpbridge.migrate.archive import KIND, Archive, asked, journal_of
from wpbridge.migrate.journal import Journal, name_of
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.connect import open_store
from wpbridge.store.upkeep.retention import Expiry


def main(dsn: str, name: str, prefix: str = "wp_") -> None:
    now, file = SystemClock().now(), Path(name)
    store = open_store(DatabaseAddress.from_dsn(dsn), prefix)
    rules = [Expiry(status=Status.COMPLETE, before=now - timedelta(days=31))]
    site = name_of(store)
    with Journal(journal_of(file), kind=KIND, site=site, asked=asked(rules)) as journal:
        report = Archive(store, journal, file, now=now).run()
    print(f"{report.archived:,} actions in {file}; {report.problems or 'read back, all well'}")
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
