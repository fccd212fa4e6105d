"""``prefrl doctor``: what is wrong with a run on texts, if anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tyro
from rich.console import Console

from prefrl.cli.options import parse
from prefrl.config import EnvConfig
from prefrl.config.modality import TEXTS, modality_of
from prefrl.data.tokens import complete, prompt_key
from prefrl.data.types import Segment
from prefrl.loop.environments import make_ordinary_environment
from prefrl.loop.trust import open_run
from prefrl.storage import Store
from prefrl.storage.metrics_file import read_metrics
from prefrl.storage.run_dir import RunDir

if TYPE_CHECKING:
    from torch import Tensor

    from prefrl.reward import LearnedReward
    from prefrl_agents.text import Sequences
    from prefrl_agents.text.policy import TokenBatch

__all__ = ["main"]

_TEXTS = 200
"""early ones and late ones that are looked at, at most"""
_PROMPTS = 8
"""prompts that the policy goes on with to compare acting with learning, each twice"""
_TOKENS = 8
"""tokens that it writes to each, at most"""

Checks = dict[str, str | None]
"""what was looked at, and what is wrong with it"""


@dataclass(frozen=True)
class Options:
    """Which run."""

    run: tyro.conf.Positional[Path]
    """run directory of a text preset, running or not"""
    trust: bool = False
    """let the run's folder execute code: import modules that its settings name, load an agent pickled by an earlier
    release"""


@dataclass(frozen=True)
class _Texts:
    """Recorded responses, oldest first."""

    segments: list[Segment]
    responses: list[list[int]]
    tokens: np.ndarray
    """lengths of the responses"""
    prompts: list[str]
    """a key of each's prompt"""


@dataclass(frozen=True)
class _Written:
    """Texts that a policy has just written, M tokens in all, text by text."""

    sequences: Sequences
    batch: TokenBatch
    log_probs: Tensor
    """of the tokens as the policy chose them, shape (M,)"""
    likeliest: Tensor
    """the two tokens that it found likeliest at each place, shape (M, 2)"""
    odds: Tensor
    """the difference of their log-probabilities, shape (M,)"""


def main(words: Sequence[str]) -> int:
    """Print each check with what it found; returns 1 where something is wrong."""
    options = parse(Options, words, "prefrl doctor", "Check a run on texts for what goes wrong in practice.")
    run = open_run(options.run, options.trust)
    if not run.spaces.exists() or modality_of(run.specs()[0]) is not TEXTS:
        raise ValueError(f"{run.path} is no run on texts; `prefrl status {run.path}` looks at others")
    checks = {**_of_policy(run, options.trust), **_of_history(run)}
    console = Console()
    if not checks:
        console.print("nothing to look at yet; let the run go on", highlight=False)
    for name, complaint in checks.items():
        mark = "[green]fine [/green]" if complaint is None else "[red]wrong[/red]"
        console.print(f"{mark} {name}" + ("" if complaint is None else f": {complaint}"), highlight=False)
    return int(any(complaint is not None for complaint in checks.values()))


def _of_policy(run: RunDir, trust: bool) -> Checks:
    """What the saved policy itself shows; nothing before it was saved."""
    from prefrl_agents import load_run_agent
    from prefrl_agents.text import diagnostics

    config = run.config()
    try:
        agent = load_run_agent(run, config, trust)
    except FileNotFoundError:
        return {}
    model, space = agent.policy.language_model, _observation_space(config.env)
    written = _write(agent.policy)
    learned, again = (_learned(agent, written) for _ in range(2))
    return {
        "acting and learning agree": diagnostics.ratio_off(_array((learned - written.log_probs).exp())),
        "acting and learning have one temperature": diagnostics.temperature_off(
            _array(written.odds), _array(_learned_odds(agent.policy, written))
        ),
        "padding is not the end": diagnostics.pad_is_eos(model.pad_id, model.eos_id),
        "tokens are the environment's": diagnostics.other_tokens(
            model.pad_id, model.eos_id, space.pad_id, space.eos_id
        ),
        "dropout is off": diagnostics.dropout_on(_array(learned), _array(again)),
    }


def _observation_space(config: EnvConfig) -> Any:
    """The environment's `prefrl_envs.text.TextSpace`, as it is today."""
    env = make_ordinary_environment(config)
    env.close()
    return env.observation_space


def _write(policy: Any) -> _Written:
    """Let the policy act, token by token, after prompts of different lengths."""
    import torch

    from prefrl_agents.text import Sequences
    from prefrl_agents.text.policy import TokenBatch

    space = policy.observation_space
    ids, prompt_lengths = (part.to(policy.device) for part in _prompts(space))
    rows, lengths = torch.arange(len(ids), device=policy.device), prompt_lengths.clone()
    # As SB3 does before a rollout; what it has loaded is in the other mode, in which no text is decoded.
    policy.set_training_mode(False)
    steps = []
    with torch.no_grad():
        for _ in range(min(_TOKENS, space.max_new_tokens)):
            observation = {"input_ids": ids, "length": lengths[:, None]}
            tokens, _, log_probs = policy(observation)
            values, likeliest = policy.get_distribution(observation).distribution.logits.topk(2)
            steps.append((log_probs, likeliest, values[:, 0] - values[:, 1]))
            ids[rows, lengths] = tokens
            lengths = lengths + 1
    log_probs, likeliest, odds = (torch.stack(part, dim=1).flatten(0, 1) for part in zip(*steps, strict=True))
    places = prompt_lengths[:, None] + torch.arange(len(steps), device=policy.device)
    texts = rows.repeat_interleave(len(steps))
    ids = ids[:, : int(lengths.max())]
    batch = TokenBatch(ids, texts, places.flatten())
    return _Written(Sequences(ids, prompt_lengths, lengths), batch, log_probs, likeliest, odds)


