"""Cuts the agents' experience into segments while they act."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from prefrl.config.modality import modality_of
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Provenance, Segment
from prefrl.recording.clip_recorder import ClipRecorder

__all__ = ["Recording", "SegmentRecorder", "check_finite"]


@dataclass(frozen=True)
class Recording:
    """What was recorded since the last one was taken."""

    policy_step: int
    """environment steps so far, over all environments"""
    segments: Sequence[Segment] = ()
    """oldest first; where people answer, those alone that can be shown"""
    clips: Mapping[str, bytes] = field(default_factory=dict)
    """encoded, by the segment's id"""
    episodes: Sequence[tuple[int, float, int]] = ()
    """(policy step, true return, length in steps) of the episodes that ended"""


def check_finite(what: str, array: np.ndarray, step: int) -> None:
    """Refuse numbers that are not finite, as an unstable simulator returns them.

    Args:
        what: "observation", "action" or "true reward", for the message.
        array: shape (N, ...), one entry per environment.
        step: environment steps taken so far, for the message.

    Raises:
        ValueError: naming the first environment whose entry holds NaN or infinity.
    """
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return
    env = int(np.argmin(np.isfinite(array).reshape(len(array), -1).all(axis=1)))
    raise ValueError(
        f"the {what} of environment {env} is not finite at step {step}: {array[env]!r}; "
        "fix the environment, or the agent if it chose such an action"
    )


