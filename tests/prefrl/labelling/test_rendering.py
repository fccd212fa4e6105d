"""Segments rendered as recorded frames, from states, and as texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from prefrl.data.clips import Clip, encode_clip
from prefrl.data.types import Provenance, Segment
from prefrl.labelling.rendering import SegmentRenderer, Text
from prefrl.storage import Store

STEPS = 6


def segment(actions: np.ndarray | None = None) -> Segment:
    flags, zeros = np.zeros(STEPS, bool), np.zeros(STEPS, np.float32)
    actions = np.zeros(STEPS, int) if actions is None else actions
    return Segment(zeros[:, None], actions, zeros, flags, flags, Provenance("Test-v0", 0, 0, 0))


class FakeSimulator(gym.Env[Any, Any]):
    """Has the interface of MuJoCo's environments: a state is one position and one velocity."""

    class model:
        nq = 1

    class data:
        qpos = qvel = np.zeros(1)

    def reset(self, **_: Any) -> tuple[Any, dict[str, Any]]:
        return None, {}

    def set_state(self, positions: np.ndarray, velocities: np.ndarray) -> None:
        self.position = positions[0]

    def render(self) -> Any:
        return np.full((2, 2, 3), self.position, np.uint8)


def rendered(tmp_path: Path, clip: Clip | None, env: Any = None, fps: float = 10.0, one: Any = None) -> Any:
    one = one or segment()
    with Store.open(tmp_path / "store.sqlite", create=True) as store:
        clips = {} if clip is None else {one.id: encode_clip(clip)}
        store.add_segments([one], keep_unqueried=10, clips=clips)
        renderer = SegmentRenderer(store, lambda _: env, fps)
        item = renderer.item(one.id)
        renderer.close()
    return item


def test_recorded_frames_are_returned_unchanged(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (STEPS, 4, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(rendered(tmp_path, Clip(frames=frames)), frames)


@pytest.mark.parametrize(("fps", "positions"), [(30.0, [0, 1, 2, 3, 4, 5]), (125.0, [0, 0, 0, 0, 4, 4])])
def test_states_are_rendered_at_most_30_times_per_second(
    tmp_path: Path, fps: float, positions: list[int]
) -> None:
    states = np.stack([np.arange(STEPS), np.zeros(STEPS)], axis=1).astype(float)
    frames = rendered(tmp_path, Clip(states=states), FakeSimulator(), fps)
    assert frames[:, 0, 0, 0].tolist() == positions


def test_states_of_another_environment_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\) cannot be drawn.*states have shape \(2,\)"):
        rendered(tmp_path, Clip(states=np.zeros((STEPS, 3))), FakeSimulator())


def test_a_text_segment_is_rendered_as_text(tmp_path: Path) -> None:
    env = gym.make("prefrl_envs:prefrl/RankedAnswers-v0", render_mode="rgb_array")
    actions = np.array([0, 1, 2, 3, 4, 2])
    item = rendered(tmp_path, None, env, one=segment(actions))
    assert item == Text("What is the capital of France?", "The capital of France is Paris.")


def test_text_environments_need_no_render_mode(tmp_path: Path) -> None:
    def make(render_mode: str | None) -> gym.Env[Any, Any]:
        return gym.make("prefrl_envs:prefrl/Reviews-v0", render_mode=render_mode)

    env = make(None)
    tokenizer = env.unwrapped.task.tokenizer  # type: ignore[attr-defined]
    prompt, response = tokenizer.encode("the kettle finish is"), tokenizer.encode("very nice")
    observation = np.zeros((1, 2 + env.observation_space["input_ids"].shape[0]), np.int32)  # type: ignore[index]
    observation[0, :2] = len(prompt) + len(response), len(prompt)
    observation[0, 2 : 2 + len(prompt) + len(response)] = [*prompt, *response]
    ends, zero = np.ones(1, bool), np.zeros(1, np.float32)
    text = Segment(
        observation, np.array([tokenizer.eos_id]), zero, ends, ~ends, Provenance("Reviews-v0", 0, 1, 0)
    )
    with Store.open(tmp_path / "store.sqlite", create=True) as store:
        store.add_segments([text], 1)
        renderer = SegmentRenderer(store, make, 30.0)
        assert renderer.item(text.id) == Text("the kettle finish is", "very nice")
        renderer.close()


def test_a_segment_without_clip_and_text_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no clip and Test-v0 no text.*--oracle human"):
        rendered(tmp_path, None, FakeSimulator())
