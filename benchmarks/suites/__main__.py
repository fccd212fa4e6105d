"""``python -m benchmarks.suites``: list the suites."""

from __future__ import annotations

from benchmarks.suites import describe, suite_names


def main() -> None:
    """Print a line per suite."""
    names = suite_names()
    for name in names:
        print(f"{name:<{max(map(len, names))}}  {describe(name)}")
    print("\nRun one: python -m benchmarks.suites.NAME --help")


if __name__ == "__main__":
    main()
