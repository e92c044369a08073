"""Queues to files and back, and from one site straight to another."""
