"""Meaning to text and back: PHP serialization, schedules, cron, args.

Pure: no clock, no database.
"""
