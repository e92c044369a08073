"""``python -m wpbridge``."""

from wpbridge.cli import main

main()
