"""The SQL there is. `$table` is the number of a record set's table, never a name from outside."""

from __future__ import annotations

from typing import Final

OVERHEAD_BYTES: Final = 64
"""What a record is taken to need beside its data and meta, so that empty ones are bounded too:
the 64 below."""

SCHEMA: Final = (
    "CREATE TABLE sets (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    (
        "CREATE TABLE quarantine (number INTEGER PRIMARY KEY AUTOINCREMENT, name, id, why, at_ns, "
        "items, size, codec, checksum, meta, data)"
    ),
)
CREATE: Final = (
    "CREATE TABLE records_$table (id INTEGER PRIMARY KEY AUTOINCREMENT, items INTEGER, "
    "size INTEGER, codec INTEGER, checksum INTEGER, meta BLOB, data BLOB)"
)

INSERT: Final = (
    "INSERT INTO records_$table (items, size, codec, checksum, meta, data) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)
RESTORE: Final = (
    "INSERT INTO records_$table (id, items, size, codec, checksum, meta, data) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
MEASURE: Final = "SELECT items, length(data) + length(meta) + 64 FROM records_$table WHERE id = ?"
DELETE: Final = "DELETE FROM records_$table WHERE id = ?"
TOTALS: Final = (
    "SELECT count(*), sum(items), sum(length(data) + length(meta) + 64) FROM records_$table"
)
READ: Final = (
    "SELECT id, items, size, codec, checksum, meta, data FROM records_$table "
    "WHERE id > ? ORDER BY id"
)
ROW: Final = "SELECT items, size, codec, checksum, meta, data FROM records_$table WHERE id = ?"
NEXT_ID: Final = "SELECT id FROM records_$table WHERE id > ? ORDER BY id LIMIT 1"
PREVIOUS_ID: Final = "SELECT id FROM records_$table WHERE id < ? ORDER BY id DESC LIMIT 1"
SET_ASIDE: Final = (
    "INSERT INTO quarantine (name, id, why, at_ns, items, size, codec, checksum, meta, data) "
    "SELECT ?, id, ?, ?, items, size, codec, checksum, meta, substr(data, 1, ?) "
    "FROM records_$table WHERE id = ?"
)

LAST_ID: Final = "SELECT seq FROM sqlite_sequence WHERE name = 'records_$table'"
FORGET_LAST_ID: Final = "DELETE FROM sqlite_sequence WHERE name = 'records_$table'"
KEEP_LAST_ID: Final = "INSERT INTO sqlite_sequence (name, seq) VALUES ('records_$table', ?)"


def of(statement: str, table: int) -> str:
    """The statement for one table."""
    return statement.replace("$table", str(int(table)))