class SegmentRecorder:
    """Cuts every environment's stream of steps into consecutive segments of equal length.

    By default a segment may cross the end of an episode (Christiano et al. 2017, section 2.2.1, hide episode ends).
    Each environment starts at its own offset, so that segments are not all aligned with resets.

    With ``within_episodes``, no segment crosses the end of an episode. The last segment of an episode is its last T
    steps, and may overlap the one before; an episode shorter than T gives none.

    For texts, a segment is the last step of an episode, which holds the whole text (`prefrl.data.tokens`).

    Args:
        observation_spec: layout of the observations.
        action_spec: layout of the actions.
        num_envs: number of environments stepped side by side, N.
        segment_steps: length of a segment, T.
        env_id: for the segments' provenance.
        seed: for the segments' provenance, and for the offsets.
        within_episodes: whether segments must not cross the end of an episode.
        film: records clips, for runs where people answer.
    """

    def __init__(
        self,
        observation_spec: SpaceSpec,
        action_spec: SpaceSpec,
        num_envs: int,
        segment_steps: int,
        env_id: str,
        seed: int,
        within_episodes: bool = False,
        film: ClipRecorder | None = None,
    ) -> None:
        if segment_steps < 1:
            raise ValueError(f"segment_steps is {segment_steps}; a segment has at least 1 step")
        shape = (segment_steps, num_envs)
        self._observations = np.zeros((*shape, *observation_spec.shape), observation_spec.dtype)
        self._actions = np.zeros((*shape, *action_spec.shape), action_spec.dtype)
        self._true_rewards = np.zeros(shape, np.float32)
        self._terminated = np.zeros(shape, bool)
        self._truncated = np.zeros(shape, bool)
        self._segment_steps = segment_steps
        self.env_id, self._seed = env_id, seed
        self._within_episodes = within_episodes
        self._segments_are_episodes = modality_of(observation_spec).segments_are_episodes
        self._row = 0
        """where the next step goes: the arrays are ring buffers of the newest steps"""
        # Negative: steps to skip before the first segment begins.
        self._since_cut = -(np.random.default_rng(seed).permutation(num_envs) * segment_steps // num_envs)
        self._episode_steps = np.zeros(num_envs, dtype=int)
        self._finished: list[Segment] = []
        self._clip_recorder = film
        self._clips: dict[str, bytes] = {}
        self._episodes: list[tuple[int, float, int]] = []
        self.policy_step = 0
        """environment steps recorded, over all environments; set it when a run is resumed"""
        self.reward_version = 0
        """version of the learned reward in use, for the segments' provenance"""

    @property
    def is_filmed(self) -> bool:
        """Whether clips are recorded, so that segments can be shown to people."""
        return self._clip_recorder is not None

    def capture(self) -> None:
        """Capture the environments before a step; call `record` after the step."""
        if self._clip_recorder is not None:
            self._clip_recorder.capture(self._row, self._since_cut == 0)

    def record(
        self,
        observations: np.ndarray,
        actions: np.ndarray,
        true_rewards: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
    ) -> None:
        """Record one step of all environments.

        Args:
            observations: shape (N, *obs), encoded, before the action.
            actions: shape (N, *act), encoded, as executed.
            true_rewards: shape (N,).
            terminated: shape (N,) bool.
            truncated: shape (N,) bool.

        Raises:
            ValueError: if an observation, action or reward is not finite.
        """
        for what, array in (
            ("observation", observations),
            ("action", actions),
            ("true reward", true_rewards),
        ):
            check_finite(what, array, self.policy_step)
        self.policy_step += len(true_rewards)
        row = self._row
        self._observations[row], self._actions[row], self._true_rewards[row] = (
            observations,
            actions,
            true_rewards,
        )
        self._terminated[row], self._truncated[row] = terminated, truncated
        self._row = (row + 1) % self._segment_steps
        self._since_cut += 1
        self._episode_steps += 1
        is_due = self._since_cut >= self._segment_steps
        has_ended = terminated | truncated
        if self._segments_are_episodes:
            is_due = has_ended
        elif self._within_episodes:
            is_due = (is_due | has_ended) & (self._episode_steps >= self._segment_steps)
        for env in np.flatnonzero(is_due):
            self._finished.append(self._cut(int(env)))
            self._since_cut[env] = 0
        self._end_episodes(has_ended)

    def interrupt(self) -> None:
        """Record that all environments were reset from outside, which truncates their current episodes."""
        self._truncated[self._row - 1] |= ~self._terminated[self._row - 1]
        self._end_episodes(np.ones_like(self._terminated[0]))

    def episode(self, true_return: float, length_steps: int) -> None:
        """Record the end of an episode, for evaluation and for synthetic teachers that use the policy's returns."""
        self._episodes.append((self.policy_step, true_return, length_steps))

    def take_recording(self) -> Recording:
        """What was recorded since the last call."""
        segments, clips = self.take(), self.take_clips()
        if self.is_filmed:
            # People could not be asked about the others.
            segments = [segment for segment in segments if segment.id in clips]
        return Recording(self.policy_step, segments, clips, self.take_episodes())

    def take_episodes(self) -> list[tuple[int, float, int]]:
        """(policy step, true return, length in steps) of each episode ended since the last call."""
        episodes, self._episodes = self._episodes, []
        return episodes

    def take(self) -> list[Segment]:
        """The segments finished since the last call, oldest first."""
        finished, self._finished = self._finished, []
        return finished

    def take_clips(self) -> dict[str, bytes]:
        """Encoded clips of segments finished since the last call, by segment id; some segments have none."""
        clips, self._clips = self._clips, {}
        return clips

    def _end_episodes(self, has_ended: np.ndarray) -> None:
        self._episode_steps[has_ended] = 0
        if self._within_episodes:
            self._since_cut[has_ended] = 0

    def _cut(self, env: int) -> Segment:
        """A segment of the newest steps of an environment, oldest first."""
        rows = np.arange(self._row, self._row + self._segment_steps) % self._segment_steps
        segment = Segment(
            self._observations[rows, env],
            self._actions[rows, env],
            self._true_rewards[rows, env],
            self._terminated[rows, env],
            self._truncated[rows, env],
            Provenance(self.env_id, self._seed, self.policy_step, self.reward_version),
        )
        clip = None if self._clip_recorder is None else self._clip_recorder.cut(env, rows)
        if clip is not None:
            self._clips[segment.id] = clip
        return segment
