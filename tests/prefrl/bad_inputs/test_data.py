"""Segments, queries and answers that contradict themselves or the store, which stays unchanged."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from prefrl import LearnedReward
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Comparison, LabelledQuery, Provenance, Query, Segment
from prefrl.oracles import ScriptedOracle
from prefrl.recording.segment_recorder import SegmentRecorder
from prefrl.storage import Episode, Store, StoreError
from prefrl.storage.run_dir import RunDir


def arrays(steps: int = 4) -> dict[str, np.ndarray]:
    return {
        "observations": np.zeros((steps, 3), np.float32),
        "actions": np.zeros((steps, 1), np.float32),
        "true_rewards": np.zeros(steps, np.float32),
        "terminated": np.zeros(steps, bool),
        "truncated": np.zeros(steps, bool),
    }


def segment(number: int = 0, **changes: Any) -> Segment:
    return Segment(**(arrays() | changes), provenance=Provenance("Env-v0", number, 10, 0))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({name: array[:0] for name, array in arrays().items()}, "at least one step"),
        ({"observations": np.zeros((3, 3), np.float32)}, "4 true rewards has 3 observations"),
        ({"actions": np.zeros((5, 1), np.float32)}, "has 5 actions"),
        ({"terminated": np.zeros(3, bool)}, "has 3 terminated"),
        ({"true_rewards": np.array([0.0, np.nan, 0.0, 0.0])}, "true_rewards that is not finite"),
        ({"true_rewards": np.array([0.0, np.inf, 0.0, 0.0])}, "true_rewards that is not finite"),
        ({"observations": np.full((4, 3), np.nan)}, "observations that is not finite"),
        ({"actions": np.full((4, 1), -np.inf)}, "actions that is not finite"),
        ({"true_rewards": np.zeros((4, 1))}, r"true_rewards of shape \(4, 1\); \(4,\) is needed"),
        ({"observations": np.array(["a"] * 4)}, "dtype <U1; numbers or booleans"),
        ({"actions": np.array([None] * 4)}, "dtype object; numbers or booleans"),
    ],
)
def test_inconsistent_segments_are_refused(changes: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        segment(**changes)


@pytest.mark.parametrize(
    "ranks", [(), (1,), (0, 1), (2, 2), (2, 3), (1, -1), (1.0, 2.0), (True, 2), ("1", "2"), (1, None)]
)
def test_malformed_ranks_are_refused(ranks: Any) -> None:
    with pytest.raises(ValueError, match="whole numbers of which the best is 1"):
        Comparison(1, ranks)


def test_a_query_of_one_segment_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 segments, got 1"):
        Query((segment(),))


def test_an_answer_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="3 ranks answer a query of 2 segments"):
        LabelledQuery(Query((segment(1), segment(2))), Comparison(1, (1, 2, 3)))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with two segments and one open query on them, number 1."""
    with Store.open(tmp_path / "store.sqlite", create=True) as opened:
        opened.add_segments([segment(1), segment(2)], 100)
        opened.add_queries([Query((segment(1), segment(2)))])
        yield opened


@pytest.mark.parametrize(
    ("comparison", "said"),
    [
        (Comparison(99, (1, 2)), "query 99 is not in the store"),
        (Comparison(0, (1, 2)), "query 0 is not in the store"),
        (Comparison(1, (1, 2, 3)), "3 ranks answer query 1, which has 2"),
        (Comparison(1, (1, 2), latency_s=math.nan), "latency_s is nan"),
        (Comparison(1, (1, 2), time_s=math.inf), "time_s is inf"),
        (Comparison(1, (1, 2), supersedes=7), "comparison 7 cannot be superseded"),
    ],
)
def test_the_store_refuses_invalid_answers(store: Store, comparison: Comparison, said: str) -> None:
    before = store.counts()
    sound = Comparison(1, (2, 1), annotator="ann")
    with pytest.raises(StoreError, match=said):
        store.add_comparisons([sound, comparison])
    assert store.counts() == before


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (Query((segment(1), segment(9))), "segment .* not in the store"),
        (Query((segment(1), segment(2)), score=math.nan), "score is nan"),
        (Query((segment(1), segment(2)), repeat_of=44), "query 44 is not in the store"),
    ],
)
def test_the_store_refuses_invalid_queries(store: Store, query: Query, said: str) -> None:
    before = store.counts()
    with pytest.raises(StoreError, match=said):
        store.add_queries([Query((segment(2), segment(1))), query])
    assert store.counts() == before


