"""The warning filters of pyproject.toml: our mistakes fail tests, the plans of other projects only show in the summary.

Each case is a test in a pytest run of its own, with our settings, our conftest and a made-up library.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LIBRARY = """
import warnings

def deprecated(category=DeprecationWarning):
    warnings.warn("deprecated() will be removed in 9.0", category, stacklevel=2)

def deprecated_inside():
    warnings.warn("inside is deprecated", FutureWarning)

def deprecated_by_user_warning():
    warnings.warn("two lines,\\nthe second says Deprecated", UserWarning, stacklevel=2)

def misused():
    warnings.warn("weights are not used", UserWarning, stacklevel=2)

def overflows():
    warnings.warn("overflow", RuntimeWarning)
"""

OURS = """
import warnings
import library

def calls_deprecated(category):
    library.deprecated(category)

def misuses():
    library.misused()

def deprecated_by_us(category=DeprecationWarning):
    warnings.warn("ours is deprecated", category, stacklevel=2)
"""

CASES = """
import warnings
import library, prefrl_made_up, pytest

@pytest.mark.parametrize("category", [DeprecationWarning, PendingDeprecationWarning, FutureWarning])
def test_passes_calling_deprecated(category):
    prefrl_made_up.calls_deprecated(category)

def test_passes_deprecated_inside():
    library.deprecated_inside()

def test_passes_deprecated_by_user_warning():
    library.deprecated_by_user_warning()

def test_fails_misuse_in_our_code():
    prefrl_made_up.misuses()

def test_fails_misuse_in_a_test():
    library.misused()

def test_fails_runtime_warning():
    library.overflows()

def test_fails_unclosed_file():
    open(__file__)

@pytest.mark.parametrize("category", [DeprecationWarning, FutureWarning, UserWarning])
def test_fails_our_own_deprecation(category):
    prefrl_made_up.deprecated_by_us(category)

def test_passes_our_own_deprecation_where_expected():
    with pytest.warns(DeprecationWarning, match="ours is deprecated") as caught:
        prefrl_made_up.deprecated_by_us()
    assert caught[0].filename == __file__

def test_passes_our_own_deprecation_where_ignored():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prefrl_made_up.deprecated_by_us()
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest prints of the cases."""
    folder = tmp_path_factory.mktemp("run")
    files = {"library.py": LIBRARY, "prefrl_made_up.py": OURS, "test_cases.py": CASES}
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    command = [sys.executable, "-m", "pytest", "-rA", "--color=no", "-p", "no:cacheprovider"]
    settings = ["-c", str(ROOT / "pyproject.toml"), "--confcutdir", str(folder)]
    done = subprocess.run(
        [*command, *settings, str(folder / "test_cases.py")],
        env={**os.environ, "PYTHONPATH": str(folder), "PYTEST_ADDOPTS": "", "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def test_only_our_mistakes_fail(report: str) -> None:
    outcomes = re.findall(r"^(PASSED|FAILED|ERROR) .*::(test_(passes|fails)_\w+)", report, re.MULTILINE)
    assert len(outcomes) == 14, report
    expected = {"passes": "PASSED", "fails": "FAILED"}
    assert [name for outcome, name, kind in outcomes if outcome != expected[kind]] == [], report


@pytest.mark.parametrize(
    "line",
    [
        "DeprecationWarning: deprecated() will be removed",
        "PendingDeprecationWarning: deprecated() will be removed",
        "FutureWarning: deprecated() will be removed",
        "FutureWarning: inside is deprecated",
        "UserWarning: two lines,",
    ],
)
def test_deprecations_of_others_are_in_the_summary(report: str, line: str) -> None:
    _, summary = report.split("warnings summary", 1)
    assert re.search(rf"\b{re.escape(line)}", summary), report
