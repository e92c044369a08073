"""wpbridge runs WordPress Action Scheduler queues with Python handlers."""

__version__ = "0.1.0"
