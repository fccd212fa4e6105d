"""`prefrl export` and `prefrl import`."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from prefrl.cli import main
from prefrl.config import EnvConfig, OracleConfig, RunConfig
from prefrl.data.clips import Clip, encode_clip
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Comparison, Provenance, Query, Segment
from prefrl.loop.environments import spaces_of
from prefrl.runtime.serial import SerialLauncher
from prefrl.storage import Store, export_comparisons, read_about
from prefrl.storage.run_dir import RunDir
from prefrl_agents import load_agent
from prefrl_agents.factory import build_agent

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def export(trained: RunDir, tmp_path: Path, capsys: Capture) -> Path:
    folder = tmp_path / "export"
    assert main(["export", str(trained.path), str(folder)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["folder"] == str(folder)
    assert printed["comparisons"] == printed["queries"] == 12
    return folder


def error_of(words: list[str], capsys: Capture) -> str:
    assert main(words) == 1
    return capsys.readouterr().err


def test_an_export_describes_the_layout_of_observations_and_actions(trained: RunDir, export: Path) -> None:
    spaces = read_about(export)["spaces"]
    assert (
        SpaceSpec.from_json(spaces["observation"]),
        SpaceSpec.from_json(spaces["action"]),
    ) == trained.specs()


def test_the_agent_is_exported_for_stable_baselines3(
    trained: RunDir, tmp_path: Path, capsys: Capture
) -> None:
    assert main(["export", str(trained.path), str(tmp_path / "export"), "--agent"]) == 0
    exported, saved = PPO.load(tmp_path / "export" / "agent.zip"), load_agent(trained.agent)
    assert exported.num_timesteps == saved.num_timesteps > 0
    for name, weight in saved.policy.state_dict().items():
        assert torch.equal(exported.policy.state_dict()[name], weight), name
    damaged = RunDir(shutil.copytree(trained.path, tmp_path / "damaged"))
    (damaged.agent / "latest.json").write_text("{}")
    assert "latest.json" in error_of(["export", str(damaged.path), str(tmp_path / "no"), "--agent"], capsys)
    assert not (tmp_path / "no").exists()


def test_imported_comparisons_are_added_once_and_count_as_labels(
    export: Path, fresh: RunDir, capsys: Capture
) -> None:
    for added, there in ((12, 0), (0, 12)):
        assert main(["import", str(export), str(fresh.path)]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert (printed["comparisons"], printed["comparisons_already_there"]) == (added, there)
        assert (printed["labels"], printed["label_budget"]) == (12, 12)


def test_a_run_learns_from_imported_comparisons_and_asks_for_fewer_labels(
    trained: RunDir, tmp_path: Path, fresh: RunDir, capsys: Capture
) -> None:
    with Store.open(trained.store) as store, Store.open(tmp_path / "some.sqlite", create=True) as some:
        for item in store.labelled()[:7]:
            some.add_segments(item.query.segments, keep_unqueried=100)
            (query_id,) = some.add_queries([item.query])
            some.add_comparisons([type(item.comparison)(query_id, item.comparison.ranks)])
        observation, action = trained.specs()
        spaces = {"observation": observation.to_json(), "action": action.to_json()}
        export_comparisons(some, tmp_path / "export", spaces)
    assert main(["import", str(tmp_path / "export"), str(fresh.path)]) == 0
    result = SerialLauncher(fresh, build_agent).launch()
    assert result is not None
    assert result.labels == 12
    with Store.open(fresh.store) as store:
        assert store.counts().queries == 12  # 7 imported, 5 asked
        assert store.counters()["reward_labels"] == 12


def test_importing_into_a_finished_run_prints_a_note(trained: RunDir, export: Path, capsys: Capture) -> None:
    # All there already, so that nothing is written.
    assert main(["import", str(export), str(trained.path)]) == 0
    assert "finished and learns no more" in capsys.readouterr().err


def test_importing_from_another_environment_with_the_same_spaces_prints_a_note(
    export: Path, tmp_path: Path, capsys: Capture
) -> None:
    config = RunConfig(env=EnvConfig("prefrl/PenguinIceReward-v0"))
    run = RunDir.create(tmp_path / "other", config)
    observation, action = spaces_of(EnvConfig("prefrl/PenguinIce-v0"))
    run.write_specs(observation, action)
    assert main(["import", str(export), str(run.path)]) == 0
    assert "come from prefrl/PenguinIce-v0" in capsys.readouterr().err


def test_a_run_with_other_spaces_is_refused_and_unchanged(
    export: Path, tmp_path: Path, capsys: Capture
) -> None:
    run = RunDir.create(tmp_path / "pendulum", RunConfig())
    run.write_specs(*spaces_of(EnvConfig()))
    error = error_of(["import", str(export), str(run.path)], capsys)
    assert "observations" in error
    assert "same environment" in error
    assert not run.store.exists()


def test_segments_that_contradict_their_description_are_refused_and_the_run_is_unchanged(
    trained: RunDir, tmp_path: Path, fresh: RunDir, capsys: Capture
) -> None:
    with Store.open(trained.store) as store, Store.open(tmp_path / "some.sqlite", create=True) as some:
        query = store.labelled()[0].query
        odd = [dataclasses.replace(segment, actions=segment.actions + 100) for segment in query.segments]
        some.add_segments(odd, keep_unqueried=100)
        (query_id,) = some.add_queries([Query(tuple(odd))])
        some.add_comparisons([Comparison(query_id, (1, 2))])
        observation, action = trained.specs()
        spaces = {"observation": observation.to_json(), "action": action.to_json()}
        export_comparisons(some, tmp_path / "export", spaces)
    error = error_of(["import", str(tmp_path / "export"), str(fresh.path)], capsys)
    assert "segments-00000.npz: segment 0 contradicts about.json: actions hold a category outside" in error
    with Store.open(fresh.store) as store:
        assert (store.counts().segments, store.counts().comparisons) == (0, 0)


def test_export_errors_name_the_way_out(
    trained: RunDir, fresh: RunDir, tmp_path: Path, capsys: Capture
) -> None:
    assert "no comparisons" in error_of(["export", str(fresh.path), str(tmp_path / "new")], capsys)
    assert not (tmp_path / "new").exists()
    assert "prefrl train" in error_of(["export", str(tmp_path / "none"), str(tmp_path / "new")], capsys)
    assert "not empty" in error_of(["export", str(trained.path), str(fresh.path)], capsys)


def test_import_errors_name_the_way_out(
    trained: RunDir, export: Path, fresh: RunDir, tmp_path: Path, capsys: Capture
) -> None:
    assert "prefrl train" in error_of(["import", str(export), str(tmp_path / "none")], capsys)
    assert "about.json" in error_of(["import", str(tmp_path / "none"), str(fresh.path)], capsys)
    with Store.open(trained.store) as store:
        export_comparisons(store, tmp_path / "without")
    error = error_of(["import", str(tmp_path / "without"), str(fresh.path)], capsys)
    assert "does not describe" in error
    assert "prefrl export" in error


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_clips_are_written_with_their_answers(
    people: RunDir, tmp_path: Path, kind: str, capsys: Capture
) -> None:
    assert main(["export", str(people.path), str(tmp_path / "export"), "--clips", kind]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["films"], printed["queries_without_clips"]) == (2, 1)
    written = sorted(path.name for path in (tmp_path / "export" / "clips").iterdir())
    assert written == [f"000001-ann.{kind}", f"000002-bob.{kind}"]


@pytest.fixture
def people(tmp_path: Path) -> RunDir:
    """Three answers, one of them changed later and one to a query without clips."""
    run = RunDir.create(tmp_path / "people", RunConfig(oracle=OracleConfig("human")))
    with Store.open(run.store, create=True) as store:
        for number in range(3):
            pair = segment(2 * number), segment(2 * number + 1)
            clip = encode_clip(Clip(frames=np.zeros((3, 40, 40, 3), np.uint8)))
            clips = {one.id: clip for one in pair} if number < 2 else {}
            store.add_segments(pair, keep_unqueried=100, clips=clips)
            store.add_queries([Query(pair)])
        store.add_comparisons([Comparison(1, (1, 2), "ann")])
        store.add_comparisons([Comparison(1, (1, 1), "ann"), Comparison(2, None, "bob")])
        store.add_comparisons([Comparison(3, (1, 2), "bob")])
    run.write_specs(*spaces_of(run.config().env))
    return run


def segment(number: int) -> Segment:
    flags, rewards = np.zeros(3, bool), np.full(3, number, np.float32)
    actions, provenance = rewards[:, None], Provenance("Pendulum-v1", 0, number, 0)
    return Segment(np.stack([rewards] * 3, axis=1), actions, rewards, flags, flags, provenance)
