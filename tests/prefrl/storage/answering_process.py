"""A process that works on a store until it is killed or done; it prints a line for each thing it has done.

Usage: answering_process.py answer|lease|create STORE NAME
"""

from __future__ import annotations

import sys

from prefrl.data.types import Comparison
from prefrl.storage import Store


def answer(store: Store, name: str) -> None:
    """Answer query 1 again and again, two comparisons a transaction; print their ids once they are stored."""
    while True:
        first, second = store.add_comparisons([Comparison(1, (1, 2), name), Comparison(1, None, name)])
        print(first, second, flush=True)


def lease(store: Store, name: str) -> None:
    """Lease query after query, answering each; print their ids before the answer."""
    while (query := store.lease(name, lease_s=1000)) is not None:
        assert query.id is not None
        print(query.id, flush=True)
        store.add_comparisons([Comparison(query.id, (1, 1), name)])


def create(store: Store, name: str) -> None:
    """Create, or open, a number of other stores."""
    for number in range(10):
        with Store.open(f"{sys.argv[2]}-{number}", create=True) as new:
            new.beat(name, 1, "here")


if __name__ == "__main__":
    with Store.open(sys.argv[2]) as opened:
        {"answer": answer, "lease": lease, "create": create}[sys.argv[1]](opened, sys.argv[3])
