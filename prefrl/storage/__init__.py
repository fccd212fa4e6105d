"""What a run knows, in one SQLite file that its processes share, and its exchange format."""

from prefrl.storage.database import Store
from prefrl.storage.errors import StoreError
from prefrl.storage.exchange import (
    ExportReport,
    ImportReport,
    export_comparisons,
    import_comparisons,
    read_about,
)
from prefrl.storage.records import Counts, Episode, Lease, PoolEntry, QueryRecord, WorkerStatus

__all__ = [
    "Counts",
    "Episode",
    "ExportReport",
    "ImportReport",
    "Lease",
    "PoolEntry",
    "QueryRecord",
    "Store",
    "StoreError",
    "WorkerStatus",
    "export_comparisons",
    "import_comparisons",
    "read_about",
]
