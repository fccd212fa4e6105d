"""Training of the reward ensemble on comparisons."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

import torch
from torch import Tensor

from prefrl.config import RewardConfig, to_json
from prefrl.config.device import torch_device
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import LabelledQuery
from prefrl.reward.dataset import ComparisonDataset, Minibatch
from prefrl.reward.fit_progress import EpochLosses, FitProgress, FitReport, finite_mean, rate_share
from prefrl.reward.learned_reward import LearnedReward
from prefrl.reward.loss_registry import find_loss
from prefrl.reward.losses import (
    centring_loss,
    preference_loss,
    preference_probability,
    preference_scale,
    segment_returns,
)
from prefrl.reward.metrics import accuracy
from prefrl.reward.networks import build_network
from prefrl.reward.tensor_files import RewardFileError, check_layout, read_tensors, write_tensors

__all__ = ["FitReport", "RewardTrainer"]

logger = logging.getLogger(__name__)

FORMAT = "prefrl-reward-training"
L2_FACTOR = 1.1
"""the L2 weight is multiplied or divided by this at most once per epoch"""
L2_LIMITS = (1e-8, 0.05)
"""With few labels no useful fit reaches the ratio below. Without an upper limit the weights then shrink until both
losses are log 2, which meets the ratio and predicts nothing."""
REPORT_IMAGES = 2_500
"""most images that a reported accuracy is computed from"""
STATISTICS_IMAGES = 5_000
"""most images that the statistics of inputs and of rewards are computed from"""
LOSS_RATIO = (1.1, 1.5)
"""range of validation over training loss that the L2 weight is adapted to (Christiano et al. 2017, 2.2.3)"""


class RewardTrainer:
    """The ensemble, its optimiser and its data; each `fit` continues from the current weights (warm start).

    On the CPU the same comparisons and seed give the same weights bit for bit. On every device the same random
    numbers are drawn, and the global random state is not used. Inputs are standardised by the labelled segments at
    the first fit, and again each time their steps have doubled: seldom enough that a warm start stays one.
    """

    def __init__(
        self, observation_spec: SpaceSpec, action_spec: SpaceSpec, config: RewardConfig, seed: int
    ) -> None:
        """Initialise the ensemble on ``config.device``.

        Raises:
            ValueError: when the network does not suit the observations, or this machine lacks the device.
        """
        self._observation_spec, self._action_spec, self._config = observation_spec, action_spec, config
        self.device = torch_device(config.device, "reward.device")
        # Random numbers are drawn on the CPU and moved: they do not depend on the device.
        self._generator = torch.Generator().manual_seed(seed)
        self._dataset = ComparisonDataset(observation_spec, action_spec, config, seed, self.device)
        network = build_network(observation_spec, action_spec, config, self._generator)
        self._network = network.to(self.device)
        self._loss = preference_loss(config)
        self._l2 = torch.full((config.members,), config.l2, device=self.device)
        self._optimizer = self._new_optimizer()
        self._progress = FitProgress()

    @property
    def num_labels(self) -> int:
        """Comparisons in use, training and held out: the newest, without those superseded or "can't tell"."""
        return len(self._dataset)

    @property
    def is_amid_fit(self) -> bool:
        """True for a state that was saved between two epochs of a fit, which the next `fit` finishes."""
        return self._progress.epochs > 0

    def update(self, labelled: Sequence[LabelledQuery]) -> None:
        """Add comparisons, new ones or all of them again; see `ComparisonDataset`.

        Raises:
            ValueError: when a segment does not fit the spaces that the trainer was made for; nothing is added then.
        """
        self._dataset.update(labelled)

    def fit(
        self,
        epochs: int,
        annotator_error: Mapping[str, float] | None = None,
        on_epoch: Callable[[int], None] | None = None,
        most_queries: float = math.inf,
    ) -> FitReport:
        """Train for ``epochs`` passes over the comparisons, or until ``config.patience_epochs`` ends it.

        A state saved in ``on_epoch`` is that of an unfinished fit: a trainer that loads it finishes that fit in its
        next call, and the epochs already done count.

        Args:
            epochs: most passes.
            annotator_error: probability e of a wrong answer by annotator, noise 2e in the loss; others have
                ``config.label_noise``.
            on_epoch: called after each epoch with the number of epochs done; an exception in it ends the fit.
            most_queries: most queries to train on, repetitions included; the last pass stops there.
        """
        noise_of = {name: min(1.0, 2 * error) for name, error in (annotator_error or {}).items()}
        losses, diverged, progress = None, False, self._progress
        if self._dataset.num_training:
            self._standardise_inputs()
        while self._dataset.num_training and not self._is_done(epochs, most_queries):
            before = {name: tensor.clone() for name, tensor in self._network.state_dict().items()}
            expected = min(most_queries, epochs * self._dataset.num_training)
            latest = self._train_epoch(noise_of, most_queries - progress.queries, expected)
            if not self._is_finite(latest):
                self._undo_epoch(before)
                diverged = True
                break
            losses = latest
            progress.add(latest)
            if self._config.adaptive_l2:
                self._adapt_l2(losses)
            if on_epoch is not None:
                on_epoch(progress.epochs)
        self._progress = FitProgress()
        return self._report(losses, progress.epochs, diverged)

    def _is_done(self, epochs: int, most_queries: float) -> bool:
        done, patience = self._progress, self._config.patience_epochs
        is_stale = patience is not None and done.stale_epochs >= patience
        return is_stale or done.epochs >= epochs or done.queries >= most_queries

    def snapshot(self, version: int) -> LearnedReward:
        """A frozen copy on the same device, each member normalised over all steps of the labelled segments.

        Raises:
            ValueError: when there are no comparisons to normalise on.
        """
        if not len(self._dataset):
            raise ValueError("the reward is normalised on labelled segments, and there are none yet")
        network = build_network(
            self._observation_spec,
            self._action_spec,
            self._config,
            torch.Generator(),
            self._network.architecture,
        )
        network.to(self.device).load_state_dict(self._network.state_dict())
        mean, std = self._member_statistics()
        return LearnedReward(
            network,
            mean,
            std,
            version=version,
            observation_spec=self._observation_spec,
            action_spec=self._action_spec,
            config=self._config,
        )

    def save_state(self, path: str | Path) -> None:
        """Write everything but the comparisons, so that a restarted process continues bit for bit on the CPU."""
        write_tensors(Path(path), FORMAT, self.state_dict(), self._description())

    def load_state(self, path: str | Path) -> None:
        """Continue from what `save_state` wrote, on whatever device; without an error or not at all.

        Raises:
            RewardFileError: when the file is missing, damaged, or of another kind, other spaces or settings. The
                trainer is then as it was.
        """
        tensors, description = read_tensors(Path(path), FORMAT)
        for name, value in self._description().items():
            if description.get(name) != value:
                raise RewardFileError(
                    f"{path} was trained with {name} {description.get(name)}, this run has {value}"
                )
        before = self.state_dict()
        try:
            self.load_state_dict(tensors)
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            self.load_state_dict(before)
            raise RewardFileError(f"{path} is not the state of such a trainer: {error}") from error

    def state_dict(self) -> dict[str, Tensor]:
        """Weights, optimiser, L2 weights, random state and progress of an unfinished fit by name, copied to the CPU."""
        state = {f"network.{name}": tensor for name, tensor in self._network.state_dict().items()}
        for index, moments in self._optimizer.state_dict()["state"].items():
            state |= {f"adam.{index}.{name}": tensor for name, tensor in moments.items()}
        state["l2"] = self._l2
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()} | {
            "random_state": self._generator.get_state(),
            "fit": torch.tensor(astuple(self._progress), dtype=torch.float64),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of `state_dict`, for a trainer of the same spaces and settings on any device.

        Raises:
            KeyError, ValueError, RuntimeError: when ``state`` is not that of such a trainer.
        """
        self._check_state(state)
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "adam": {}}
        for name, tensor in state.items():
            kind, _, rest = name.partition(".")
            if rest:
                parts[kind][rest] = tensor
        self._network.load_state_dict(parts["network"])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts["adam"].items():
            index, _, moment = name.partition(".")
            moments.setdefault(int(index), {})[moment] = tensor.clone()
        self._optimizer = self._new_optimizer()
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": moments})
        self._l2 = state["l2"].to(self.device, copy=True)
        self._generator.set_state(state["random_state"])
        epochs, queries, stale_epochs, best = state["fit"].tolist()
        self._progress = FitProgress(int(epochs), int(queries), int(stale_epochs), best)

    def _check_state(self, state: Mapping[str, Tensor]) -> None:
        expected = {
            name: tensor for name, tensor in self.state_dict().items() if not name.startswith("adam.")
        }
        for index, parameter in enumerate(self._network.parameters()):
            if f"adam.{index}.step" in state:
                moments = {"step": torch.zeros(()), "exp_avg": parameter, "exp_avg_sq": parameter}
                expected |= {f"adam.{index}.{name}": tensor for name, tensor in moments.items()}
        check_layout(state, expected)

    def _description(self) -> dict[str, object]:
        specs = {"observations": self._observation_spec, "actions": self._action_spec}
        # Through JSON, so that it compares equal to what is read from a file.
        described = {name: json.loads(json.dumps(spec.to_json())) for name, spec in specs.items()}
        config = to_json(self._config)
        del config["device"]  # a state may be loaded on another machine
        return {**described, "config": config}

    def _new_optimizer(self) -> torch.optim.Adam:
        return torch.optim.Adam(self._network.parameters(), lr=self._config.learning_rate, fused=True)

    def _standardise_inputs(self) -> None:
        segments, num_steps = self._dataset.segments, self._dataset.segments.num_steps
        if num_steps >= 2 * int(self._network.input_steps):
            batches = segments.step_batches(self._max_steps(STATISTICS_IMAGES))
            self._network.set_input_statistics(batches, num_steps)

    def _train_epoch(
        self, noise_of: Mapping[str, float], most_queries: float, expected: float
    ) -> EpochLosses:
        """One pass over the comparisons, or ``most_queries`` of them; ``expected`` is the number in the whole fit."""
        self._network.train()
        sums = EpochLosses.zeros(self._config.members, self.device)
        batches = self._dataset.minibatches(validation=False, noise_of=noise_of, generator=self._generator)
        for batch in batches:
            loss = self._loss_of(batch)
            if self._config.decay:
                before = self._progress.queries + sums.queries
                self._decay_learning_rate(before / expected, (before + len(batch.ranks)) / expected)
            # Divided by the number of queries, not by the sum of the weights, whose mean is 1 (Poisson).
            self._optimizer.zero_grad()
            (batch.weights * loss).mean(dim=1).sum().backward()
            self._network.add_l2_gradient(self._l2)
            self._optimizer.step()
            sums.add(loss.detach(), batch.weights)
            sums.queries += len(batch.ranks)
            if sums.queries >= most_queries:
                break
        if not self._config.bootstrap:
            self._add_held_out(sums, noise_of)
        return sums

    def _decay_learning_rate(self, before: float, after: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self._config.learning_rate * rate_share(before, after)

    def _loss_of(self, batch: Minibatch) -> Tensor:
        targets = batch.true_returns if find_loss(self._config.loss).fits_true_returns else batch.ranks
        returns = self._returns(batch)
        loss = self._loss(returns, targets, batch.noise)
        return loss + self._config.centring * centring_loss(returns) if self._config.centring else loss

    def _returns(self, batch: Minibatch) -> Tensor:
        rewards = self._network(batch.observations, batch.actions, self._generator)
        return segment_returns(rewards.view(len(rewards), *batch.ranks.shape, batch.num_steps), batch.valid)

    @torch.no_grad()
    def _add_held_out(self, sums: EpochLosses, noise_of: Mapping[str, float]) -> None:
        self._network.eval()
        for batch in self._dataset.minibatches(validation=True, noise_of=noise_of):
            loss = self._loss_of(batch)
            sums.add(loss, torch.zeros_like(loss))

    def _is_finite(self, losses: EpochLosses) -> bool:
        tensors = [losses.training, *self._network.state_dict().values()]
        return all(bool(tensor.isfinite().all()) for tensor in tensors)

    def _undo_epoch(self, before: Mapping[str, Tensor]) -> None:
        logger.warning("the reward's loss or weights were not finite: the epoch was undone and the fit ended")
        self._network.load_state_dict(before)
        self._optimizer = self._new_optimizer()

    def _adapt_l2(self, losses: EpochLosses) -> None:
        low, high = LOSS_RATIO
        ratio = losses.validation / losses.training
        # A ratio of NaN, without validation data, changes nothing.
        exponent = (ratio > high).float() - (ratio < low).float()
        self._l2 = (self._l2 * L2_FACTOR**exponent).clamp(*L2_LIMITS)

    @torch.no_grad()
    def _accuracy(self, *, validation: bool) -> tuple[float | None, int]:
        self._network.eval()
        right, pairs, steps = 0.0, 0, 0
        for batch in self._dataset.minibatches(validation=validation, noise_of={}):
            if steps >= self._max_steps(REPORT_IMAGES):
                break
            steps += len(batch.actions)
            # The members' scales differ, so probabilities are averaged, not returns.
            logits = self._returns(batch) * preference_scale(self._config)
            scores = preference_probability(logits).mean(dim=0)
            share, count = accuracy(scores.cpu().numpy(), batch.ranks.cpu().numpy())
            right, pairs = right + (share * count if count else 0.0), pairs + count
        return (right / pairs if pairs else None), pairs

    def _max_steps(self, max_images: int) -> float:
        """Most steps that a number is computed from; unlimited except for images, which take long."""
        return max_images if self._observation_spec.is_image else math.inf

    @torch.no_grad()
    def _member_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (E,) of each member's reward; the latter is 1 for a constant member."""
        self._network.eval()
        batches = self._dataset.segments.step_batches(self._max_steps(STATISTICS_IMAGES))
        rewards = torch.cat(
            [self._network(observations, actions) for observations, actions in batches], dim=1
        )
        mean, std = rewards.double().mean(dim=1), rewards.double().std(dim=1, correction=0)
        # A smaller deviation is float32 rounding error; dividing by it would make the error the whole reward.
        is_constant = std <= 1e-6 * mean.abs().clamp(min=1.0)
        return mean.float(), torch.where(is_constant, torch.ones_like(std), std).float()

    def _report(self, losses: EpochLosses | None, epochs: int, diverged: bool) -> FitReport:
        train_accuracy, _ = self._accuracy(validation=False)
        validation_accuracy, pairs = self._accuracy(validation=True)
        return FitReport(
            epochs=epochs,
            train_loss=None if losses is None else finite_mean(losses.training),
            out_of_bag_loss=None if losses is None else finite_mean(losses.validation),
            train_accuracy=train_accuracy,
            validation_accuracy=validation_accuracy,
            validation_pairs=pairs,
            l2=float(self._l2.mean()),
            diverged=diverged,
        )