def _prompts(space: Any) -> tuple[Tensor, Tensor]:
    """Token ids (R, L) and lengths (R,) of prompts at random, each there twice."""
    import torch

    drawn = [space.sample() for _ in range(_PROMPTS)] * 2
    lengths = np.concatenate([each["prompt_length"] for each in drawn]).astype(np.int64)
    ids = np.stack([each["input_ids"] for each in drawn]).astype(np.int64)
    ids[np.arange(ids.shape[1]) >= lengths[:, None]] = space.pad_id
    return torch.from_numpy(ids), torch.from_numpy(lengths)


def _learned(agent: Any, written: _Written) -> Tensor:
    """Log-probabilities (M,) of the tokens as the agent computes them when it learns."""
    import torch

    from prefrl_agents.text import OnlineDPO, response_log_probs

    policy, sequences = agent.policy, written.sequences
    policy.set_training_mode(True)
    with torch.no_grad():
        if isinstance(agent, OnlineDPO):
            found = response_log_probs(policy.language_model, sequences, policy.temperature)
            return found[sequences.mask]
        return policy.evaluate_actions(written.batch, written.batch.tokens)[1]


def _learned_odds(policy: Any, written: _Written) -> Tensor:
    """Log-odds (M,) of the two likeliest tokens as learning has them."""
    import torch

    policy.set_training_mode(True)
    with torch.no_grad():
        first, second = (
            policy.evaluate_actions(written.batch, tokens)[1] for tokens in written.likeliest.unbind(dim=1)
        )
    return first - second


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().numpy()


def _of_history(run: RunDir) -> Checks:
    """What metrics and recorded texts show, as far as there are any."""
    from prefrl_agents.text import diagnostics

    records, _ = read_metrics(run.metrics)
    kl = [_number(record["rollout/kl"]) for record in records if "rollout/kl" in record]
    checks: Checks = {"the KL is not negative": diagnostics.negative_kl(kl)} if kl else {}
    with Store.open(run.store) as store:
        pool = store.pool(10**9)
        count = min(_TEXTS, len(pool) // 2)
        early, late = (_texts(store, [each.id for each in part[:count]]) for part in (pool, pool[-count:]))
    reward = _reward(run)
    return checks if reward is None or not late.segments else checks | _of_texts(reward, early, late)


def _number(recorded: float | None) -> float:
    """A metric; one that is not finite is recorded as nothing."""
    return float("nan") if recorded is None else recorded


def _of_texts(reward: LearnedReward, early: _Texts, late: _Texts) -> Checks:
    """What the oldest and newest texts show that are there."""
    from prefrl_agents.text import diagnostics

    predicted = _predict(reward, late)
    groups: dict[str, list[float]] = defaultdict(list)
    for prompt, value in zip(late.prompts, predicted.tolist(), strict=True):
        groups[prompt].append(value)
    several = [np.array(values) for values in groups.values() if len(values) > 1]
    rise = [float(_predict(reward, early).mean()), float(predicted.mean())]
    differ = "responses to a prompt differ in reward"
    return {
        "rewards are of ordinary size": diagnostics.reward_scale(predicted),
        **({differ: diagnostics.groups_without_variance(several)} if several else {}),
        "texts stay varied": diagnostics.alike(early.responses, late.responses, rise),
        "reward is not length": diagnostics.length_hacking(early.tokens, late.tokens, predicted),
    }


def _texts(store: Store, ids: Sequence[str]) -> _Texts:
    segments = store.segments(ids)
    if not segments:
        return _Texts([], [], np.zeros(0), [])
    observations = np.stack([segment.observations[-1] for segment in segments])
    table, lengths, prompts = complete(observations, np.array([segment.actions[-1] for segment in segments]))
    responses = [row[first:last].tolist() for row, first, last in zip(table, prompts, lengths, strict=True)]
    return _Texts(segments, responses, lengths - prompts, [prompt_key(each) for each in observations])


def _reward(run: RunDir) -> LearnedReward | None:
    from prefrl.reward import LearnedReward, RewardFileError

    try:
        return LearnedReward.load(run.path)
    except RewardFileError:
        return None


def _predict(reward: LearnedReward, texts: _Texts) -> np.ndarray:
    observations = np.stack([segment.observations[-1] for segment in texts.segments])
    return reward.predict(observations, np.array([segment.actions[-1] for segment in texts.segments]))
