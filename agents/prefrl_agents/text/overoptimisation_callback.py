"""Over-optimisation of a learned reward: gold and proxy reward against the KL to the reference during training."""

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
    """Figures of one rollout, means per response."""

    steps: int
    """tokens so far"""
    kl: float
    """nats"""
    proxy: float
    """reward that the policy was trained on, without penalties"""
    gold: float
    """true return"""
    tokens: float
    """length"""
    distinct_2: float
    """distinct pairs of neighbouring tokens over all pairs of the rollout, see `distinct_n`; falls when texts become
    similar; 0 where no response has two tokens"""


class OveroptimisationCallback(BaseCallback):
    """Records gold and proxy reward, KL, length and diversity of each rollout; stops training when gold declines.

    Rollouts in which no text ended are skipped. Gold is the true return in ``info["episode"]``, where
    `prefrl.RewardVecEnv` puts it; the policy never sees it. Source of the picture: Gao et al. 2022.

    Args:
        patience_rollouts: stop when gold has been below its best for this many rollouts; None never stops.
        most_kl: stop when the KL exceeds this many nats per response; None never stops.

    Raises:
        ValueError: when training starts with an agent that keeps no reference, which leaves the KL unknown.
        RuntimeError: when a text ends and the environment does not report its true return.
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
        """Whether gold has declined, or the KL has exceeded its limit."""
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
    """Distinct pairs of neighbouring tokens over all pairs; 0 without any pair."""
    actions = buffer.actions.reshape(buffer.buffer_size, buffer.n_envs)
    texts = [actions[span.first : span.end, span.env].tolist() for span in buffer.spans]
    share = distinct_n(texts, 2)
    return 0.0 if math.isnan(share) else share


def plot_overoptimisation(histories: Mapping[str, Sequence[OveroptimisationPoint]], path: str | Path) -> None:
    """Plot gold (dots, with the fit of Gao et al. as a dotted line) and proxy (crosses) against the root of the KL.

    Rollouts whose KL is not above 0 are left out: those before the first update, and negative estimates.

    Args:
        histories: by name, each in a colour; those of one run, or of several runs of a kind one after the other.
        path: the PNG file to write.
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
