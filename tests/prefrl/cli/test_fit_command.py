"""`prefrl fit`: learning a reward from saved comparisons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from safetensors.numpy import load_file

from prefrl.cli import main
from prefrl.cli.comparison_source import SavedAnswers
from prefrl.config import RunConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import CANT_TELL, Comparison, Provenance, Query, Segment
from prefrl.reward import LearnedReward, RewardTrainer
from prefrl.storage import QueryRecord, Store
from prefrl.storage.run_dir import RunDir

Capture = pytest.CaptureFixture[str]


def fit(capsys: Capture, source: Path, out: Path, *words: str) -> dict[str, Any]:
    assert main(["fit", str(source), "--out", str(out), *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    return dict(json.loads(lines[-1]))


def weights(folder: Path) -> dict[str, bytes]:
    tensors = load_file(folder / "000001.safetensors")
    return {name: tensor.tobytes() for name, tensor in tensors.items()}


def error_of(words: list[str], capsys: Capture) -> str:
    assert main(words) == 1
    return capsys.readouterr().err


def test_the_same_comparisons_and_seed_give_the_same_weights_bit_for_bit(
    trained: RunDir, tmp_path: Path, capsys: Capture
) -> None:
    main(["export", str(trained.path), str(tmp_path / "export")])
    same = [
        (trained.path, tmp_path / "a", ["--seed", "3"]),
        (trained.path, tmp_path / "b", ["--seed", "3"]),
        # An export knows no settings: those of the run are repeated.
        (
            tmp_path / "export",
            tmp_path / "c",
            ["--seed", "3", "--epochs", "5", "--reward.hidden", "16", "--reward.validation-fraction", "0"],
        ),
    ]
    for source, out, words in same:
        fit(capsys, source, out, *words)
    fit(capsys, trained.path, tmp_path / "d", "--seed", "4")
    assert weights(tmp_path / "a") == weights(tmp_path / "b") == weights(tmp_path / "c")
    assert weights(tmp_path / "a") != weights(tmp_path / "d")


def test_the_defaults_are_the_runs_settings_at_any_position_of_the_source(
    trained: RunDir, tmp_path: Path, capsys: Capture
) -> None:
    assert main(["fit", "--out", str(tmp_path / "out"), str(trained.path), "--reward.members", "2"]) == 0
    printed = json.loads(capsys.readouterr().out)
    reward = LearnedReward.load(tmp_path / "out")
    assert (reward.config.hidden, reward.config.members) == ((16,), 2)
    assert (printed["members"], printed["epochs"], printed["labels"], printed["seed"]) == (2, 5, 12, 0)
    assert (reward.observation_spec, reward.action_spec) == trained.specs()


def test_the_number_of_validation_pairs_is_reported(trained: RunDir, tmp_path: Path, capsys: Capture) -> None:
    none = fit(capsys, trained.path, tmp_path / "none", "--epochs", "2")
    assert none["epochs"] == 2
    assert none["pairs_validation"] == 0
    assert none["accuracy_validation"] is none["calibration_error_validation"] is none["log_loss_validation"]
    assert none["accuracy_validation"] is None
    assert -1.0 <= none["correlation_true_return"] <= 1.0


def test_metrics_are_those_of_the_held_out_comparisons(
    fresh: RunDir, tmp_path: Path, capsys: Capture
) -> None:
    rng = np.random.default_rng(0)
    segments = [walk(rng) for _ in range(40)]
    with Store.open(fresh.store) as store:
        store.add_segments(segments, keep_unqueried=len(segments))
        queries = [
            Query((first, second)) for first, second in zip(segments[::2], segments[1::2], strict=True)
        ]
        for query, query_id in zip(queries, store.add_queries(queries), strict=True):
            first, second = (int(segment.true_return) for segment in query.segments)
            store.add_comparisons([Comparison(query_id, (1, 2) if first > second else (2, 1))])
    words = ["--reward.validation-fraction", "0.5", "--epochs", "100"]
    printed = fit(capsys, fresh.path, tmp_path / "out", *words)
    assert 0 < printed["pairs_validation"] < 20
    assert printed["accuracy_train"] > 0.7
    assert 0.0 <= printed["accuracy_validation"] <= 1.0
    assert 0.0 <= printed["calibration_error_validation"] <= 1.0
    assert printed["log_loss_validation"] > 0.0
    assert printed["correlation_true_return"] > 0.5


def walk(rng: np.random.Generator) -> Segment:
    """Five random squares; the true reward is the number of the square."""
    squares, false = rng.integers(16, size=5), np.zeros(5, bool)
    actions = rng.integers(4, size=5)
    return Segment(squares, actions, squares.astype(np.float32), false, false, Provenance("Walk-v0", 0, 0, 0))


def test_a_fitted_reward_predicts_rewards(trained: RunDir, tmp_path: Path, capsys: Capture) -> None:
    fit(capsys, trained.path, tmp_path / "out")
    reward = LearnedReward.load(tmp_path / "out")
    assert reward.predict(np.arange(16), np.zeros(16, np.int64)).shape == (16,)


def test_a_source_without_usable_comparisons_is_refused(
    trained: RunDir, fresh: RunDir, tmp_path: Path, capsys: Capture
) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert "no comparisons" in error_of(["fit", str(fresh.path), *out], capsys)
    with Store.open(trained.store) as theirs, Store.open(fresh.store) as store:
        query = theirs.labelled(limit=1)[0].query
        store.add_segments(query.segments, keep_unqueried=2)
        store.add_comparisons([Comparison(store.add_queries([query])[0], CANT_TELL)])
    assert "can't tell" in error_of(["fit", str(fresh.path), *out], capsys)
    everything = ["--reward.validation-fraction", "0.999"]
    assert "held out" in error_of(["fit", str(trained.path), *out, *everything], capsys)
    assert not (tmp_path / "out").exists()


def test_errors_name_the_way_out(trained: RunDir, tmp_path: Path, capsys: Capture) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert "does not exist" in error_of(["fit", str(tmp_path / "none"), *out], capsys)
    assert "prefrl export" in error_of(["fit", str(tmp_path), *out], capsys)
    assert "at least 1" in error_of(["fit", str(trained.path), *out, "--epochs", "0"], capsys)
    assert "new folder" in error_of(["fit", str(trained.path), "--out", str(trained.reward)], capsys)
    beneath = trained.config_file / "out"
    assert "cannot be written" in error_of(["fit", str(trained.path), "--out", str(beneath)], capsys)
    assert "files of rankings" in error_of(["fit", str(trained.path), *out, "--skip-long"], capsys)
    unfinished = RunDir.create(tmp_path / "unfinished", RunConfig())
    assert "spaces.json" in error_of(["fit", str(unfinished.path), *out], capsys)
    with pytest.raises(SystemExit):
        main(["fit", str(trained.path)])


def test_superseded_and_older_answers_are_left_out_and_queries_are_numbered_in_order(
    trained: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prefrl.cli.comparison_source._BATCH", 2)
    with Store.open(trained.store) as theirs, Store.open(tmp_path / "store.sqlite", create=True) as store:
        segments = theirs.labelled(limit=1)[0].query.segments
        store.add_segments(segments, keep_unqueried=2)
        unanswered, *asked = store.add_query_records([QueryRecord.of(Query(segments))] * 5)
        for query_id, ranks in zip(asked, ((1, 2), (2, 1), CANT_TELL, (1, 1)), strict=True):
            store.add_comparisons([Comparison(query_id, ranks)])
        store.add_comparisons([Comparison(asked[1], (1, 2))])
        answers = SavedAnswers(store, newest=10)
        read = [item.comparison for batch in answers.batches() for item in batch]
        newest = SavedAnswers(store, newest=2)
        assert [c.id for batch in newest.batches() for c in (item.comparison for item in batch)] == [4, 5]
    assert unanswered == 1
    assert [(c.query_id, c.ranks) for c in read] == [(1, (1, 2)), (4, (1, 1)), (2, (1, 2))]


def test_conflicting_answers_are_weighted_or_merged(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty pairs, each answered by two accurate annotators and two who always press left."""
    told: list[dict[str, float]] = []
    fitted = RewardTrainer.fit

    def spy(self: RewardTrainer, epochs: int, errors: dict[str, float], *rest: Any) -> Any:
        told.append(dict(errors))
        return fitted(self, epochs, errors, *rest)

    monkeypatch.setattr(RewardTrainer, "fit", spy)
    run = RunDir.create(tmp_path / "run", RunConfig())
    run.write_specs(*SPECS)
    with Store.open(run.store, create=True) as store:
        for number in range(40):
            pair = segment(2 * number), segment(2 * number + 1)
            store.add_segments(pair, keep_unqueried=1000)
            (query,) = store.add_queries([Query(pair if number % 2 else pair[::-1])])
            ranks = (2, 1) if number % 2 else (1, 2)
            store.add_comparisons([Comparison(query, ranks, name) for name in ("ann", "bob")])
            store.add_comparisons([Comparison(query, (1, 2), name) for name in ("left", "lefty")])
    results = {
        rule: fit(capsys, run.path, tmp_path / rule, "--conflicts", rule, "--epochs", "2")
        for rule in ("trust", "majority", "dawid_skene")
    }
    assert [result["labels"] for result in results.values()] == [160, 40, 40]
    # Two against two: the votes alone cannot tell who is right, and say no more than that they differ.
    assert set(told[0]) == {"ann", "bob", "left", "lefty"}
    assert told[1:] == [{}, {}]


def segment(number: int) -> Segment:
    flags, rewards = np.zeros(3, bool), np.full(3, number, np.float32)
    return Segment(
        rewards[:, None], flags.astype(int), rewards, flags, flags, Provenance("Test-v0", 0, number, 0)
    )


SPECS = SpaceSpec.of(spaces.Box(-1e6, 1e6, (1,), np.float32)), SpaceSpec.of(spaces.Discrete(2))
