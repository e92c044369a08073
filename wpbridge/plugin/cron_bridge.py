"""Reads and writes the must-use file that shows moved events to PHP code as WP-Cron's events.

Without it, a plugin that asks ``wp_next_scheduled`` would find no event and schedule a new one, and
so fill WP-Cron again. The file (``cron.php``) has one line of JSON: for each site its group and the
hooks that were moved. With each hook stand the journals that name it, and the hook stays until the
last of these journals is undone. A file that is not ours is never changed.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from wpbridge.errors import ConfigError, SiteError
from wpbridge.plugin.json_line import JsonLine
from wpbridge.plugin.placing import remove_file, source_of, write_file

FILE_NAME: Final = "wpbridge-cron.php"
LINE: Final = JsonLine(
    template_name="cron.php", constant="WPBRIDGE_CRON", mark=b"wpbridge-cron-file"
)


def read(folder: Path) -> dict[str, Any]:
    """Return what the file in a folder says, by table prefix. Empty if there is no file.

    Raises:
        SiteError: the file is not ours, or cannot be read.
    """
    file = folder / FILE_NAME
    source = source_of(file)
    if source is None:
        return {}
    text = LINE.text(source)
    if text is None:
        raise SiteError(f"{file} was not written by wpbridge: move it away first")
    try:
        sites = json.loads(text)["sites"]
        return {
            str(prefix): {
                "group": str(site["group"]),
                "hooks": {str(hook): [*journals] for hook, journals in site["hooks"].items()},
            }
            for prefix, site in sites.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        # A damaged file counts as empty, and the next write makes it whole again.
        return {}


def install(folder: Path, prefix: str, group: str, hooks: Collection[str], journal: str) -> None:
    """Write the file, or add to it, so that PHP looks for the events of these hooks in the group.

    Raises:
        ConfigError: the site's other hooks are in another group. A site has only one.
        SiteError: the file is not ours, or cannot be written.
    """
    sites = read(folder)
    site = sites.setdefault(prefix, {"group": group, "hooks": {}})
    if site["group"] != group:
        raise ConfigError(f"the events of {prefix} lie in the group {site['group']}: give --group")
    for hook in sorted(hooks):
        journals = site["hooks"].setdefault(hook, [])
        if journal not in journals:
            journals.append(journal)
    write_file(folder / FILE_NAME, LINE.render(LINE.template(), {"sites": sites}))


def forget(folder: Path, prefix: str) -> None:
    """Remove a site's part from the file, or the file itself with its last part."""
    left = {name: site for name, site in read(folder).items() if name != prefix}
    file = folder / FILE_NAME
    if left:
        write_file(file, LINE.render(LINE.template(), {"sites": left}))
    else:
        remove_file(file)


def remove(folder: Path, prefix: str, journal: str) -> bool:
    """Remove the hooks that only this journal names, and the file itself with the last hook.

    Returns False if the journal names no hook in the file.
    """
    sites = read(folder)
    hooks = sites.get(prefix, {}).get("hooks", {})
    if not any(journal in journals for journals in hooks.values()):
        return False
    left = {hook: [one for one in named if one != journal] for hook, named in hooks.items()}
    sites[prefix]["hooks"] = {hook: journals for hook, journals in left.items() if journals}
    if not sites[prefix]["hooks"]:
        del sites[prefix]
    file = folder / FILE_NAME
    if sites:
        write_file(file, LINE.render(LINE.template(), {"sites": sites}))
        return True
    remove_file(file)
    return True
