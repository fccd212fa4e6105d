"""Runs ``prefrl`` as if some packages were not installed: ``python only_extra.py MODULES PACKAGES COMMAND ...``.

Both are JSON lists: names as they are imported, and as they are installed.
"""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import json
import sys
from collections.abc import Iterator
from typing import Any


class _Hiding:
    """Finds on the path what `PathFinder` finds, but for some packages."""

    def __init__(self, modules: set[str], packages: set[str]) -> None:
        self._modules, self._packages = modules, packages

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] in self._modules:
            return None
        return importlib.machinery.PathFinder.find_spec(name, path, target)

    def find_distributions(self, context: Any) -> Iterator[Any]:
        found = importlib.metadata.MetadataPathFinder.find_distributions(context)
        return (each for each in found if each.metadata["Name"] not in self._packages)

    def invalidate_caches(self) -> None:
        importlib.machinery.PathFinder.invalidate_caches()


if __name__ == "__main__":
    hiding = _Hiding(set(json.loads(sys.argv.pop(1))), set(json.loads(sys.argv.pop(1))))
    sys.meta_path[:] = [hiding if each is importlib.machinery.PathFinder else each for each in sys.meta_path]  # type: ignore[misc,list-item]
    from prefrl.cli import main

    sys.exit(main(sys.argv[1:]))
