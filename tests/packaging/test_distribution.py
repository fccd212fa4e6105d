"""The built wheel, in an environment outside the checkout that holds nothing else of ours."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

pytestmark = pytest.mark.slow

Run = Callable[..., CompletedProcess[str]]

PACKAGES = ("prefrl", "envs/prefrl_envs", "agents/prefrl_agents")
IMPORT_ALL = """
import json, pathlib, pkgutil, sys
import prefrl, prefrl_envs, prefrl_agents

files = []
for package in (prefrl, prefrl_envs, prefrl_agents):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            files.append(__import__(module.name, fromlist=["_"]).__file__)
print(json.dumps(files))
"""


@dataclass(frozen=True)
class Built:
    """A source distribution and the wheel that was built from it, and the environment that the wheel is in."""

    sdist: Path
    wheel: Path
    env: Path

    @property
    def python(self) -> str:
        return str(self.env / "bin" / "python")


@pytest.fixture(scope="module")
def built(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """What `python -m build` makes: the wheel comes out of the unpacked source distribution, not of the checkout."""
    folder = tmp_path_factory.mktemp("built")
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(checkout))
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    env = folder / "env"
    venv.create(env)
    # What prefrl depends on is lent by the environment of the tests. A folder that a .pth file names has no .pth
    # files of its own read, so the checkout, which one of them names there, is not lent.
    lent = sysconfig.get_path("purelib")
    (site_packages,) = (env / "lib").glob("python*/site-packages")
    (site_packages / "lent.pth").write_text(f"{lent}\n")
    pip = (sys.executable, "-m", "pip", "--python", str(env / "bin" / "python"))
    _run(*pip, "install", "--no-deps", "--no-index", "--quiet", str(wheel))
    return Built(sdist, wheel, env)


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}{result.stderr}"


def _committed(checkout: Path, folder: str) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", folder], cwd=checkout, capture_output=True, text=True, check=True
    )
    return {line for line in listed.stdout.splitlines() if (checkout / line).is_file()}


def test_the_wheel_holds_every_committed_file_of_the_packages_and_nothing_else(
    built: Built, checkout: Path
) -> None:
    if not (checkout / ".git").exists():
        pytest.skip("this is no git checkout")
    with zipfile.ZipFile(built.wheel) as wheel:
        inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    committed = {
        str(Path(name).relative_to(Path(package).parent))
        for package in PACKAGES
        for name in _committed(checkout, package)
    }
    assert committed <= inside
    assert {
        name for name in inside if not name.startswith(("prefrl/", "prefrl_envs/", "prefrl_agents/"))
    } == set()
    assert {"prefrl/py.typed", "prefrl_envs/py.typed", "prefrl_agents/py.typed"} <= inside
    assert any(name.startswith("prefrl/labelling/instructions/") for name in inside)


def test_the_source_distribution_holds_the_tests_and_what_runs_them(built: Built) -> None:
    with tarfile.open(built.sdist) as sdist:
        inside = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "Makefile", "requirements.lock", "README.md", "LICENSE"} <= inside
    assert {"tests/conftest.py", "benchmarks/__init__.py"} <= inside


def test_every_module_of_the_installed_wheel_imports_and_comes_from_it(built: Built, run: Run) -> None:
    files = json.loads(run(built.python, "-c", IMPORT_ALL, PYTHONPATH="").stdout)
    assert len(files) > 100
    assert [name for name in files if not Path(name).is_relative_to(built.env)] == []


def test_the_installed_wheel_trains_a_penguin(built: Built, run: Run, tmp_path: Path) -> None:
    command = str(built.env / "bin" / "prefrl")
    words = ("train", "penguin", "--steps", "2048", "--labels", "30", "--run", "run")
    result = json.loads(run(command, *words, PYTHONPATH="").stdout.splitlines()[-1])
    assert (result["env_id"], result["labels"]) == ("prefrl/PenguinIce-v0", 30)
    assert (tmp_path / "run" / "store.sqlite").is_file()
