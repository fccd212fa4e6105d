"""`OnlineDPO` learns only from the answers of a store that are not superseded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from stable_baselines3.common.logger import Logger

from prefrl.data.types import Comparison, LabelledQuery, Query
from prefrl.sb3 import NativeVecEnv, PreferenceVecEnv
from prefrl.storage import Store
from prefrl_agents import load_agent, save_agent
from prefrl_agents.saved_agent import find_saved
from prefrl_agents.text import LanguageModelPolicy, OnlineDPO
from prefrl_envs.text import TextGenVectorEnv
from prefrl_envs.text.random_walks import RandomWalks

NUM_ENVS = 8


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with three unanswered queries of two texts each."""
    venv = PreferenceVecEnv(NativeVecEnv(TextGenVectorEnv(RandomWalks(), NUM_ENVS)), 1, "Walks-v0", seed=0)
    venv.begin_training(None)
    venv.seed(0)
    venv.reset()
    space = venv.action_space
    space.seed(0)
    for _ in range(20):
        venv.step(np.array([space.sample() for _ in range(NUM_ENVS)]))
    segments = venv.recorder.take()[:6]
    assert len({segment.id for segment in segments}) == 6
    with Store.open(tmp_path / "store.sqlite", create=True) as store:
        store.add_segments(segments, keep_unqueried=100)
        store.add_queries([Query((segments[2 * i], segments[2 * i + 1])) for i in range(3)])
        yield store


def make_agent() -> OnlineDPO:
    agent = OnlineDPO(LanguageModelPolicy, NativeVecEnv(TextGenVectorEnv(RandomWalks(), NUM_ENVS)), seed=0)
    agent.set_logger(Logger(folder=None, output_formats=[]))
    return agent


def follow(store: Store) -> Callable[[], list[LabelledQuery]]:
    """Passes answers as the loop does: at the first call all of them, later those since the last call."""
    seen = 0

    def take_answers() -> list[LabelledQuery]:
        nonlocal seen
        new = store.labelled(after=seen)
        seen = new[-1].comparison.id or 0 if new else seen
        return new

    return take_answers


def ranks(agent: OnlineDPO) -> dict[tuple[int, str], list[int]]:
    return {key: ranked.ranks[0].tolist() for key, (ranked, _) in agent._rankings.items()}


def weights(agent: OnlineDPO) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in agent.policy.language_model.parameters()]


def test_a_newer_answer_of_the_same_annotator_replaces_the_older_one(store: Store) -> None:
    agent = make_agent()
    agent.take_answers = follow(store)
    store.add_comparisons([Comparison(1, (1, 2)), Comparison(2, (1, 2)), Comparison(1, (1, 2), "ann")])
    agent.train()
    store.add_comparisons([Comparison(1, (2, 1), "ann")])
    agent.train()
    assert ranks(agent) == {(1, "synthetic"): [1, 2], (2, "synthetic"): [1, 2], (1, "ann"): [2, 1]}


@pytest.mark.parametrize("newer", [None, (1, 1)], ids=["can't tell", "tie"])
def test_a_withdrawn_answer_is_not_learned_from_again(newer: tuple[int, int] | None, store: Store) -> None:
    agent = make_agent()
    agent.take_answers = follow(store)
    store.add_comparisons([Comparison(1, (1, 2)), Comparison(2, (2, 1))])
    agent.train()
    store.add_comparisons([Comparison(1, newer)])
    before = weights(agent)
    agent.train()
    assert ranks(agent) == {(2, "synthetic"): [2, 1]}
    assert all(map(torch.equal, before, weights(agent))), "nothing new to learn from"
    store.add_comparisons([Comparison(3, (1, 2))])
    agent.train()
    assert agent.logger.name_to_value["train/rankings"] == 2


def test_an_answer_changed_before_it_was_read_counts_once(store: Store) -> None:
    agent = make_agent()
    store.add_comparisons([Comparison(1, (1, 2)), Comparison(1, None), Comparison(1, (2, 1))])
    agent.take_answers = lambda: [
        # All three at once, as a follower of every row would see them.
        LabelledQuery(store.query(1), comparison)
        for comparison in store.comparisons()
    ]
    agent.train()
    assert ranks(agent) == {(1, "synthetic"): [2, 1]}
    assert agent.newest_answer == 3


def test_a_continued_agent_has_all_answers_and_learns_only_new_ones(store: Store, tmp_path: Path) -> None:
    agent = make_agent()
    agent.take_answers = follow(store)
    store.add_comparisons([Comparison(1, (1, 2)), Comparison(2, (1, 2)), Comparison(1, None)])
    agent.train()
    save_agent(tmp_path / "agent", agent)
    saved, continued = find_saved(tmp_path / "agent"), make_agent()
    assert saved is not None
    saved.restore(continued)
    continued.take_answers = follow(store)
    before = weights(continued)
    continued.train()
    assert ranks(continued) == {(2, "synthetic"): [1, 2]}
    assert all(map(torch.equal, before, weights(continued))), "it had learned from this answer"
    store.add_comparisons([Comparison(3, (1, 2))])
    continued.train()
    assert set(ranks(continued)) == {(2, "synthetic"), (3, "synthetic")}
    assert not all(map(torch.equal, before, weights(continued)))
    acting = load_agent(tmp_path / "agent")
    assert isinstance(acting, OnlineDPO)
    assert all(map(torch.equal, weights(acting), before))
