"""Commands without the modules of an optional extra."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from prefrl.cli import main, presets_command
from prefrl.storage.run_dir import RunDir

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("module", "extra"),
    [("matplotlib.pyplot", "plots"), ("pygame", "human"), ("PIL.Image", "human"), ("cv2", "atari")],
)
def test_the_extra_that_brings_a_missing_module_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, module: str, extra: str
) -> None:
    def command(words: list[str]) -> int:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(presets_command, "main", command)
    assert main(["presets"]) == 1
    said = f'prefrl presets: No module named {module!r}; install it with: pip install "prefrl[{extra}]"\n'
    assert capsys.readouterr().err == said


def test_an_environment_without_its_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "ale_py", None)
    words = ["train", "--env", "ale_py:ALE/Pong-v5", "--run", str(tmp_path / "run")]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "'ale_py:ALE/Pong-v5' needs a module that is not installed" in said
    assert 'install it with: pip install "prefrl[atari]"' in said
    assert list(tmp_path.iterdir()) == []


def test_a_window_without_pygame_names_its_extra_once(
    trained: RunDir, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    assert main(["watch", str(trained.path), "--episodes", "1"]) == 1
    said = capsys.readouterr().err
    assert said.count('pip install "prefrl[human]"') == 1


def test_a_module_that_no_extra_brings_is_our_mistake_and_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def command(words: list[str]) -> int:
        raise ModuleNotFoundError("No module named 'prefrl.gone'", name="prefrl.gone")

    monkeypatch.setattr(presets_command, "main", command)
    with pytest.raises(ModuleNotFoundError):
        main(["presets"])
