"""Deciding: what is claimed, run, settled and put back. Sees stores and executors by protocol."""
