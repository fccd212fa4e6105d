"""A SQLite file shared by several processes: opening, transactions, and errors that say what to do.

The only module that imports sqlite3. Any process may be killed at any instant: SQLite's write-ahead log then
holds either the whole of a transaction or nothing of it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from prefrl.storage.errors import StoreError
from prefrl.storage.schema import APPLICATION_ID, SCHEMA_VERSION, STATEMENTS, UPDATES

__all__ = ["Connection"]

BUSY_TIMEOUT_S = 0.05
"""SQLite's own wait for a lock; short, because it looks ever more seldom and does not hear Ctrl-C"""
GIVE_UP_S = 60.0
"""our wait on top of it, by repetition"""
RETRY_S = 0.002
WAL_LIMIT_BYTES = 64 * 1024 * 1024
"""the log is cut back to this after a checkpoint, or one slow reader would leave it large"""

WAYS_OUT = {
    "is not a database": "this is no SQLite file; check the path",
    "malformed": "the file is damaged; restore it from a copy or from an export (`prefrl import`)",
    "is full": "the disk is full; free some space and continue, nothing acknowledged is lost",
    "readonly": "the file or its folder may not be written; change its permissions or take another folder",
    "unable to open": "check that the folder exists, and that it and the file may be read and written",
    "disk i/o": "the disk failed to read or write; check it, and keep runs on a local disk",
    "locked": f"another process held the lock for {GIVE_UP_S:.0f} s; stop the one that hangs",
    "closed database": "it has been closed; open it again",
}

Result = TypeVar("Result")


class Connection:
    """One process's connection. Statements run inside `read` or `write`.

    Raises:
        StoreError: on every failure of SQLite, from any method, with the path and the way out.
    """

    def __init__(self, path: Path, create: bool) -> None:
        self._path = path
        if path.is_dir() or not (create or path.exists()):
            found = "is a folder" if path.is_dir() else "does not exist"
            raise StoreError(
                f"{path}: {found}; give the path of a run's store.sqlite, or start a run to create one"
            )
        with self._clear_errors():
            uri = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
            self._raw = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            with self._clear_errors():
                self._set_up(create)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; the last process to do so folds the write-ahead log into it."""
        self._raw.close()

    @contextmanager
    def read(self) -> Iterator[None]:
        """A transaction that sees one state of the store; inside another transaction, that one."""
        with self._clear_errors(), self._transaction("BEGIN", "SELECT 1 FROM sqlite_master LIMIT 1"):
            yield

    @contextmanager
    def write(self, durable: bool = False) -> Iterator[None]:
        """A transaction that is committed whole or not at all; inside another one, part of it.

        A commit outlives the death of any process. With ``durable`` it also outlives a power cut: the log is
        flushed to disk (synchronous=FULL) before this returns, with everything committed earlier. Answers
        cost a person's time and are worth the wait; heartbeats and segments are not.
        """
        with self._clear_errors():
            if not self._raw.in_transaction:
                pragma = f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}"
                self._patiently(lambda: self._raw.execute(pragma))
            with self._transaction("BEGIN IMMEDIATE"):
                yield

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a statement."""
        return self._raw.execute(sql, parameters).fetchall()

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """First column of the first row, None where there is no row."""
        row = self._raw.execute(sql, parameters).fetchone()
        return row[0] if row else None

    def insert(self, sql: str, parameters: Sequence[Any]) -> int:
        """Run an INSERT and return the new row's number."""
        return self._raw.execute(sql, parameters).lastrowid or 0

    def run_many(self, sql: str, parameters: Sequence[Sequence[Any]]) -> None:
        """Run a statement once for each of the parameters."""
        self._raw.executemany(sql, parameters)

    @contextmanager
    def _transaction(self, *begin: str) -> Iterator[None]:
        if self._raw.in_transaction:
            yield
            return
        self._patiently(lambda: self._begin(*begin))
        try:
            yield
            self._raw.execute("COMMIT")
        finally:
            self._roll_back()

    def _begin(self, *begin: str) -> None:
        try:
            for statement in begin:
                self._raw.execute(statement).fetchall()
        except sqlite3.Error:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._raw.in_transaction:
            self._raw.execute("ROLLBACK")

    def _patiently(self, action: Callable[[], Result]) -> Result:
        """Repeat while other processes hold the lock; some refusals come without SQLite's own wait."""
        deadline_s = time.monotonic() + GIVE_UP_S
        while True:
            try:
                return action()
            except sqlite3.OperationalError as error:
                busy = "locked" in str(error) or "locking protocol" in str(error)
                if not busy or time.monotonic() > deadline_s:
                    raise
                time.sleep(RETRY_S)

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            text = str(error)
            ways = [way for sign, way in WAYS_OUT.items() if sign in text.lower()]
            raise StoreError(f"{self._path}: {'; '.join([text, *ways])}") from error

    def _set_up(self, create: bool) -> None:
        with self.read():  # one look at the file: another process may be filling it
            is_ours = self._is_ours()
            is_current = is_ours and self._version() == SCHEMA_VERSION
        if not is_ours and not create:
            raise StoreError(f"{self._path}: the file is empty; start the run anew to fill it")
        mode = self._patiently(lambda: self.value("PRAGMA journal_mode = WAL"))
        if mode != "wal":
            raise StoreError(
                f"{self._path}: its file system allows no write-ahead log (journal mode {mode}), which "
                "several processes need; keep the run on a local disk"
            )
        self._raw.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}").fetchall()
        self._raw.execute("PRAGMA foreign_keys = ON")
        if not is_current:
            with self.write():
                self._create_tables()

    def _create_tables(self) -> None:
        if not self._is_ours():  # another process may have been first
            for statement in STATEMENTS:
                self._raw.execute(statement)
        while (version := self._version()) < SCHEMA_VERSION:
            for statement in UPDATES[version]:
                self._raw.execute(statement)

    def _version(self) -> int:
        return int(self.value("SELECT value FROM meta WHERE key = 'schema_version'"))

    def _is_ours(self) -> bool:
        """False for an empty file; raises StoreError for one that is no store, or one of a later version."""
        application = self.value("PRAGMA application_id")
        if application == 0 and self.value("SELECT count(*) FROM sqlite_master") == 0:
            return False
        if application != APPLICATION_ID:
            raise StoreError(
                f"{self._path}: an SQLite file of another program, left as it is; check the path"
            )
        version = self._version()
        if not 1 <= version <= SCHEMA_VERSION:
            raise StoreError(
                f"{self._path}: a store of schema version {version}, this prefrl knows 1 to {SCHEMA_VERSION}; "
                "update prefrl, or export it with the prefrl that wrote it (`prefrl export`) and import that here"
            )
        return True
