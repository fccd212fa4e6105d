"""The preference losses by name, and what the settings must know of them. Loads no torch.

The losses themselves are in `prefrl.reward.losses`.
"""

from __future__ import annotations

from dataclasses import dataclass

from prefrl.config.registry import Registry, names_a_module

__all__ = ["MAX_RANKED_ITEMS", "PREFERENCE_LOSSES", "LossSpec", "check_loss", "find_loss"]

MAX_RANKED_ITEMS = 12
"""segments a query that the Plackett-Luce loss ranks at most: its cost doubles with every one"""


@dataclass(frozen=True)
class LossSpec:
    """A preference loss: where its function is, and what differs from the other losses."""

    function: str
    """``module:name`` of the function, imported when a reward is trained"""
    takes_margin: bool = False
    """call the function with ``margin=reward.margin`` as well"""
    margin_log_odds: float | None = None
    """log-odds that a difference of one margin stands for; None where a unit of return is a unit of log-odds"""
    fits_true_returns: bool = False
    """give the function the true returns of the segments, shape (B, K) float32, in place of the ranks"""
    max_items: int | None = None
    """segments a query at most; None for any number"""


PREFERENCE_LOSSES: Registry[LossSpec] = Registry(
    "preference loss",
    {
        "bradley_terry": LossSpec("prefrl.reward.losses:bradley_terry_loss"),
        "plackett_luce": LossSpec("prefrl.reward.losses:plackett_luce_loss", max_items=MAX_RANKED_ITEMS),
        "bradley_terry_margin": LossSpec("prefrl.reward.losses:bradley_terry_loss", takes_margin=True),
        "margin": LossSpec("prefrl.reward.losses:margin_loss", takes_margin=True, margin_log_odds=4.0),
        "regression": LossSpec("prefrl.reward.losses:regression_loss", fits_true_returns=True),
    },
)
"""The preference losses by name, for ``reward.loss``; ``module:name`` is one of your own.

A loss is a function of three tensors, for E ensemble members and a minibatch of B queries of K segments each:

- ``returns``, shape (E, B, K) float32: each member's predicted segment returns, undiscounted and not normalised;
- ``ranks``, shape (B, K) int64: the answer, 1 the best, equal ranks tie;
- ``noise``, shape (B,) float32: the share of the annotator's answers taken to be uniformly random, in [0, 1).

It returns the loss of each member on each query, shape (E, B), which gradients can flow through. Returns are read as
log-odds elsewhere: the softmax over a query's segments is the predicted preference.

For example, in ``my_losses.py``, for pairs::

    def squared_error(returns, ranks, noise):
        probability = returns.softmax(dim=-1)[..., 0]
        return (probability - (ranks[:, 0] < ranks[:, 1]).float()).square()

and ``--reward.loss my_losses:squared_error``.
"""


def find_loss(name: str) -> LossSpec:
    """The loss that ``reward.loss`` names. Imports nothing: a saved reward is opened without running code it names.

    Raises:
        ValueError: when there is none.
    """
    return LossSpec(name) if names_a_module(name) else PREFERENCE_LOSSES.find(name)


def check_loss(name: str) -> None:
    """Raise ValueError unless ``reward.loss`` names a loss; ``module:name`` is imported to find out."""
    found: object = PREFERENCE_LOSSES.find(name)
    if not isinstance(found, LossSpec) and not callable(found):
        raise ValueError(
            f"preference loss {name!r} is {found!r}; a function of returns, ranks and noise is needed"
        )
