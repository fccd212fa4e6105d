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
from prefrl.run_dir import RunDir, read_metrics
from prefrl.store import Store
from prefrl.tokens import complete, prompt_key
from prefrl.types import Segment

if TYPE_CHECKING:
    from prefrl.reward import LearnedReward

__all__ = ["main"]

_TEXTS = 200
"""early ones and late ones that are looked at"""
_PROBES = 16
"""texts that are sampled to compare acting with learning"""
_PROBE_TOKENS = 8


@dataclass(frozen=True)
class Options:
    """Which run."""

    run: tyro.conf.Positional[Path]
    """run directory of a text preset, running or not"""


@dataclass(frozen=True)
class _Texts:
    """Recorded responses, oldest first."""

    segments: list[Segment]
    responses: list[list[int]]
    tokens: np.ndarray
    """lengths of the responses"""
    prompts: list[str]
    """a key of each's prompt"""


def main(words: Sequence[str]) -> int:
    """Print each check with what it found; returns 1 where something is wrong."""
    options = parse(Options, words, "prefrl doctor", "Check a run on texts for what goes wrong in practice.")
    run = RunDir.open(options.run)
    if not run.spaces.exists() or not run.specs()[0].is_tokens:
        raise ValueError(f"{run.path} is no run on texts; `prefrl status {run.path}` looks at others")
    checks = {**_of_policy(run), **_of_history(run)}
    console = Console()
    for name, complaint in checks.items():
        mark = "[green]fine [/green]" if complaint is None else "[red]wrong[/red]"
        console.print(f"{mark} {name}" + ("" if complaint is None else f": {complaint}"), highlight=False)
    return int(any(complaint is not None for complaint in checks.values()))


def _of_policy(run: RunDir) -> dict[str, str | None]:
    """What the saved policy itself shows; nothing before it was saved."""
    from prefrl_agents import load_model
    from prefrl_agents.text import symptoms

    try:
        policy = load_model(run.config().agent.algorithm, run.agent).policy
    except FileNotFoundError:
        return {}
    model = policy.language_model
    rates = [float(each.p) for each in model.modules() if type(each).__name__ == "Dropout" and each.training]
    return {
        "acting and learning agree": symptoms.ratio_off(_ratios(policy)),
        "padding is not the end": symptoms.pad_is_eos(model.pad_id, model.eos_id),
        "dropout is off": symptoms.dropout_on(rates),
    }


def _ratios(policy: Any) -> np.ndarray:
    """Probabilities of sampled tokens computed whole over those computed token by token, shape (M,)."""
    import torch

    from prefrl_agents.text import Sequences, response_log_probs

    space = policy.observation_space
    prompts = [space.sample() for _ in range(_PROBES)]
    ids = torch.full((_PROBES, space.max_tokens), int(space.pad_id))
    lengths = torch.ones(_PROBES, dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        ids[row, 0] = int(prompt["input_ids"][0])
    found = []
    for _ in range(min(_PROBE_TOKENS, space.max_new_tokens)):
        observation = {"input_ids": ids.clone(), "length": lengths[:, None].clone()}
        with torch.no_grad():
            tokens, _, log_prob = policy(observation)
        ids[torch.arange(_PROBES), lengths] = tokens
        lengths = lengths + 1
        found.append(log_prob)
    sequences = Sequences(ids[:, : int(lengths.max())], torch.ones_like(lengths), lengths)
    with torch.no_grad():
        whole = response_log_probs(policy.language_model, sequences, policy.temperature)
    return (whole - torch.stack(found, dim=1)).exp().numpy().flatten()


def _of_history(run: RunDir) -> dict[str, str | None]:
    """What metrics and recorded texts show."""
    from prefrl_agents.text import symptoms

    records, _ = read_metrics(run.metrics)
    kl = [record["rollout/kl"] for record in records if "rollout/kl" in record]
    checks = {"the KL is not negative": symptoms.negative_kl(kl)}
    with Store.open(run.store) as store:
        pool = store.pool(10**9)
        early, late = (_texts(store, [each.id for each in part]) for part in (pool[:_TEXTS], pool[-_TEXTS:]))
    reward = _reward(run)
    if reward is None or not late.segments:
        return checks
    predicted = _predict(reward, late)
    groups: dict[str, list[float]] = defaultdict(list)
    for prompt, value in zip(late.prompts, predicted.tolist(), strict=True):
        groups[prompt].append(value)
    rise = [float(_predict(reward, early).mean()), float(predicted.mean())]
    return checks | {
        "rewards are of ordinary size": symptoms.reward_scale(predicted),
        "responses to a prompt differ in reward": symptoms.groups_without_variance(
            [np.array(values) for values in groups.values()]
        ),
        "texts stay varied": symptoms.alike(early.responses, late.responses, rise),
        "reward is not length": symptoms.length_hacking(early.tokens, late.tokens, predicted),
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
