"""The bridge for moved events: a must-use file that shows them to PHP code as WP-Cron's.

A plugin that asks ``wp_next_scheduled`` and schedules anew when it is told of nothing would fill
WP-Cron again. The file (``cron.php``) holds one line of JSON: for each site its group and the
hooks that were moved, each with the journals that tell of it: it stays until the last of these is
undone. A file that is not ours is never touched.
"""

import json
import re
from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

from wpbridge.errors import ConfigError, SiteError
from wpbridge.plugin.placing import remove_file, source_of, write_file

FILE_NAME: Final = "wpbridge-cron.php"

_MARK: Final = b"wpbridge-cron-file"
_LINE: Final = re.compile(
    rb"^(define\( 'WPBRIDGE_CRON', ')((?:[^'\\\n]|\\.)*)(' \);)$", re.MULTILINE
)


def read(folder: Path) -> dict[str, Any]:
    """What the file of a must-use folder says, by prefix; nothing when there is none.

    SiteError when it is not ours, or cannot be read.
    """
    file = folder / FILE_NAME
    source = source_of(file)
    if source is None:
        return {}
    line = _LINE.search(source) if _MARK in source else None
    if line is None:
        raise SiteError(f"{file} was not written by wpbridge: move it away first")
    try:
        sites = json.loads(re.sub(rb"\\([\\'])", rb"\1", line[2]))["sites"]
        return {
            str(prefix): {
                "group": str(site["group"]),
                "hooks": {str(hook): [*journals] for hook, journals in site["hooks"].items()},
            }
            for prefix, site in sites.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        # Damaged: what is written now is whole again.
        return {}


def install(folder: Path, prefix: str, group: str, hooks: Collection[str], journal: str) -> None:
    """Write the file, or add to it, so that these hooks are looked for in the group.

    ConfigError when the site's other hooks are in another group: there is one a site.
    """
    sites = read(folder)
    site = sites.setdefault(prefix, {"group": group, "hooks": {}})
    if site["group"] != group:
        raise ConfigError(f"the events of {prefix} lie in the group {site['group']}: give --group")
    for hook in sorted(hooks):
        journals = site["hooks"].setdefault(hook, [])
        if journal not in journals:
            journals.append(journal)
    write_file(folder / FILE_NAME, _rendered(sites))


def remove(folder: Path, prefix: str, journal: str) -> bool:
    """Take out the hooks that only this journal tells of, and with the last of all the file.

    False when it tells of none.
    """
    sites = read(folder)
    hooks = sites.get(prefix, {}).get("hooks", {})
    if not any(journal in journals for journals in hooks.values()):
        return False
    left = {hook: [one for one in told if one != journal] for hook, told in hooks.items()}
    sites[prefix]["hooks"] = {hook: told for hook, told in left.items() if told}
    if not sites[prefix]["hooks"]:
        del sites[prefix]
    file = folder / FILE_NAME
    if sites:
        write_file(file, _rendered(sites))
        return True
    remove_file(file)
    return True


def _rendered(sites: Mapping[str, Any]) -> bytes:
    # Printable ASCII, and nothing in it that could end the text, the line or the PHP.
    text = json.dumps({"sites": sites}, separators=(",", ":"))
    for character in "'<>":
        text = text.replace(character, f"\\u{ord(character):04x}")
    literal = text.replace("\\", "\\\\").encode("ascii")
    source = resources.files("wpbridge").joinpath("plugin", "cron.php").read_bytes()
    return _LINE.sub(lambda match: match[1] + literal + match[3], source)
