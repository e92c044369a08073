"""Move the plugin's old post store into its tables: a file to read and adapt.

python post_store.py /var/www/html [batch size]
"""

import sys
from pathlib import Path

from wpbridge.migrate.journal import Journal, name_of
from wpbridge.migrate.post_store.moving import KIND, PostStore
from wpbridge.queue.facade import opened
from wpbridge.site.config import load
from wpbridge.system import private_files

folder, size = sys.argv[1], int(next(iter(sys.argv[2:]), "500"))
with opened(load({"path": folder}, {}, Path.cwd())) as queue:
    migration = PostStore(queue.store, in_progress="failed", batch_size=size)
    migration.check_alone()
    file, site = Path("post-store.journal"), name_of(queue.store)
    with (
        Journal(file, kind=KIND, site=site) as journal,
        private_files.text(Path("left.jsonl")) as left,
    ):
        done = migration.move(journal, left)
print(f"moved {dict(done.moved)}, left {dict(done.left)}; see left.jsonl", *done.problems)
