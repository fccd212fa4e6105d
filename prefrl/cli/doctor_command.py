"""``prefrl doctor``: check a text run for common problems."""

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

_MAX_TEXTS = 200
"""maximum number of early texts, and of late texts, that are examined"""
_NUM_PROMPTS = 8
"""prompts that the policy responds to, twice each, to compare acting with learning"""
_MAX_TOKENS = 8
"""maximum number of tokens in each of these responses"""

Checks = dict[str, str | None]
"""the result of each check by its name: the problem found, or None"""


@dataclass(frozen=True)
class Options:
    """Options of ``prefrl doctor``."""

    run: tyro.conf.Positional[Path]
    """run directory of a text run, running or not"""
    trust: bool = False
    """allow the run directory to execute code: import modules that its settings name, and load an agent pickled by an
    earlier release"""


@dataclass(frozen=True)
class _Texts:
    """Recorded responses, oldest first."""

    segments: list[Segment]
    responses: list[list[int]]
    lengths: np.ndarray
    """length of each response in tokens"""
    prompts: list[str]
    """key of each response's prompt"""


@dataclass(frozen=True)
class _Sampled:
    """Texts that a policy has just sampled, M tokens in total, text by text."""

    sequences: Sequences
    batch: TokenBatch
    log_probs: Tensor
    """log-probabilities of the tokens when the policy chose them, shape (M,)"""
    likeliest: Tensor
    """the two most likely tokens at each position, shape (M, 2)"""
    log_odds: Tensor
    """the difference of their log-probabilities, shape (M,)"""


def main(arguments: Sequence[str]) -> int:
    """Print each check with its result; returns 1 if any check found a problem."""
    options = parse(
        Options, arguments, "prefrl doctor", "Check a text run for problems that are common in practice."
    )
    run = open_run(options.run, options.trust)
    if not run.spaces.exists() or modality_of(run.specs()[0]) is not TEXTS:
        raise ValueError(
            f"{run.path} is not a text run; `prefrl status {run.path}` shows the state of any run"
        )
    checks = {**_check_policy(run, options.trust), **_check_history(run)}
    console = Console()
    if not checks:
        console.print("nothing to check yet; let the run continue", highlight=False)
    for name, problem in checks.items():
        mark = "[green]fine [/green]" if problem is None else "[red]wrong[/red]"
        console.print(f"{mark} {name}" + ("" if problem is None else f": {problem}"), highlight=False)
    return int(any(problem is not None for problem in checks.values()))


def _check_policy(run: RunDir, trust: bool) -> Checks:
    """Checks of the saved policy; empty if none has been saved."""
    from prefrl_agents import load_run_agent
    from prefrl_agents.text import diagnostics

    config = run.config()
    try:
        agent = load_run_agent(run, config, trust)
    except FileNotFoundError:
        return {}
    model, space = agent.policy.language_model, _observation_space(config.env)
    sampled = _sample_responses(agent.policy)
    learned, learned_again = (_learning_log_probs(agent, sampled) for _ in range(2))
    return {
        "acting and learning agree": diagnostics.ratio_off(_array((learned - sampled.log_probs).exp())),
        "acting and learning have one temperature": diagnostics.temperature_off(
            _array(sampled.log_odds), _array(_learning_log_odds(agent.policy, sampled))
        ),
        "padding is not the end": diagnostics.pad_is_eos(model.pad_id, model.eos_id),
        "tokens are the environment's": diagnostics.other_tokens(
            model.pad_id, model.eos_id, space.pad_id, space.eos_id
        ),
        "dropout is off": diagnostics.dropout_on(_array(learned), _array(learned_again)),
    }


def _observation_space(config: EnvConfig) -> Any:
    """The `prefrl_envs.text.TextSpace` of the environment as it is installed now."""
    env = make_ordinary_environment(config)
    env.close()
    return env.observation_space


