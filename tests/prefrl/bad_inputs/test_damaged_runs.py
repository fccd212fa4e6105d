"""Files of a run that are damaged, foreign or from a newer release are named, and left unchanged."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from safetensors import safe_open
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from prefrl import LearnedReward
from prefrl.data.spaces import SpaceSpec
from prefrl.reward.tensor_files import RewardFileError
from prefrl.storage.run_dir import RunDir

Damage = Callable[[Path], None]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def scribble(path: Path) -> None:
    path.write_bytes(b"once upon a time " * 200)


def remove(path: Path) -> None:
    path.unlink()


def as_list(path: Path) -> None:
    path.write_text("[1, 2]")


def as_other_object(path: Path) -> None:
    path.write_text('{"colour": "red"}')


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def foreign_database(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE recipes (name TEXT)")
    database.close()


def from_the_future(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("UPDATE meta SET value = 99 WHERE key = 'schema_version'")
    database.close()


def foreign_tensors(path: Path) -> None:
    save_file({"weight": np.ones(3, np.float32)}, path)


ON_THE_STORE = [["status"], ["export", "exported"], ["fit", "--out", "out"]]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def refused(
    prefrl: Callable[..., Any], contents: Callable[[Path], dict[str, str]], tmp_path: Path
) -> Callable[..., None]:
    """Runs a command that must fail with a message that contains these words, and change no file."""

    def check(run: RunDir, words: list[str], *said: str) -> None:
        before = contents(tmp_path)
        prefrl(words[0], run.path, *words[1:]).refuses(*said)
        assert contents(tmp_path) == before

    return check


@pytest.mark.parametrize("words", ON_THE_STORE)
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "store.sqlite: database disk image is malformed"),
        (scribble, "this is no SQLite file"),
        (as_folder, "store.sqlite: is a folder"),
        (foreign_database, "an SQLite file of another program"),
        (from_the_future, "schema version 99, this prefrl knows 1"),
    ],
)
def test_a_damaged_store_is_reported(
    refused: Callable[..., None], trained: RunDir, words: list[str], damage: Damage, said: str
) -> None:
    damage(trained.store)
    refused(trained, words, said)


@pytest.mark.parametrize(
    ("damage", "said"), [(empty, "the file is empty"), (remove, "store.sqlite: does not exist")]
)
@pytest.mark.parametrize("words", [["export", "exported"], ["fit", "--out", "out"]])
def test_an_empty_store_is_reported(
    refused: Callable[..., None], trained: RunDir, words: list[str], damage: Damage, said: str
) -> None:
    # `status` tells of such a run: it was killed at its very start.
    damage(trained.store)
    refused(trained, words, said)


@pytest.mark.parametrize("damage", [cut, scribble, as_folder, foreign_database, from_the_future])
def test_a_run_with_a_damaged_store_is_not_resumed(
    refused: Callable[..., None], trained: RunDir, damage: Damage
) -> None:
    trained.result.unlink()
    damage(trained.store)
    refused(trained, ["resume"], "store.sqlite:")


@pytest.mark.parametrize("damage", [cut, scribble, empty, as_list, as_other_object, as_folder])
@pytest.mark.parametrize("words", [["status"], ["resume"], ["eval"], ["watch", "--gif", "film.gif"]])
def test_a_damaged_config_is_reported(
    refused: Callable[..., None], trained: RunDir, words: list[str], damage: Damage
) -> None:
    trained.result.unlink()  # a finished run's result is printed whatever its settings were
    damage(trained.config_file)
    refused(trained, words, "config.json")


@pytest.mark.parametrize("damage", [cut, scribble, empty, as_list, as_other_object])
@pytest.mark.parametrize("words", [["export", "exported"], ["fit", "--out", "out"]])
def test_damaged_specs_are_reported(
    refused: Callable[..., None], trained: RunDir, words: list[str], damage: Damage
) -> None:
    damage(trained.spaces)
    refused(trained, words, "spaces.json")


@pytest.mark.parametrize("damage", [cut, scribble, empty, as_list, as_other_object])
def test_a_damaged_result_is_reported(refused: Callable[..., None], trained: RunDir, damage: Damage) -> None:
    damage(trained.result)
    refused(trained, ["resume"], "result.json", "delete it")


@pytest.mark.parametrize("damage", [cut, scribble, empty, as_list, as_other_object])
@pytest.mark.parametrize("words", [["eval"], ["watch", "--gif", "film.gif"]])
def test_a_damaged_pointer_to_the_agent_is_reported(
    refused: Callable[..., None], trained: RunDir, words: list[str], damage: Damage
) -> None:
    damage(trained.agent / "latest.json")
    refused(trained, words, "agent/latest.json", "restore the run")


@pytest.mark.parametrize("damage", [cut, scribble, empty, remove])
@pytest.mark.parametrize("words", [["eval"], ["watch", "--gif", "film.gif"]])
def test_a_damaged_agent_is_reported(
    refused: Callable[..., None], trained: RunDir, words: list[str], damage: Damage
) -> None:
    # Whichever is damaged, the one saved before it is used; with all of them damaged there is none.
    for saved in trained.agent.glob("*/agent.safetensors"):
        damage(saved)
    refused(trained, words, "agent.safetensors", "restore the run")


@pytest.mark.parametrize("damage", [cut, scribble, empty, remove, foreign_tensors])
def test_a_damaged_reward_is_reported(refused: Callable[..., None], trained: RunDir, damage: Damage) -> None:
    weights = trained.reward / json.loads((trained.reward / "latest.json").read_text())["file"]
    damage(weights)
    refused(trained, ["watch", "--gif", "film.gif"], weights.name, "latest.json", "delete")
    with pytest.raises(RewardFileError, match=weights.name):
        LearnedReward.load(trained.path)
    with pytest.raises(RewardFileError, match=weights.name):
        LearnedReward.load(weights)


@pytest.mark.parametrize("damage", [cut, scribble, empty, as_list, as_other_object])
def test_a_damaged_pointer_to_the_reward_is_reported(
    refused: Callable[..., None], trained: RunDir, damage: Damage
) -> None:
    damage(trained.reward / "latest.json")
    refused(trained, ["watch", "--gif", "film.gif"], "reward/latest.json", "delete it to publish anew")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"format": "prefrl-comparisons"}, "no prefrl-learned-reward file"),
        ({"format_version": "3"}, "version 3"),
        ({"header": "{}"}, "does not have the checksum"),
        ({"header": "{"}, "does not have the checksum"),
        ({"sha256": "0" * 64}, "damaged"),
    ],
)
def test_a_reward_file_with_an_invalid_header_is_refused(
    trained: RunDir, header: dict[str, str], said: str
) -> None:
    weights = sorted(trained.reward.glob("0*.safetensors"))[-1]
    with safe_open(weights, framework="pt") as file:
        metadata = file.metadata() | header
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    other = trained.path / "other.safetensors"
    save_tensors(tensors, other, metadata)
    with pytest.raises(RewardFileError, match=said):
        LearnedReward.load(other)


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("about.json", cut, "about.json"),
        ("about.json", as_other_object, "about.json"),
        ("about.json", remove, "about.json"),
        ("comparisons.jsonl", cut, "comparisons.jsonl"),
        ("comparisons.jsonl", scribble, "comparisons.jsonl"),
        ("comparisons.jsonl", remove, "comparisons.jsonl"),
        ("segments-00000.npz", cut, "segments-"),
        ("segments-00000.npz", scribble, "segments-"),
        ("segments-00000.npz", remove, "segments-"),
    ],
)
def test_a_damaged_export_adds_nothing(
    prefrl: Callable[..., Any],
    contents: Callable[[Path], dict[str, str]],
    trained: RunDir,
    fresh: RunDir,
    name: str,
    damage: Damage,
    said: str,
) -> None:
    exported = trained.path.parent / "exported"
    assert prefrl("export", trained.path, exported).status == 0
    (path,) = [path for path in exported.iterdir() if path.name.split("-")[0] == name.split("-")[0]]
    damage(path)
    before = contents(fresh.path)
    prefrl("import", exported, fresh.path).refuses(said)
    assert contents(fresh.path) == before


def test_an_export_of_other_observations_adds_nothing(
    prefrl: Callable[..., Any], contents: Callable[[Path], dict[str, str]], trained: RunDir, fresh: RunDir
) -> None:
    exported = trained.path.parent / "exported"
    assert prefrl("export", trained.path, exported).status == 0
    spec = SpaceSpec.of(spaces.Box(-1.0, 1.0, (3,)))
    fresh.write_specs(spec, spec)
    before = contents(fresh.path)
    prefrl("import", exported, fresh.path).refuses("import into a run of the same environment")
    assert contents(fresh.path) == before


@pytest.mark.parametrize(("command", "made"), [("export", "comparisons.jsonl"), ("fit", "latest.json")])
def test_a_folder_in_use_is_not_overwritten(
    prefrl: Callable[..., Any],
    contents: Callable[[Path], dict[str, str]],
    trained: RunDir,
    tmp_path: Path,
    command: str,
    made: str,
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    shutil.copy(trained.config_file, target / made)
    before = contents(target)
    words = [target] if command == "export" else ["--out", target]
    prefrl(command, trained.path, *words).refuses(str(target))
    assert contents(target) == before
