"""A reward of texts fitted to people's judgments of arguments: the job arguments/prefrl.

``python -m benchmarks.suites.text_rewards.argument_preferences --data ukp_pairs.jsonl.gz --corpus
hh_helpful_pairs.jsonl.gz --seed 0`` takes the pairs of UKPConvArg1Strict (Habernal and Gurevych 2016). A reward is
fitted to twelve of its sixteen topics and tested on the other four, four times, so that every pair is tested once; the
seed shuffles the topics. Its language model is trained only on the corpus, conversations of HH-RLHF (Bai et al. 2022).
The last line is the result as JSON.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.harness import WORK, job_parser, print_result
from prefrl.config import FineTuningConfig, RewardConfig
from prefrl.reward import LearnedReward, RewardTrainer
from prefrl.reward.metrics import wilson_interval
from prefrl.reward.ranking_queries import TokenRankings
from prefrl.text.models import LanguageModel
from prefrl.text.rankings import Ranking, length_baseline, length_matched, load_rankings
from prefrl_agents.text import Sequences, fine_tune
from prefrl_envs.text import ByteTokenizer

FOLDS = 4
EPOCHS, MEMBERS, PAIRS = 2, 5, 475
"""passes over the pairs, members of the ensemble, and pairs per minibatch: enough for any topic, too few for two"""
PROMPT = "Argument: "
"""the same for all arguments, since test topics are never seen in training"""
MATCHED = 0.1
"""relative difference up to which two lengths count as equal"""
MODEL = WORK / "text" / "conversations-tiny"
ROOM, CHUNK = 1400, 640
"""bytes of the model's context, and of a training sequence"""
SPEAKER = re.compile(r"\n\n(?:Human|Assistant):")


def main() -> None:
    """Fit and test all folds, and print the figures."""
    parser = job_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="pairs of UKPConvArg1Strict")
    parser.add_argument("--corpus", type=Path, required=True, help="helpful test transcripts of HH-RLHF")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not (MODEL / "config.json").exists():
        read_conversations(options.corpus).save(MODEL)
    pairs, start_s = load_rankings(options.data), time.monotonic()
    found = figures(pairs, cross_validate(pairs, options.seed))
    print_result(found | {"training_s": round(time.monotonic() - start_s, 3)})


def cross_validate(pairs: Sequence[Ranking], seed: int) -> np.ndarray:
    """By how much the better argument of each pair scores higher, by a reward not fitted to its topic; shape (N,)."""
    topics = sorted({pair.prompt for pair in pairs})
    random.Random(seed).shuffle(topics)
    differences = np.empty(len(pairs))
    for fold in range(FOLDS):
        held_out = set(topics[fold::FOLDS])
        reward = fit([pair for pair in pairs if pair.prompt not in held_out], seed)
        tested = [number for number, pair in enumerate(pairs) if pair.prompt in held_out]
        differences[tested] = judge(reward, [pairs[number] for number in tested])
    return differences


def read_conversations(corpus: Path) -> LanguageModel:
    """A tiny language model trained on the turns of conversations, each turn by itself."""
    tokenizer, turns = ByteTokenizer(), set[str]()
    for ranking in load_rankings(corpus):
        for response in ranking.responses:
            turns |= {turn.strip() for turn in SPEAKER.split(ranking.prompt + response) if turn.strip()}
    ordered = sorted(turns)
    random.Random(0).shuffle(ordered)
    stream = [token for turn in ordered for token in (*tokenizer.encode(turn), tokenizer.eos_id)]
    chunks = [stream[start : start + CHUNK] for start in range(0, len(stream) - CHUNK, CHUNK)]
    sequences = Sequences.of(
        [chunk[:1] for chunk in chunks], [chunk[1:] for chunk in chunks], tokenizer.pad_id
    )
    model = LanguageModel.create("tiny", tokenizer.vocab_size, ROOM, tokenizer.pad_id, tokenizer.eos_id)
    fine_tune(model, sequences, FineTuningConfig(epochs=3, batch_size=8, learning_rate=2e-3), seed=0)
    return model


def fit(pairs: Sequence[Ranking], seed: int) -> LearnedReward:
    """A reward fitted to the pairs; a minibatch has all pairs of a topic and reads each argument once."""
    encoded = encode([replace(pair, prompt=PROMPT) for pair in pairs])
    config = RewardConfig(
        members=MEMBERS,
        bootstrap=False,
        label_noise=0.1,
        learning_rate=1e-3,
        decay=True,
        batch_size=PAIRS,
        batch_shared=True,
        last_labels=len(pairs),
        l2=0.0,
        adaptive_l2=False,
        validation_fraction=0.0,
        language_model=str(MODEL),
    )
    observation_spec, action_spec = encoded.specs(ROOM)
    trainer = RewardTrainer(observation_spec, action_spec, config, seed)
    trainer.update(encoded.labelled(observation_spec))
    trainer.fit(EPOCHS)
    return trainer.snapshot(version=1)


def judge(reward: LearnedReward, pairs: Sequence[Ranking]) -> list[float]:
    """By how much the better argument of each pair scores higher; every argument is read once."""
    texts = sorted({text for pair in pairs for text in pair.responses})
    read = encode([Ranking(PROMPT, (text, text), (1, 1)) for text in texts])
    segments = [item.query.segments[0] for item in read.labelled(reward.observation_spec)]
    scores = reward.text_rewards(
        np.concatenate([segment.observations for segment in segments]),
        np.concatenate([segment.actions for segment in segments]),
    )
    known = dict(zip(texts, scores.tolist(), strict=True))
    return [known[better] - known[worse] for pair in pairs for better, worse in pair.pairs()]


def encode(rankings: Sequence[Ranking]) -> TokenRankings:
    """The rankings as bytes."""
    tokenizer = ByteTokenizer()
    return TokenRankings.of(rankings, tokenizer.encode, tokenizer.vocab_size, tokenizer.eos_id)


def figures(pairs: Sequence[Ranking], differences: np.ndarray) -> dict[str, Any]:
    """Accuracy with 95% intervals on all pairs, on pairs of equal length, and where the shorter one scores higher."""
    longer_by = np.array([len(better) - len(worse) for pair in pairs for better, worse in pair.pairs()])
    groups = {
        "": np.ones(len(pairs), bool),
        "_matched": np.array([bool(length_matched([pair], MATCHED)) for pair in pairs]),
        "_shorter": differences * longer_by < 0,
    }
    found: dict[str, Any] = {"longer_wins": length_baseline(pairs)[0]}
    for name, kept in groups.items():
        right = differences[kept] > 0
        found |= {
            f"accuracy{name}": float(right.mean()),
            f"interval{name}": wilson_interval(int(right.sum()), len(right)),
            f"pairs{name}": len(right),
        }
    return found


if __name__ == "__main__":
    main()
