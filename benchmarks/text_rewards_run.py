"""What a reward of texts learns: the job of text_rewards.py.

``python -m benchmarks.text_rewards_run k-wise --seed 0`` learns rankings of product reviews, all pairs of a prompt in
one element of a minibatch, ``plackett-luce`` by the likelihood of the whole ranking, and ``pairs`` the same rankings as
pairs that are shuffled one by one, as many pairs a minibatch; ``pairs-small`` takes as many pairs a minibatch as the
others take rankings. ``ukp --data FILE``
learns people's judgments of arguments (UKPConvArg1Strict, Habernal and Gurevych 2016) on most topics, and is tried on
the others. The last line is the result as JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from prefrl.config import RewardConfig
from prefrl.language import LanguageModel
from prefrl.rankings import Ranking, length_baseline, length_matched, load_rankings, split_by_prompt
from prefrl.rankings.queries import TokenRankings
from prefrl.reward import RewardTrainer
from prefrl.reward.metrics import wilson_interval
from prefrl.text_config import FineTuningConfig
from prefrl.types import LabelledQuery
from prefrl_agents.text import Sequences, fine_tune
from prefrl_envs.text import Tokenizer
from prefrl_envs.text.reviews import Reviews

ITEMS, PROMPTS, EPOCHS = 6, 250, 6
PROMPTS_A_BATCH = 4
GROUPINGS = ("k-wise", "plackett-luce", "pairs", "pairs-small")
HELD_OUT_TOPICS = 4
VOCABULARY, PRETRAINING_EPOCHS, UKP_EPOCHS = 2000, 10, 2
MATCHED = 0.1
"""share that the lengths of two texts may differ by to count as equal"""


def review_rankings(seed: int) -> list[Ranking]:
    """Rankings of demonstrations that begin alike, by a noisy judge of their true reward."""
    task, rng = Reviews(), np.random.default_rng(seed)
    rankings: list[Ranking] = []
    while len(rankings) < PROMPTS:
        prompt = task.prompt(rng)
        # Without those that are there already, in the order drawn.
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
    """Validation loss by epoch; every epoch sees every pair once, and as many pairs a minibatch."""
    tokenizer = Reviews().tokenizer
    rankings = review_rankings(seed)
    training, held_out = split_by_prompt(rankings, 0.3)
    pairs_a_ranking = ITEMS * (ITEMS - 1) // 2
    batch = PROMPTS_A_BATCH * (pairs_a_ranking if method == "pairs" else 1)
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
    """A count of forward passes while training, of one text each."""
    passes = [0]

    def count(_module: object, _args: object, kwargs: dict[str, torch.Tensor]) -> None:
        if torch.is_grad_enabled():
            passes[0] += len(kwargs["input_ids"])

    trainer._network.backbones[0].register_forward_pre_hook(count, with_kwargs=True)  # type: ignore[operator,index,union-attr]
    return passes


def scores_of(trainer: RewardTrainer, labelled: Sequence[Any]) -> list[np.ndarray]:
    """The raw score of each response, by ranking."""
    reward = trainer.snapshot(version=1)
    return [reward.segment_returns(item.query.segments)[0] for item in labelled]


def pair_figures(scores: Sequence[np.ndarray], rankings: Sequence[Ranking]) -> dict[str, float]:
    """Mean loss and accuracy over all pairs of rankings."""
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
    """Better minus worse, of all pairs."""
    places = range(len(score))
    return [
        float(score[first] - score[second])
        for first in places
        for second in places
        if ranking.ranks[first] < ranking.ranks[second]
    ]


def encode(rankings: Sequence[Ranking], tokenizer: Tokenizer) -> TokenRankings:
    """As token ids."""
    return TokenRankings.of(rankings, tokenizer.encode, tokenizer.vocab_size, tokenizer.eos_id)


def run_ukp(data: Path, seed: int) -> dict[str, Any]:
    """Learn twelve topics, try the four others: all pairs, and those of about one length.

    The language model and its byte-pair tokens come from the arguments of the twelve topics alone.
    """
    rankings = load_rankings(data)
    topics = sorted({ranking.prompt for ranking in rankings})
    held_out = set(random.Random(seed).sample(topics, HELD_OUT_TOPICS))
    training = [ranking for ranking in rankings if ranking.prompt not in held_out]
    testing = [ranking for ranking in rankings if ranking.prompt in held_out]
    tokenizer = BytePairs(training)
    everything = encode([*training, *testing], tokenizer)
    start_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        pretrain(training, tokenizer, everything.max_tokens, seed).save(folder)
        config = RewardConfig(
            members=3,
            bootstrap=False,
            label_noise=0.1,
            learning_rate=3e-4,
            batch_size=16,
            l2=0.0,
            adaptive_l2=False,
            validation_fraction=0.0,
            language_model=folder,
        )
        trainer = RewardTrainer(*everything.specs(), config, seed)
    labelled = everything.labelled()
    trainer.update(labelled[: len(training)])
    trainer.fit(UKP_EPOCHS)
    reward = trainer.snapshot(version=1)
    test = labelled[len(training) :]
    scores = [reward.text_rewards(*_last_steps(item)) for item in test]
    known = {id(ranking): score for ranking, score in zip(testing, scores, strict=True)}
    matched = [ranking for ranking in testing if length_matched([ranking], MATCHED)]
    right, pairs = right_of(testing, known)
    right_matched, pairs_matched = right_of(matched, known)
    longer, _ = length_baseline(testing)
    return {
        "accuracy": right / pairs,
        "interval": wilson_interval(right, pairs),
        "longer_wins": longer,
        "pairs": pairs,
        "accuracy_matched": right_matched / pairs_matched,
        "interval_matched": wilson_interval(right_matched, pairs_matched),
        "pairs_matched": pairs_matched,
        "topics": sorted(held_out),
        "training_s": round(time.monotonic() - start_s, 3),
    }


def right_of(rankings: Sequence[Ranking], known: dict[int, np.ndarray]) -> tuple[int, int]:
    """How many pairs the scores put right, and how many there are."""
    differences = [d for ranking in rankings for d in pair_differences(known[id(ranking)], ranking)]
    return sum(difference > 0 for difference in differences), len(differences)


def _last_steps(item: LabelledQuery) -> tuple[np.ndarray, np.ndarray]:
    segments = item.query.segments
    return np.concatenate([each.observations for each in segments]), np.concatenate(
        [each.actions for each in segments]
    )


class BytePairs:
    """Byte pairs of some texts, as a tokenizer of the text environments."""

    def __init__(self, rankings: Sequence[Ranking]) -> None:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        self._inner = Tokenizer(models.BPE())
        self._inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self._inner.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        texts = sorted({text for ranking in rankings for text in (ranking.prompt, *ranking.responses)})
        self._inner.train_from_iterator(
            texts, trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
        )
        count = self._inner.get_vocab_size()
        self.vocab_size, self.pad_id, self.eos_id = count + 2, count, count + 1

    def encode(self, text: str) -> list[int]:
        """Token ids."""
        return list(self._inner.encode(text).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text."""
        return str(self._inner.decode([token for token in ids if token < self.pad_id]))


def pretrain(rankings: Sequence[Ranking], tokenizer: BytePairs, room: int, seed: int) -> LanguageModel:
    """A small model that has read the arguments of these rankings."""
    model = LanguageModel.create(
        "small", tokenizer.vocab_size, room, tokenizer.pad_id, tokenizer.eos_id, seed
    )
    texts = sorted({(ranking.prompt, text) for ranking in rankings for text in ranking.responses})
    sequences = Sequences.of(
        [tokenizer.encode(prompt) for prompt, _ in texts],
        [[*tokenizer.encode(text), tokenizer.eos_id] for _, text in texts],
        tokenizer.pad_id,
    )
    fine_tune(model, sequences, FineTuningConfig(epochs=PRETRAINING_EPOCHS), seed)
    return model


def main() -> None:
    """Run one method and print its figures as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", choices=(*GROUPINGS, "ukp"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.method == "ukp":
        print(json.dumps(run_ukp(options.data, options.seed)))
    else:
        print(json.dumps(run_grouping(options.method, options.seed)))


if __name__ == "__main__":
    main()
