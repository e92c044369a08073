"""Start wpbridge, or say that this Python is too old.

This is the first file that Python reads of wpbridge.pyz. All Pythons must understand it, also those
of long ago: an old one then says what is wrong, and not where its grammar ends.
"""

import sys

if sys.version_info < (3, 11):
    sys.stderr.write(
        "wpbridge.pyz: it needs Python 3.11 or newer, and this is Python %d.%d (%s): start it with"
        " another one, as in: python3.11 wpbridge.pyz --version\n"
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )
    sys.exit(78)

import pyz_start

pyz_start.start()