def test_the_store_refuses_provenance_that_it_cannot_restore(store: Store) -> None:
    before = store.counts()
    odd = dataclasses.replace(segment(3), provenance=Provenance("Env-v0", np.int64(3), 10, 0))  # type: ignore[arg-type]
    with pytest.raises(StoreError, match=r"convert it with int\(\) first"):
        store.add_segments([segment(4), odd], 100)
    assert store.counts() == before


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_counters_and_returns_must_be_finite(store: Store, value: float) -> None:
    with pytest.raises(StoreError, match="a finite number is needed"):
        store.set_counters({"policy_step": value})
    with pytest.raises(StoreError, match="a finite number is needed"):
        store.add_episodes([Episode(1, value, 10)])
    assert store.counters() == {}
    assert store.episode_count() == 0


@pytest.mark.parametrize("what", ["observations", "actions", "true_rewards"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_steps_that_are_not_finite_are_not_recorded(what: str, value: float) -> None:
    spec = SpaceSpec.of(spaces.Box(-1.0, 1.0, (2,)))
    recorder = SegmentRecorder(spec, spec, num_envs=2, segment_steps=3, env_id="Env-v0", seed=0)
    never = np.zeros(2, bool)
    step = {name: np.zeros((2, 2), np.float32) for name in ("observations", "actions")}
    step |= {"true_rewards": np.zeros(2, np.float32), "terminated": never, "truncated": never}
    step[what] = step[what].copy()
    step[what][1] = value
    with pytest.raises(
        ValueError, match=f"{what.removesuffix('s').replace('_', ' ')} of environment 1 is not finite"
    ):
        recorder.record(**step)
    assert recorder.policy_step == 0


@pytest.mark.parametrize(
    ("observations", "actions"),
    [
        (np.zeros((5, 7), np.float32), None),
        (None, np.zeros((5, 9), np.float32)),
        (np.zeros((4,), np.float32), None),
        (np.zeros(5, np.float32), None),
        (np.array(["a"]), None),
        (np.array([99]), None),
    ],
)
def test_a_reward_refuses_arrays_of_the_wrong_shape(
    trained: RunDir, observations: np.ndarray | None, actions: np.ndarray | None
) -> None:
    reward = LearnedReward.load(trained.path)
    sound = [np.zeros((5, *spec.shape), spec.dtype) for spec in (reward.observation_spec, reward.action_spec)]
    with pytest.raises(ValueError, match=r"shape|dtype|category outside"):
        reward.predict(
            sound[0] if observations is None else observations, sound[1] if actions is None else actions
        )


@pytest.mark.parametrize("kind", ["missing", "empty folder", "file"])
def test_a_missing_reward_is_reported(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "reward"
    if kind == "empty folder":
        path.mkdir()
    elif kind == "file":
        path.write_text("no weights")
    with pytest.raises(ValueError, match=r"no learned reward yet|there is no file|damaged"):
        LearnedReward.load(path)
    with pytest.raises(ValueError, match=r"no learned reward yet|only a folder can be followed"):
        LearnedReward.load(path, follow=True)


def test_a_script_without_answers_left_is_reported() -> None:
    query = Query((segment(1), segment(2)))
    oracle = ScriptedOracle.from_answers([(1, 2)])
    oracle.answer(query)
    with pytest.raises(ValueError, match="1 answers and one more query came; give more"):
        oracle.answer(query)
    with pytest.raises(ValueError, match="ranked 3 of a query's 2 segments"):
        ScriptedOracle.from_answers([(1, 2, 3)]).answer(query)