def _sample_responses(policy: Any) -> _Sampled:
    """Let the policy respond, token by token, to prompts of different lengths."""
    import torch

    from prefrl_agents.text import Sequences
    from prefrl_agents.text.policy import TokenBatch

    space = policy.observation_space
    ids, prompt_lengths = (part.to(policy.device) for part in _prompts(space))
    rows, lengths = torch.arange(len(ids), device=policy.device), prompt_lengths.clone()
    # As SB3 does before a rollout; a loaded policy is in training mode, which cannot decode.
    policy.set_training_mode(False)
    steps = []
    with torch.no_grad():
        for _ in range(min(_MAX_TOKENS, space.max_new_tokens)):
            observation = {"input_ids": ids, "length": lengths[:, None]}
            tokens, _, log_probs = policy(observation)
            values, likeliest = policy.get_distribution(observation).distribution.logits.topk(2)
            steps.append((log_probs, likeliest, values[:, 0] - values[:, 1]))
            ids[rows, lengths] = tokens
            lengths = lengths + 1
    log_probs, likeliest, log_odds = (
        torch.stack(part, dim=1).flatten(0, 1) for part in zip(*steps, strict=True)
    )
    positions = prompt_lengths[:, None] + torch.arange(len(steps), device=policy.device)
    texts = rows.repeat_interleave(len(steps))
    ids = ids[:, : int(lengths.max())]
    batch = TokenBatch(ids, texts, positions.flatten())
    return _Sampled(Sequences(ids, prompt_lengths, lengths), batch, log_probs, likeliest, log_odds)


def _prompts(space: Any) -> tuple[Tensor, Tensor]:
    """Token ids (R, L) and lengths (R,) of random prompts, each of them twice."""
    import torch

    samples = [space.sample() for _ in range(_NUM_PROMPTS)] * 2
    lengths = np.concatenate([each["prompt_length"] for each in samples]).astype(np.int64)
    ids = np.stack([each["input_ids"] for each in samples]).astype(np.int64)
    ids[np.arange(ids.shape[1]) >= lengths[:, None]] = space.pad_id
    return torch.from_numpy(ids), torch.from_numpy(lengths)


def _learning_log_probs(agent: Any, sampled: _Sampled) -> Tensor:
    """Log-probabilities (M,) of the tokens as computed in learning."""
    import torch

    from prefrl_agents.text import OnlineDPO, response_log_probs

    policy, sequences = agent.policy, sampled.sequences
    policy.set_training_mode(True)
    with torch.no_grad():
        if isinstance(agent, OnlineDPO):
            found = response_log_probs(policy.language_model, sequences, policy.temperature)
            return found[sequences.mask]
        return policy.evaluate_actions(sampled.batch, sampled.batch.tokens)[1]


def _learning_log_odds(policy: Any, sampled: _Sampled) -> Tensor:
    """Log-odds (M,) of the two most likely tokens as computed in learning."""
    import torch

    policy.set_training_mode(True)
    with torch.no_grad():
        first, second = (
            policy.evaluate_actions(sampled.batch, tokens)[1] for tokens in sampled.likeliest.unbind(dim=1)
        )
    return first - second


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().numpy()


def _check_history(run: RunDir) -> Checks:
    """Checks of the metrics and of the recorded texts, as far as there are any."""
    from prefrl_agents.text import diagnostics

    records, _ = read_metrics(run.metrics)
    kl = [_number(record["rollout/kl"]) for record in records if "rollout/kl" in record]
    checks: Checks = {"the KL is not negative": diagnostics.negative_kl(kl)} if kl else {}
    with Store.open(run.store) as store:
        pool = store.pool(10**9)
        count = min(_MAX_TEXTS, len(pool) // 2)
        early, late = (
            _read_texts(store, [each.id for each in part[:count]]) for part in (pool, pool[-count:])
        )
    reward = _reward(run)
    return checks if reward is None or not late.segments else checks | _check_texts(reward, early, late)


def _number(recorded: float | None) -> float:
    """The value of a metric; a value that was not finite is recorded as null."""
    return float("nan") if recorded is None else recorded


def _check_texts(reward: LearnedReward, early: _Texts, late: _Texts) -> Checks:
    """Checks of the oldest and newest recorded texts."""
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
        "reward is not length": diagnostics.length_hacking(early.lengths, late.lengths, predicted),
    }


def _read_texts(store: Store, ids: Sequence[str]) -> _Texts:
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
