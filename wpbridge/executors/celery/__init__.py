"""Hands actions over to Celery: messages, the broker that takes them, and an executor that sends.

The workers on the other side are :mod:`wpbridge.celery_app`. docs/explain/celery.md explains both.
"""
