"""What a run knows: the store that its processes share, the run folder, and the exchange format.

The contract of a `Store`, whatever lies behind it (today one SQLite file in the run folder):

Consistency. Every method is one transaction: it happens whole or not at all, and what it reads is one state of the
store. `Store.transaction` joins several calls to one. Transactions are serial: of two processes that lease at once,
one gets the query and the other the next. Ids of comparisons grow in the order in which they are committed, so
whoever has read up to an id never misses one below it.

Durability. Once a method returns, what it wrote survives the death of every process. Answers, and all that a
`transaction` wrote, survive a power cut too: they are flushed to disk before the method returns. Segments, counters,
episodes, heartbeats and leases may be lost to a power cut, the newest first, and then with all written after them.

Append-only. Segments never change, and one that a query refers to is never dropped. Comparisons are only ever added;
the database itself refuses to change or delete one. An annotator who answers a query again supersedes the earlier
answer. The answers that count are those that nothing supersedes. "Can't tell" is an answer: superseding a label, it
withdraws it. Whoever follows the answers with `Store.labelled` keeps the newest by (query, annotator), and drops it
where that one is "can't tell".

Labels. The budget counts queries, not answers: a query with an answer that counts and is not "can't tell" is one
label, whoever else answered it. A query to be answered several times is asked again, as a query of its own
(`Query.repeat_of`).

Leases. An open query is leased to one annotator at a time, so that two are not asked the same. A lease lapses by a
clock that nothing sets (`prefrl.storage.clock`): it survives its process, but not a reboot. It is a courtesy, not a
lock: an answer is accepted with or without one. So a query whose lease lapsed may be answered by two annotators. Then
both answers are kept and learned from, as no answer given is ever lost, and the query still counts as one label.

Processes and threads. Any number of processes of one machine may have the store open, and any may be killed at any
instant; no lock outlives its holder. Readers wait for nobody. Writers wait for each other, up to a minute, then a
StoreError says so. A `Store` belongs to the thread that opened it; another thread opens its own.

Files beside the store are written by `prefrl.storage.durable`.
"""

from prefrl.storage.comparison_import import ImportReport, import_comparisons
from prefrl.storage.database import Store
from prefrl.storage.errors import StoreError
from prefrl.storage.exchange import ExportReport, export_comparisons, exported_specs, read_about
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
    "exported_specs",
    "import_comparisons",
    "read_about",
]
