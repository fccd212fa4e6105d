"""A run folder from somebody else executes nothing, whatever was put into it."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefrl.config import to_json
from prefrl.storage.run_dir import RunDir

COMMANDS = [
    ["status"],
    ["eval", "--episodes", "1"],
    ["watch", "--gif", "shown.gif", "--steps", "2"],
    ["resume"],
    ["export", "exported", "--agent"],
    ["annotators"],
    ["doctor"],
]
NEEDS_THE_AGENT = ("eval", "watch", "export")


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def ask(
    prefrl: Callable[..., Any], trained: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[list[str]], Any]:
    """A command on the run; none may have run the code in it."""
    monkeypatch.chdir(tmp_path)

    def run(words: list[str]) -> Any:
        outcome = prefrl(words[0], trained.path, *words[1:])
        assert not (tmp_path / "exploded").exists()
        assert "Traceback" not in outcome.err
        return outcome

    return run


def newest_agent(run: RunDir) -> Path:
    return run.agent / json.loads((run.agent / "latest.json").read_text())["folder"]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize("file", ["agent.json", "agent.safetensors", "model.zip", "latest.json"])
def test_a_pickle_in_place_of_any_file_of_the_agent(
    file: str, words: list[str], ask: Callable[[list[str]], Any], trained: RunDir, tmp_path: Path
) -> None:
    folder = trained.agent if file == "latest.json" else newest_agent(trained)
    (folder / file).write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    outcome = ask(words)
    if words[0] in NEEDS_THE_AGENT and file != "model.zip":
        assert outcome.status == 1
        assert file in outcome.err


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_an_agent_that_an_earlier_release_pickled(
    words: list[str], ask: Callable[[list[str]], Any], trained: RunDir, tmp_path: Path
) -> None:
    old = trained.agent / "0000000256-old"
    old.mkdir()
    (old / "model.zip").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    (trained.agent / "latest.json").write_text(json.dumps({"folder": old.name, "policy_step": 256}))
    outcome = ask(words)
    if words[0] in NEEDS_THE_AGENT:
        assert outcome.status == 1
        assert "pickle" in outcome.err
        assert "pass --trust" in outcome.err


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize("outside", ["../../elsewhere", "/", "elsewhere-link"])
def test_pointers_that_lead_out_of_the_folder(
    outside: str, words: list[str], ask: Callable[[list[str]], Any], trained: RunDir, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (trained.agent / "elsewhere-link").symlink_to(tmp_path / "elsewhere")
    pointer = json.loads((trained.agent / "latest.json").read_text())
    (trained.agent / "latest.json").write_text(json.dumps(pointer | {"folder": outside}))
    outcome = ask(words)
    if words[0] in NEEDS_THE_AGENT:
        assert outcome.status == 1
        assert "latest.json" in outcome.err or "leads out" in outcome.err or "inside" in outcome.err


@pytest.mark.parametrize(
    "words", [words for words in COMMANDS if words[0] in ("eval", "watch", "resume", "doctor")]
)
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("env.id", "bomb:Bomb-v0"),
        ("env.kwargs", {"reward": "bomb:judge"}),
        ("queries.sampler", "bomb:choose"),
        ("reward.loss", "bomb:loss"),
        ("oracle.kind", "bomb:answer"),
        ("agent.algorithm", "bomb:PPO"),
    ],
)
def test_settings_that_name_a_module(
    setting: str,
    value: Any,
    words: list[str],
    ask: Callable[[list[str]], Any],
    trained: RunDir,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "bomb.py").write_text(f"import os; os.mkdir({str(tmp_path / 'exploded')!r})")
    monkeypatch.syspath_prepend(tmp_path)
    config = to_json(trained.config())
    room, name = setting.split(".")
    config[room][name] = value
    trained.config_file.write_text(json.dumps(config))
    trained.result.unlink()
    outcome = ask(words)
    assert outcome.status == 1
    assert "names a module to import" in outcome.err
    assert "pass --trust" in outcome.err
