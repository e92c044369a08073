"""The Celery application: ``celery -A wpbridge.celery_app worker`` runs what a relay hands over.

It reads the same settings as every command of wpbridge. What is wrong with them ends the process
with one line, as for a command.
"""

from wpbridge.celery_app.application import make_app

app = make_app()
