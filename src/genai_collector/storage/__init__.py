"""Records that survive a crash: one SQLite file per owner, in a directory.

record.py     one record: compressed, with a checksum
statements.py the SQL
database.py   one file, synchronously
failures.py   what an error of SQLite means
repair.py     a damaged file: set aside, what can be read is carried over
work.py       what a file's thread is asked to do
keeper.py     what it does: commit, read, and what follows when that fails
file.py       one file and its thread: group commit
records.py    `component.Records`, as its owners use it
directory.py  the files of a directory, shared within a process, locked against others
offline.py    the same files for the command line, also while a collector runs
"""

from genai_collector.storage.directory import Directory, shared_directory
from genai_collector.storage.file import StorageFile
from genai_collector.storage.offline import OfflineDirectory, OfflineRecords, open_directory
from genai_collector.storage.records import FileRecords
from genai_collector.storage.work import Counters, Options

__all__ = [
    "Counters",
    "Directory",
    "FileRecords",
    "OfflineDirectory",
    "OfflineRecords",
    "Options",
    "StorageFile",
    "open_directory",
    "shared_directory",
]
