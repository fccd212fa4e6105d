"""All that an agent has learned, as named tensors and plain numbers: weights, optimisers, counters, normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.save_util import recursive_getattr
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from prefrl_agents.hyperparameters import constructor_arguments
from prefrl_agents.plain_values import from_plain, to_plain

__all__ = ["ObservationNormaliser", "read_state", "write_state"]

_NOT_COUNTERS = {"n_envs", "start_time", "verbose", "seed", "_stats_window_size", "_custom_logger"}
_STATISTICS = ("mean", "var", "count")


def write_state(model: BaseAlgorithm) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name, and the rest JSON-ready.

    Every network and optimiser that the algorithm names to Stable-Baselines3 for saving is taken, its numeric
    attributes that are no constructor arguments (steps, updates, exploration rate), what ``get_trainer_state()``
    gives where it has that method, and the statistics of a `VecNormalize` around its environment.
    """
    tensors: dict[str, Tensor] = {}
    optimisers = {}
    for name, state in model.get_parameters().items():
        if isinstance(recursive_getattr(model, name), torch.optim.Optimizer):
            optimisers[name] = _write_optimiser(name, state, tensors)
        else:
            tensors |= {f"{name}/{key}": value for key, value in state.items()}
    for name in model._get_torch_save_params()[1]:
        value = recursive_getattr(model, name)
        if value is not None:
            tensors[f"variables/{name}"] = value
    get_trainer_state = getattr(model, "get_trainer_state", dict)
    plain = {
        "counters": {name: to_plain(value, name) for name, value in _counters(model).items()},
        "trainer_state": to_plain(get_trainer_state(), "trainer_state"),
        "optimisers": optimisers,
        "observation_normalisation": _write_normalisation(model.get_vec_normalize_env(), tensors),
    }
    return {name: value.detach().clone().contiguous() for name, value in tensors.items()}, plain


def read_state(model: Any, tensors: Mapping[str, Tensor], plain: Mapping[str, Any], file: str) -> None:
    """Put what `write_state` gave into a model of the same kind, whose weights then are the same bit for bit.

    Raises:
        ValueError, KeyError, RuntimeError: when it is another kind of model's.
    """
    names, variables = model._get_torch_save_params()
    parameters: dict[str, Any] = {}
    for name in names:
        if name in plain["optimisers"]:
            parameters[name] = _read_optimiser(name, plain["optimisers"][name], tensors, file)
        else:
            prefix = f"{name}/"
            parameters[name] = {
                key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
            }
    model.set_parameters(parameters, exact_match=True, device=model.device)
    for name in variables:
        value = recursive_getattr(model, name)
        if value is not None:
            value.data.copy_(tensors[f"variables/{name}"])
    known = _counters(model)
    for name, value in from_plain(plain["counters"], False, file).items():
        if name in known and isinstance(value, (int, float)):
            setattr(model, name, value)
    if plain["trainer_state"]:
        model.set_trainer_state(from_plain(plain["trainer_state"], False, file))
    venv = model.get_vec_normalize_env()
    normaliser = ObservationNormaliser.read(plain["observation_normalisation"], tensors)
    if venv is not None and normaliser is not None:
        normaliser.put_into(venv)
    if model.use_sde:
        # As in Stable-Baselines3's load: a new exploration matrix is drawn from the loaded weights.
        model.policy.reset_noise()


class ObservationNormaliser:
    """Normalises observations as a `VecNormalize` did when the agent was saved: (x - mean) / sqrt(var + epsilon).

    Args:
        statistics: mean, variance and count of all observations; of each entry by its key where they are a dict. The
            key of observations that are no dict is "".
        epsilon: added to the variance.
        clip: largest size of a normalised value.
    """

    def __init__(
        self, statistics: Mapping[str, Mapping[str, np.ndarray]], epsilon: float, clip: float
    ) -> None:
        self._statistics, self._epsilon, self._clip = statistics, epsilon, clip

    @classmethod
    def read(
        cls, plain: Mapping[str, Any] | None, tensors: Mapping[str, Tensor]
    ) -> ObservationNormaliser | None:
        """What was saved; None where observations were not normalised."""
        if plain is None:
            return None
        statistics = {
            key: {name: tensors[f"normalisation/{key}/{name}"].numpy() for name in _STATISTICS}
            for key in plain["keys"]
        }
        return cls(statistics, float(plain["epsilon"]), float(plain["clip"]))

    def __call__(self, observations: Any) -> Any:
        """Normalised observations, float32; entries without statistics stay as they are."""
        if not isinstance(observations, dict):
            return self._normalised("", observations)
        return {
            key: self._normalised(key, value) if key in self._statistics else value
            for key, value in observations.items()
        }

    def put_into(self, venv: VecNormalize) -> None:
        """Let a `VecNormalize` continue from these statistics."""
        for key, statistics in self._statistics.items():
            found: Any = venv.obs_rms[key] if key else venv.obs_rms
            found.mean, found.var = statistics["mean"].copy(), statistics["var"].copy()
            found.count = float(statistics["count"])

    def _normalised(self, key: str, observations: np.ndarray) -> np.ndarray:
        statistics = self._statistics[key]
        scaled = (observations - statistics["mean"]) / np.sqrt(statistics["var"] + self._epsilon)
        return np.clip(scaled, -self._clip, self._clip).astype(np.float32)


def _counters(model: BaseAlgorithm) -> dict[str, float]:
    """The model's numbers that change as it learns."""
    settings = constructor_arguments(type(model)) | _NOT_COUNTERS
    return {
        name: value
        for name, value in vars(model).items()
        if name not in settings and isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _write_optimiser(name: str, state: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The settings of an optimiser, and which of its state are tensors; these are added to ``tensors``."""
    plain: dict[str, dict[str, Any]] = {}
    for index, entries in state["state"].items():
        plain[str(index)] = {}
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{name}/{index}/{key}"] = value
            else:
                plain[str(index)][key] = to_plain(value, f"{name}.{key}")
    return {"state": plain, "param_groups": to_plain(state["param_groups"], name)}


def _read_optimiser(
    name: str, plain: Mapping[str, Any], tensors: Mapping[str, Tensor], file: str
) -> dict[str, Any]:
    state = {int(index): from_plain(entries, False, file) for index, entries in plain["state"].items()}
    prefix = f"{name}/"
    for path, value in tensors.items():
        if path.startswith(prefix):
            index, _, key = path.removeprefix(prefix).partition("/")
            state[int(index)][key] = value
    return {"state": state, "param_groups": from_plain(plain["param_groups"], False, file)}


def _write_normalisation(venv: VecNormalize | None, tensors: dict[str, Tensor]) -> dict[str, Any] | None:
    if venv is None or not venv.norm_obs:
        return None
    found: Any = venv.obs_rms
    by_key = found if isinstance(found, dict) else {"": found}
    for key, statistics in by_key.items():
        for name in _STATISTICS:
            value = np.asarray(getattr(statistics, name), np.float64)
            tensors[f"normalisation/{key}/{name}"] = torch.from_numpy(value.copy())
    return {"keys": list(by_key), "epsilon": float(venv.epsilon), "clip": float(venv.clip_obs)}
