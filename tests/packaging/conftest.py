"""Commands as a person starts them: in a process, from a folder that is not the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the repository."""
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def console_script() -> str:
    """The command `prefrl` of the environment that runs the tests."""
    return str(Path(sys.executable).with_name("prefrl"))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a command in an empty folder, without a screen; returns it when it has ended, its output captured."""

    def start(*command: str, status: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        screenless = {"SDL_VIDEODRIVER": "dummy", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        result = subprocess.run(
            command, cwd=tmp_path, env=os.environ | screenless | variables, capture_output=True, text=True
        )
        assert result.returncode == status, f"{' '.join(command)}\n{result.stdout}{result.stderr}"
        return result

    return start
