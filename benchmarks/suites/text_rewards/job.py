"""A reward of texts fitted to rankings of product reviews, grouped in one of four ways.

``python -m benchmarks.suites.text_rewards.job k-wise --seed 0`` has all pairs of a prompt in one element of a
minibatch, ``plackett-luce`` the likelihood of the whole ranking, and ``pairs`` shuffled pairs of the same rankings, as
many per minibatch as k-wise; ``pairs-small`` has as many pairs per minibatch as the others have rankings. The last line
is the result as JSON.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.harness import job_parser, print_result
from prefrl.config import RewardConfig
from prefrl.reward import RewardTrainer
from prefrl.reward.ranking_queries import TokenRankings
from prefrl.text.rankings import Ranking, split_by_prompt
from prefrl_envs.text import Tokenizer
from prefrl_envs.text.reviews import Reviews

ITEMS, PROMPTS, EPOCHS = 6, 250, 6
PROMPTS_PER_BATCH = 4
METHODS = ("k-wise", "plackett-luce", "pairs", "pairs-small")


def review_rankings(seed: int) -> list[Ranking]:
    """Rankings of demonstrations for the same prompt, by a noisy judge of their true reward."""
    task, rng = Reviews(), np.random.default_rng(seed)
    rankings: list[Ranking] = []
    while len(rankings) < PROMPTS:
        prompt = task.prompt(rng)
        # Distinct demonstrations, in the order drawn.
        responses = tuple(dict.fromkeys(task.demonstration(rng)[1] for _ in range(3 * ITEMS)))[:ITEMS]
        judged = task.reward([prompt] * ITEMS, responses) + rng.gumbel(size=ITEMS)
        ranks = (-judged).argsort().argsort() + 1
        rankings.append(Ranking(prompt, responses, tuple(ranks.tolist())))
    return rankings


def as_pairs(rankings: Sequence[Ranking], seed: int) -> list[Ranking]:
    """All pairs of all rankings, shuffled."""
    pairs = [Ranking(each.prompt, tuple(pair), (1, 2)) for each in rankings for pair in each.pairs()]
    random.Random(seed).shuffle(pairs)
    return pairs


def run_grouping(method: str, seed: int) -> dict[str, Any]:
    """Validation loss by epoch; an epoch sees every pair once."""
    tokenizer = Reviews().tokenizer
    rankings = review_rankings(seed)
    training, held_out = split_by_prompt(rankings, 0.3)
    pairs_per_ranking = ITEMS * (ITEMS - 1) // 2
    batch = PROMPTS_PER_BATCH * (pairs_per_ranking if method == "pairs" else 1)
    learned = as_pairs(training, seed) if method.startswith("pairs") else training
    config = RewardConfig(
        members=1,
        bootstrap=False,
        loss="plackett_luce" if method == "plackett-luce" else "bradley_terry",
        label_noise=0.0,
        learning_rate=1e-3,
        batch_size=batch,
        l2=0.0,
        adaptive_l2=False,
        validation_fraction=0.0,
        language_model="tiny",
    )
    everything = encode([*learned, *held_out], tokenizer)
    labelled = everything.labelled()
    trainer = RewardTrainer(*everything.specs(), config, seed)
    trainer.update(labelled[: len(learned)])
    passes = count_texts(trainer)
    start_s, curve = time.monotonic(), []
    for epoch in range(1, EPOCHS + 1):
        trainer.fit(1)
        texts = passes[0]
        scores = scores_of(trainer, labelled[len(learned) :])
        curve.append({"epoch": epoch, "texts": texts} | pair_figures(scores, held_out))
    best = min(curve, key=lambda point: point["loss"])
    return {
        **best,
        "late_loss": float(np.mean([point["loss"] for point in curve[EPOCHS // 2 :]])),
        "curve": curve,
        "training_s": round(time.monotonic() - start_s, 3),
    }


def count_texts(trainer: RewardTrainer) -> list[int]:
    """A counter, in a list of one, of the texts in forward passes while training."""
    passes = [0]

    def count(_module: object, _args: object, kwargs: dict[str, torch.Tensor]) -> None:
        if torch.is_grad_enabled():
            passes[0] += len(kwargs["input_ids"])

    trainer._network.backbones[0].register_forward_pre_hook(count, with_kwargs=True)  # type: ignore[index,union-attr]
    return passes


def scores_of(trainer: RewardTrainer, labelled: Sequence[Any]) -> list[np.ndarray]:
    """The raw score of each response, an array per ranking."""
    reward = trainer.snapshot(version=1)
    return [reward.segment_returns(item.query.segments)[0] for item in labelled]


def pair_figures(scores: Sequence[np.ndarray], rankings: Sequence[Ranking]) -> dict[str, float]:
    """Mean loss and accuracy over all pairs of the rankings."""
    differences = np.array(
        [
            difference
            for score, ranking in zip(scores, rankings, strict=True)
            for difference in pair_differences(score, ranking)
        ]
    )
    return {
        "loss": float(np.logaddexp(0, -differences).mean()),
        "accuracy": float((np.sign(differences) + 1).mean() / 2),
        "pairs": len(differences),
    }


def pair_differences(score: np.ndarray, ranking: Ranking) -> list[float]:
    """Score of the better minus the worse response, for all pairs."""
    places = range(len(score))
    return [
        float(score[first] - score[second])
        for first in places
        for second in places
        if ranking.ranks[first] < ranking.ranks[second]
    ]


def encode(rankings: Sequence[Ranking], tokenizer: Tokenizer) -> TokenRankings:
    """The rankings as token ids."""
    return TokenRankings.of(rankings, tokenizer.encode, tokenizer.vocab_size, tokenizer.eos_id)


def main() -> None:
    """Run one method and print its figures."""
    parser = job_parser(__doc__)
    parser.add_argument("method", choices=METHODS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print_result(run_grouping(options.method, options.seed))


if __name__ == "__main__":
    main()
