"""Presets for texts: a language model, whose action is the next token, learns from rankings of its responses."""

from __future__ import annotations

from dataclasses import replace

from prefrl.config import (
    AgentConfig,
    EnvConfig,
    FineTuningConfig,
    OracleConfig,
    QueryConfig,
    RewardConfig,
    RunConfig,
    RuntimeConfig,
    ScheduleConfig,
)
from prefrl.presets.preset import Preset

__all__ = ["TEXT"]

_WALKS = RunConfig(
    # Ending the text is part of the task, and the reward of an unfinished text would mean nothing.
    env=EnvConfig("prefrl/RandomWalks-v0", num_envs=64, endless=False, responses_per_prompt=4),
    agent=AgentConfig(
        "token_ppo",
        hyperparameters={
            "batch_size": 160,
            "learning_rate": "warm_3e-4",
            "kl_coefficient": 0.05,
            # A policy that becomes deterministic before the reward is right always gives the same response to a
            # prompt, and there is nothing left to rank.
            "ent_coef": 0.02,
        },
        fine_tuning=FineTuningConfig(demonstrations=4000, epochs=5, learning_rate=3e-3),
        deterministic=False,
    ),
    reward=RewardConfig(
        members=3,
        loss="plackett_luce",
        label_noise=0.02,
        learning_rate=1e-3,
        batch_size=16,
        # More epochs memorise the rankings, and distinguish new walks less well.
        initial_epochs=15,
        epochs_per_update=2,
        # L2, which helps small networks on few labels, ruins the embeddings of a language model.
        l2=0.0,
        adaptive_l2=False,
        # There are twenty prompts, and nothing is learned about a held-out one. Fresh answers measure the accuracy.
        validation_fraction=0.0,
    ),
    queries=QueryConfig(segment_steps=1, items=4, batch=20),
    # A few rankings distinguish the responses of the fine-tuned model; later responses need more.
    schedule=ScheduleConfig(half_life_steps=50_000, initial_share=0.1),
    runtime=RuntimeConfig(max_label_lag=40),
    labels=600,
    steps=100_000,
    eval_episodes=500,
)
_REVIEWS = replace(
    _WALKS,
    env=replace(_WALKS.env, id="prefrl/Reviews-v0"),
    reward=replace(_WALKS.reward, validation_fraction=0.1),
)
# A small learning rate, for pretrained models (as Huang et al. 2024 train GPT-2), and pairs instead of rankings.
_PROMPTS = replace(
    _WALKS,
    env=replace(_WALKS.env, id="prefrl/Prompts-v0", num_envs=32, responses_per_prompt=2),
    agent=AgentConfig(
        "token_ppo",
        hyperparameters={"learning_rate": "warm_1e-5", "kl_coefficient": 0.05},
        deterministic=False,
    ),
    reward=replace(_WALKS.reward, loss="bradley_terry", members=1, bootstrap=False, learning_rate=1e-5),
    queries=replace(_WALKS.queries, items=2, batch=10),
    oracle=OracleConfig("human"),
    labels=300,
    steps=200_000,
    eval_episodes=100,
)

TEXT: dict[str, Preset] = {
    "text-walks": Preset(
        _WALKS,
        "the shortest walk through a graph, from rankings of four walks (language model, PPO)",
    ),
    "text-reviews": Preset(
        _REVIEWS, "friendly product reviews, from rankings of four reviews (language model, PPO)"
    ),
    "text-prompts": Preset(
        _PROMPTS,
        "your own checkpoint on your own prompts, judged by you: set the file of prompts and the tokenizer in "
        "--env.kwargs, and the checkpoint in --agent.language-model and --reward.language-model",
    ),
}
