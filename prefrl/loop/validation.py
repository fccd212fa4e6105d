"""Whether the settings of a run make sense: all that can be known before anything is made.

One table says what each number may be; a few checks say what must hold between several. What only the
environment or the agent can tell is checked in `prefrl.loop.environments`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

from prefrl.config import JsonDict, RunConfig, from_json, to_json
from prefrl.config.device import is_device_name
from prefrl.oracles import check_oracle_kind, check_teacher
from prefrl.queries import check_schedule, find_sampler, initial_segments
from prefrl.reward.loss_registry import check_loss, find_loss

__all__ = ["check_config", "check_enough_segments"]

SEED_LIMIT = 2**31
"""seeds derived from the run's, for evaluation and after a restart, must still fit 32 bits"""


@dataclass(frozen=True)
class _Range:
    """What one setting may be."""

    names: str
    """dotted, of one setting or several, separated by spaces"""
    holds: Callable[[Any], bool]
    """False for NaN, too, which no comparison holds of"""
    needed: str


_RANGES = (
    _Range(
        "steps labels env.num_envs env.responses_per_prompt eval_episodes reward.members "
        "reward.batch_size reward.initial_epochs reward.epochs_per_update reward.last_labels "
        "queries.segment_steps queries.candidates queries.batch queries.window_segments "
        "runtime.pool_segments runtime.checkpoint_steps",
        lambda value: value >= 1,
        "at least 1 is needed",
    ),
    _Range(
        "reward.patience_epochs",
        lambda value: value is None or value >= 1,
        "at least 1 is needed, or None, which never ends a fit early",
    ),
    _Range(
        "reward.queries_per_label",
        lambda value: value is None or 0 < value < math.inf,
        "a finite number above 0 is needed, or None, which sets no limit",
    ),
    _Range("queries.items", lambda value: value >= 2, "a query compares at least 2 segments"),
    _Range("seed", lambda value: 0 <= value < SEED_LIMIT, f"0 to {SEED_LIMIT - 1} is needed"),
    _Range("runtime.max_restarts", lambda value: value >= 0, "at least 0 is needed; 0 never restarts"),
    _Range(
        "runtime.max_label_lag",
        lambda value: value is None or value >= 0,
        "at least 0 is needed, or None, which never waits",
    ),
    _Range(
        "reward.hidden",
        lambda widths: all(isinstance(width, int) and width >= 1 for width in widths),
        "every layer's width must be a whole number, at least 1",
    ),
    _Range(
        "reward.learning_rate reward.std reward.margin runtime.lease_s",
        lambda value: 0 < value < math.inf,
        "a finite number above 0 is needed",
    ),
    _Range(
        "reward.l2 reward.centring reward.variance_penalty env.termination_penalty",
        lambda value: 0 <= value < math.inf,
        "a finite number of at least 0 is needed",
    ),
    _Range(
        "reward.label_noise reward.dropout reward.validation_fraction",
        lambda value: 0 <= value < 1,
        "a share of at least 0 and below 1 is needed",
    ),
    _Range("reward.device", is_device_name, "auto, cpu, cuda, or cuda:N for the Nth GPU from 0 is needed"),
    _Range("queries.repeat_share", lambda value: 0 <= value <= 1, "a share between 0 and 1 is needed"),
)


def check_config(config: RunConfig) -> None:
    """Refuse settings that no run can have, before any work starts.

    Raises:
        ValueError: naming the setting (``queries.items``, as the flag ``--queries.items``), its value and
            what is needed.
    """
    _check_types(config)
    check_schedule(config.labels, config.steps, config.schedule)
    for allowed in _RANGES:
        for name in allowed.names.split():
            value = reduce(getattr, name.split("."), config)
            if not allowed.holds(value):
                raise ValueError(f"{name} is {value}; {allowed.needed}")
    _check_names(config)
    check_teacher(config.oracle.teacher)
    _check_loss(config)
    _check_pool(config)


def _check_types(config: RunConfig) -> None:
    """The settings must survive ``config.json``, by which the processes get them."""
    _check_json("env.kwargs", config.env.kwargs)
    _check_json("agent.hyperparameters", config.agent.hyperparameters)
    try:
        from_json(RunConfig, to_json(config), "settings")
    except TypeError as error:
        raise ValueError(f"settings must be plain numbers and words: {error}; convert them first") from error


def _check_names(config: RunConfig) -> None:
    """Refuse a sampler, loss or oracle that does not exist; ``module:name`` is imported to find out."""
    checks: dict[str, tuple[Callable[[str], object], str]] = {
        "queries.sampler": (find_sampler, config.queries.sampler),
        "reward.loss": (check_loss, config.reward.loss),
        "oracle.kind": (check_oracle_kind, config.oracle.kind),
    }
    for setting, (check, name) in checks.items():
        try:
            check(name)
        except ValueError as error:
            raise ValueError(f"{setting}: {error}") from error


def _check_json(name: str, values: JsonDict) -> None:
    try:
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} is {values}, which cannot be written as JSON ({error}); use finite numbers, words, "
            "lists and objects"
        ) from error


def _check_loss(config: RunConfig) -> None:
    name, items = config.reward.loss, config.queries.items
    loss = find_loss(name)
    if loss.fits_true_returns and config.oracle.kind != "synthetic":
        raise ValueError(
            f"reward.loss is {name}, which fits true returns, and oracle.kind is {config.oracle.kind}, whose answers "
            "tell none; take bradley_terry"
        )
    if loss.max_items is not None and items > loss.max_items:
        raise ValueError(
            f"queries.items is {items}; reward.loss {name} ranks at most {loss.max_items}, bradley_terry any number"
        )


def _check_pool(config: RunConfig) -> None:
    """Queries keep to one side of the validation split, so one side must surely hold a query's worth."""
    items = config.queries.items
    needed = 2 * items - 1 if config.reward.validation_fraction else items
    sizes = {
        "queries.window_segments": config.queries.window_segments,
        "runtime.pool_segments": config.runtime.pool_segments,
    }
    for name, size in sizes.items():
        if size < needed:
            raise ValueError(f"{name} is {size}; queries of {items} segments need at least {needed}")


def check_enough_segments(config: RunConfig) -> None:
    """Raise ValueError when the run is too short for its first queries; of settings that are settled."""
    needed, recorded = initial_segments(config), _recorded_segments(config)
    if recorded < needed:
        raise ValueError(
            f"{config.steps} steps in {config.env.num_envs} environments give {recorded} segments of "
            f"{config.queries.segment_steps} steps, the first queries need {needed}; raise steps, or lower "
            "queries.segment_steps, env.num_envs or schedule.initial_share"
        )


def _recorded_segments(config: RunConfig) -> int:
    """Segments that `SegmentRecorder` cuts in the run; environments start at offsets spread over one."""
    length, num_envs = config.queries.segment_steps, config.env.num_envs
    steps_an_env = config.steps // num_envs
    offsets = (env * length // num_envs for env in range(num_envs))
    return sum(max(0, steps_an_env - offset) // length for offset in offsets)
