"""Has the machine start wpbridge for a site: a unit of systemd, or a line for cron.

:mod:`written` recognises again what was written or printed here: ``uninstall`` names it by that.
"""

from typing import Final

DOOR: Final = ("cron_line", "forecast", "started_site", "unit", "unit_file", "written")
"""The modules that other rooms may import."""
