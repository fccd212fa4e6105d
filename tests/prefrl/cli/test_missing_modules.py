"""Commands without the modules of an optional extra."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from prefrl.cli import main, presets_command
from prefrl.storage.run_dir import RunDir
from prefrl_envs.extras import how_to_install

Capture = pytest.CaptureFixture[str]


def importing(module: str, importer: str) -> Callable[[list[str]], int]:
    """A command that fails like the package ``importer`` without ``module``."""
    names: dict[str, Any] = {"__name__": importer}
    exec(f"def command(words):\n    import {module}", names)
    return cast(Callable[[list[str]], int], names["command"])


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a module appear as not installed."""

    def hide(module: str) -> None:
        parents = [name for name in sys.modules if name.partition(".")[0] == module.partition(".")[0]]
        for name in {*parents, module}:
            monkeypatch.setitem(sys.modules, name, None)

    return hide


@pytest.mark.parametrize(
    ("module", "importer", "extra"),
    [
        ("matplotlib.pyplot", "prefrl_agents.text", "plots"),
        ("pygame", "prefrl.viewer.window", "human"),
        ("PIL.Image", "prefrl.viewer.gif", "human"),
        ("cv2", "gymnasium.wrappers.atari_preprocessing", "atari"),
        ("ale_py", "gymnasium.envs.registration", "atari"),
        ("mujoco", "gymnasium.envs.mujoco.mujoco_env", "mujoco"),
        ("transformers", "prefrl.text.models", "text"),
        ("transformers", "peft.peft_model", "text"),
    ],
)
def test_the_extra_that_brings_a_missing_module_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    hidden: Callable[[str], None],
    module: str,
    importer: str,
    extra: str,
) -> None:
    hidden(module)
    monkeypatch.setattr(presets_command, "main", importing(module, importer))
    assert main(["presets"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("prefrl presets: ")
    assert said.count("install it with: ") == 1
    assert f'pip install -e ".[{extra}]"' in said


@pytest.mark.parametrize(
    ("module", "importer"),
    [
        ("cv2", "my_env"),
        ("matplotlib", "my_rewards"),
        ("cv2", "transformers.image_utils"),
        ("PIL", "transformers.image_utils"),
        ("matplotlib", "ale_py.registration"),
    ],
)
def test_modules_that_other_packages_import_do_not_name_an_extra(
    monkeypatch: pytest.MonkeyPatch, hidden: Callable[[str], None], module: str, importer: str
) -> None:
    hidden(module)
    monkeypatch.setattr(presets_command, "main", importing(module, importer))
    with pytest.raises(ModuleNotFoundError):
        main(["presets"])


def test_a_module_missing_in_the_users_own_environment_does_not_name_an_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, hidden: Callable[[str], None]
) -> None:
    hidden("cv2")
    (tmp_path / "env_with_opencv.py").write_text("import cv2\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["train", "--env", "env_with_opencv:My-v0", "--run", str(tmp_path / "run")]) == 1
    said = capsys.readouterr().err
    assert "needs a module that is not installed" in said
    assert "pip install" not in said


def test_the_install_command_is_for_the_running_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    beside = str(Path(sys.executable).with_name("pip"))
    monkeypatch.setattr("prefrl_envs.extras.shutil.which", lambda name: beside)
    assert how_to_install("human").startswith('install it with: pip install -e ".[human]" (in ')
    monkeypatch.setattr("prefrl_envs.extras.shutil.which", lambda name: "/elsewhere/bin/pip")
    assert f'{sys.executable} -m pip install -e ".[human]" (in ' in how_to_install("human")


def test_texts_without_transformers_are_refused_before_a_run_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("prefrl.cli.missing_extra.importlib.util.find_spec", lambda name: None)
    assert main(["train", "text-walks", "--run", str(tmp_path / "run")]) == 1
    assert 'pip install -e ".[text]"' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_environment_without_its_module_is_refused_with_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "ale_py", None)
    words = ["train", "--env", "ale_py:ALE/Pong-v5", "--run", str(tmp_path / "run")]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "'ale_py:ALE/Pong-v5' needs a module that is not installed" in said
    assert 'pip install -e ".[atari]"' in said
    assert list(tmp_path.iterdir()) == []


def test_a_window_without_pygame_names_its_extra_once(
    trained: RunDir, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    assert main(["watch", str(trained.path), "--episodes", "1"]) == 1
    said = capsys.readouterr().err
    assert said.count('pip install -e ".[human]"') == 1


def test_a_missing_module_outside_the_extras_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def command(words: list[str]) -> int:
        raise ModuleNotFoundError("No module named 'prefrl.gone'", name="prefrl.gone")

    monkeypatch.setattr(presets_command, "main", command)
    with pytest.raises(ModuleNotFoundError):
        main(["presets"])
