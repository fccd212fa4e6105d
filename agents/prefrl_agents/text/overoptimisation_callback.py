"""Is a reward being over-optimised? Gold and proxy reward as a policy leaves the model it began with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from prefrl_agents.text.overoptimisation import distinct_n, fit_rl
from prefrl_agents.text.rollout import TokenRolloutBuffer
from prefrl_agents.text.token_ppo import TokenPPO

__all__ = ["OveroptimisationCallback", "OveroptimisationPoint", "plot_overoptimisation"]


@dataclass(frozen=True)
class OveroptimisationPoint:
    """One rollout."""

    steps: int
    """tokens so far"""
    kl: float
    """mean of a response, nats"""
    proxy: float
    """mean reward that the policy was trained on, penalties left out"""
    gold: float
    """mean true return"""
    tokens: float
    """mean length of a response"""
    distinct_2: float
    """share of pairs of neighbouring tokens that are different ones, over the rollout: falls when texts get alike; 0
    where no response has two tokens"""


class OveroptimisationCallback(BaseCallback):
    """Keeps gold and proxy reward, KL, length and variety of rollouts; stops where gold has turned over.

    Rollouts in which no text ended are passed over: a response they have none. Gold is the true return that travels in
    ``info["episode"]``, as `prefrl.RewardVecEnv` puts it there; the policy never sees it. Source of the picture: Gao
    et al. 2022.

    Args:
        patience_rollouts: stop when gold has been below its best for so many rollouts; None never does.
        most_kl: stop when the KL is above this, nats a response; None never does.

    Raises:
        ValueError: when training starts with an agent that keeps no reference, so that there is no KL.
        RuntimeError: when a text ends and the environment does not tell its true return.
    """

    def __init__(self, patience_rollouts: int | None = None, most_kl: float | None = None) -> None:
        super().__init__()
        if patience_rollouts is not None and patience_rollouts < 1:
            raise ValueError(f"patience_rollouts is {patience_rollouts}; at least 1 is needed, or None")
        self.history: list[OveroptimisationPoint] = []
        self._patience_rollouts, self._most_kl = patience_rollouts, most_kl
        self._ended: list[tuple[float, float]] = []

    @property
    def has_turned(self) -> bool:
        """Whether a reason to stop is there."""
        if not self.history:
            return False
        if self._most_kl is not None and self.history[-1].kl > self._most_kl:
            return True
        if self._patience_rollouts is None:
            return False
        gold = np.array([each.gold for each in self.history])
        return len(gold) - 1 - int(np.flatnonzero(gold == gold.max())[-1]) >= self._patience_rollouts

    def _on_training_start(self) -> None:
        model = self.model
        if not isinstance(model, TokenPPO):
            raise ValueError(f"{type(model).__name__} writes no texts that could be watched; take a TokenPPO")
        if not model.keeps_reference:
            raise ValueError(
                "kl_coefficient is 0, so the agent keeps no reference and nothing tells how far it has gone; give it "
                "one above 0, such as 1e-4, which hardly holds it back"
            )

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self._ended.append((float(info["episode"]["r"]), float(info["episode"]["l"])))
        return not self.has_turned

    def _on_rollout_end(self) -> None:
        model = self.model
        assert isinstance(model, TokenPPO)
        ended, self._ended = self._ended, []
        if not model.rollout_buffer.ends.any():
            return
        if not ended:
            raise RuntimeError(
                'texts have ended and no info["episode"] tells their true return; wrap the environment in '
                "prefrl.RewardVecEnv, or in SB3's VecMonitor where its own reward is what is trained on"
            )
        gold, tokens = np.mean(ended, axis=0).tolist()
        logged = model.logger.name_to_value
        self.history.append(
            OveroptimisationPoint(
                self.num_timesteps,
                float(logged["rollout/kl"]),
                float(logged["rollout/task_reward"]),
                gold,
                tokens,
                _variety(model.rollout_buffer),
            )
        )


def _variety(buffer: TokenRolloutBuffer) -> float:
    """Share of pairs of neighbouring tokens that are different ones; 0 without any pair."""
    actions = buffer.actions.reshape(buffer.buffer_size, buffer.n_envs)
    texts = [actions[piece.first : piece.end, piece.env].tolist() for piece in buffer.spans]
    share = distinct_n(texts, 2)
    return 0.0 if math.isnan(share) else share


def plot_overoptimisation(histories: Mapping[str, Sequence[OveroptimisationPoint]], path: str | Path) -> None:
    """Draw gold (dots, with Gao et al.'s fit dotted) and proxy (crosses) over the root of the KL, a colour a name.

    Rollouts whose KL is not above 0 are left out: those before the policy has changed, and estimates that fell below.

    Args:
        histories: of one run each, or several of the same kind one after the other.
        path: of the picture, a PNG file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots()
    for number, (name, history) in enumerate(histories.items()):
        known = sorted((each for each in history if each.kl > 0), key=lambda each: each.kl)
        distance = np.sqrt([each.kl for each in known])
        colour = f"C{number}"
        axes.scatter(distance, [each.gold for each in known], color=colour, s=8, label=f"{name}: gold")
        proxy = [each.proxy for each in known]
        axes.scatter(distance, proxy, color=colour, s=12, marker="x", linewidths=0.7, label=f"{name}: proxy")
        if len(set(distance.tolist())) >= 2:
            start = history[0].gold
            alpha, beta = fit_rl(distance, np.array([each.gold for each in known]) - start)
            axes.plot(
                distance, start + distance * (alpha - beta * np.log(distance)), color=colour, linestyle=":"
            )
    axes.set(xlabel="distance from the reference, √KL", ylabel="reward of a response")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Software": None})
