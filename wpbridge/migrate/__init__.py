"""Moves of whole queues: each resumable, each verified at its end, none holds a queue in memory."""
