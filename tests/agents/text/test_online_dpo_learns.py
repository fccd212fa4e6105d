"""`OnlineDPO` learns what is ranked higher, and from nothing else: its rewards are zeros."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pytest

from prefrl.data.tokens import prompt_key
from prefrl.data.types import Comparison, LabelledQuery, Query, Segment
from prefrl.sb3 import NativeVecEnv, PreferenceVecEnv
from prefrl_agents.text import LanguageModelPolicy, OnlineDPO
from prefrl_envs.text import TextGenVectorEnv, WordTokenizer

pytestmark = pytest.mark.slow

NUM_ENVS, ITEMS, ROLLOUTS = 32, 4, 25


class Letters:
    """The reward of a response is its number of a's, at most five."""

    def __init__(self) -> None:
        self.tokenizer = WordTokenizer("abcde")
        self.max_prompt_tokens, self.max_new_tokens = 1, 5

    def prompt(self, rng: np.random.Generator) -> str:
        return str(rng.choice(list("bcde")))

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        return np.array([response.split().count("a") for response in responses], np.float64)

    def demonstration(self, rng: np.random.Generator) -> tuple[str, str]:
        return self.prompt(rng), "a b"


class Ranker:
    """Ranks the samples of each rollout, four per prompt, by their reward or in reverse."""

    def __init__(self, venv: PreferenceVecEnv, sign: int) -> None:
        self.venv, self.sign = venv, sign
        self.rewards: list[float] = []
        """mean true reward of a response, by rollout"""
        self._waiting: dict[str, list[Segment]] = defaultdict(list)
        self._asked = 0

    def answers(self) -> list[LabelledQuery]:
        segments = self.venv.recorder.take()
        self.rewards.append(float(np.mean([segment.true_return for segment in segments])))
        found = []
        for segment in segments:
            group = self._waiting[prompt_key(segment.observations[-1])]
            group.append(segment)
            if len(group) == ITEMS:
                found.append(self._ranked(tuple(group)))
                group.clear()
        return found

    def _ranked(self, segments: tuple[Segment, ...]) -> LabelledQuery:
        self._asked += 1
        scores = [-self.sign * segment.true_return for segment in segments]
        ranks = np.unique(scores, return_inverse=True)[1] + 1
        return LabelledQuery(Query(segments), Comparison(self._asked, tuple(ranks.tolist()), id=self._asked))


@pytest.mark.parametrize(("sign", "low", "high"), [(1, 3.0, 5.0), (-1, 0.0, 0.2)])
def test_samples_move_towards_higher_ranked_responses(sign: int, low: float, high: float) -> None:
    venv = PreferenceVecEnv(NativeVecEnv(TextGenVectorEnv(Letters(), NUM_ENVS)), 1, "Letters-v0", seed=0)
    venv.begin_training(None)
    venv.seed(0)
    agent, ranker = OnlineDPO(LanguageModelPolicy, venv, learning_rate=1e-3, seed=0), Ranker(venv, sign)
    agent.take_answers = ranker.answers
    agent.learn(ROLLOUTS * agent.n_steps * NUM_ENVS)
    assert 0.2 < ranker.rewards[0] < 1.0, "each of six tokens is as likely at first"
    assert low <= np.mean(ranker.rewards[-3:]) <= high
