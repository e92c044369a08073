"""Rows in and out: the only room that knows SQL, locks and database error numbers."""
