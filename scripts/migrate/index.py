"""Add the index for claims from Python: python scripts/migrate/index.py DSN [PREFIX]."""

import sys

from wpbridge.migrate.schema.index_for_claims import check_online, claim_index
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.connect import connect
from wpbridge.store.structure.definitions import Definitions


def main(dsn: str, prefix: str = "wp_") -> None:
    address = DatabaseAddress.from_dsn(dsn)
    store, watcher = connect(address, prefix), connect(address, prefix)
    definitions = Definitions(store, watcher)
    there = claim_index(definitions)
    if there.name is None:
        check_online(definitions)
        definitions.run(
            there.add, lock_wait_seconds=5, told=lambda percent: print(f"{percent:.0f} %")
        )
    used, sorts = definitions.explain_claim()
    print(f"the plugin's claim uses {used} and {'sorts' if sorts else 'sorts nothing'}")
    store.close()
    watcher.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
