"""Is a reward being over-optimised? Gold and proxy reward as a policy leaves the model it began with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from prefrl_agents.text.overoptimisation import distinct_n, fit_rl
from prefrl_agents.text.token_ppo import TokenPPO

__all__ = ["OveroptimisationCallback", "Watched", "plot_overoptimisation"]


@dataclass(frozen=True)
class Watched:
    """One rollout."""

    steps: int
    """tokens so far"""
    kl: float
    """mean of a response, nats"""
    proxy: float
    """mean reward that the policy was trained on, penalties left out"""
    gold: float
    """mean true return; NaN where no text ended"""
    tokens: float
    """mean length of a response"""
    distinct_2: float
    """share of pairs of neighbouring tokens that are different ones, over the rollout: falls when texts get alike"""


class OveroptimisationCallback(BaseCallback):
    """Keeps gold and proxy reward, KL, length and variety of every rollout; stops where gold has turned over.

    Gold is the true return that travels in ``info["episode"]``, as `prefrl.RewardVecEnv` puts it there; the policy
    never sees it. Source of the picture: Gao et al. 2022.

    Args:
        patience_rollouts: stop when gold has been below its best for so many rollouts; None never does.
        most_kl: stop when the KL is above this, nats a response; None never does.
    """

    def __init__(self, patience_rollouts: int | None = None, most_kl: float | None = None) -> None:
        super().__init__()
        if patience_rollouts is not None and patience_rollouts < 1:
            raise ValueError(f"patience_rollouts is {patience_rollouts}; at least 1 is needed, or None")
        self.history: list[Watched] = []
        self._patience_rollouts, self._most_kl = patience_rollouts, most_kl
        self._ended: list[tuple[float, float]] = []

    @property
    def has_turned(self) -> bool:
        """Whether a reason to stop is there."""
        if not self.history:
            return False
        if self._most_kl is not None and self.history[-1].kl > self._most_kl:
            return True
        gold = [each.gold for each in self.history if not np.isnan(each.gold)]
        if self._patience_rollouts is None or not gold:
            return False
        return len(gold) - 1 - int(np.argmax(gold)) >= self._patience_rollouts

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self._ended.append((float(info["episode"]["r"]), float(info["episode"]["l"])))
        return not self.has_turned

    def _on_rollout_end(self) -> None:
        model = self.model
        assert isinstance(model, TokenPPO)
        logged, buffer = model.logger.name_to_value, model.rollout_buffer
        actions = buffer.actions.reshape(buffer.buffer_size, buffer.n_envs)
        texts = [actions[piece.first : piece.end, piece.env].tolist() for piece in buffer.pieces]
        gold, tokens = np.mean(self._ended, axis=0) if self._ended else (float("nan"), float("nan"))
        self.history.append(
            Watched(
                self.num_timesteps,
                float(logged.get("rollout/kl", 0.0)),
                float(logged["rollout/task_reward"]),
                float(gold),
                float(tokens),
                distinct_n(texts, 2),
            )
        )
        self._ended = []


def plot_overoptimisation(histories: Mapping[str, Sequence[Watched]], path: str | Path) -> None:
    """Draw gold (dots, with Gao et al.'s fit dotted) and proxy (crosses) over the root of the KL, a colour a name.

    Args:
        histories: of one run each, or several of the same kind one after the other.
        path: of the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots()
    for number, (name, history) in enumerate(histories.items()):
        known = sorted(
            (each for each in history if each.kl > 0 and not np.isnan(each.gold)), key=lambda each: each.kl
        )
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
