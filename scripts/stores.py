"""Stores as runners see them, opened for tests."""

from typing import TypeAlias

from wpbridge.errors import SchemaError, StoreError
from wpbridge.site.database import DatabaseAddress
from wpbridge.store import connect
from wpbridge.store.opened import OpenStore, open_tables
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.structure.creation import create_tables
from wpbridge.store.structure.own_steps import VERSION
from wpbridge.store.structure.tables import Connected, Tables

AnyStore: TypeAlias = OpenStore | RunnerStore | Tables | Connected


def open_store(
    address: DatabaseAddress, prefix: str, *, patience_seconds: float = 0.0, is_runner: bool = False
) -> RunnerStore:
    """The store of tables that are there."""
    way = connect.connect(address, prefix, patience_seconds=patience_seconds, is_runner=is_runner)
    return RunnerStore(connect.opened(way))


def make_store(address: DatabaseAddress, prefix: str) -> RunnerStore:
    """The store of tables that are made, as far as they are missing."""
    way = connect.connect(address, prefix)
    create_tables(way, everything=True)
    return RunnerStore(open_tables(way))


def make_database(address: DatabaseAddress, name: str) -> str:
    """Make a database on a server. Return the server's version."""
    way = connect.connect(address, "")
    try:
        way.session.run(lambda c: c.exec_driver_sql(f"CREATE DATABASE {name}"))
        return way.session.run(lambda c: str(c.exec_driver_sql("SELECT VERSION()").scalar()))
    finally:
        way.close()


def open_or_make(address: DatabaseAddress, prefix: str) -> RunnerStore:
    """The store of tables that are there, or of new ones."""
    try:
        store = open_store(address, prefix)
    except (SchemaError, StoreError):
        return make_store(address, prefix)
    own = store.parts.own
    if own.version == VERSION and all(map(own.has, store.names.own)):
        return store
    store.close()
    return make_store(address, prefix)


def way_of(store: RunnerStore) -> Connected:
    """The way to a store's tables."""
    return Connected(session=store.session, names=store.names, dialect=store.parts.dialect)


def again(store: RunnerStore) -> RunnerStore:
    """The same tables, looked at anew over the same connection."""
    return RunnerStore(open_tables(way_of(store)))


def registered(store: OpenStore) -> RunnerStore:
    """The store as one more runner sees it."""
    mine = RunnerStore(store)
    mine.register(host="here", boot="boot", pid=1, pid_started="1")
    return mine
