"""Rewards of texts: one forward pass a text, learned from rankings, split by prompt."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from prefrl.config import RewardConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.tokens import prompt_key
from prefrl.reward import LearnedReward, RewardTrainer
from prefrl.reward.learned_reward import aggregate
from prefrl.reward.networks import build_network
from prefrl.reward.ranking_queries import TokenRankings
from prefrl.reward.token_network import TokenEnsemble
from prefrl.text.models import LanguageModel
from prefrl.text.rankings import Ranking

WORDS = "abcdefgh"
PAD, EOS = len(WORDS), len(WORDS) + 1
VOCAB = EOS + 1
CONFIG = RewardConfig(
    members=2,
    loss="plackett_luce",
    label_noise=0.02,
    learning_rate=2e-3,
    l2=0.0,
    adaptive_l2=False,
    batch_size=16,
)


def encode(text: str) -> list[int]:
    return [WORDS.index(letter) for letter in text]


def rankings(count: int, items: int = 4, seed: int = 0) -> TokenRankings:
    """Ranked by how many times the prompt's letter is in the response."""
    rng = np.random.default_rng(seed)
    ranked = []
    while len(ranked) < count:
        prompt = "".join(rng.choice(list(WORDS), 2))
        responses = tuple(
            "".join(rng.choice(list(WORDS[:3] + prompt[0]), rng.integers(1, 6))) for _ in range(items)
        )
        scores = [text.count(prompt[0]) for text in responses]
        if len(set(responses)) == items:
            best_first = sorted(set(scores), reverse=True)
            ranked.append(Ranking(prompt, responses, tuple(best_first.index(score) + 1 for score in scores)))
    return TokenRankings.of(ranked, encode, VOCAB, EOS)


def specs() -> tuple[SpaceSpec, SpaceSpec]:
    return rankings(20).specs()


def trainer(config: RewardConfig = CONFIG) -> RewardTrainer:
    observations = SpaceSpec("tokens", (2 + 8,), "int32", eos_id=EOS, max_new_tokens=6)
    return RewardTrainer(observations, SpaceSpec("token", (), "int64", (VOCAB,), (0,)), config, seed=0)


@pytest.mark.slow
def test_learns_what_ranks_texts() -> None:
    learner = trainer()
    learner.update(rankings(300).labelled())
    report = learner.fit(25)
    assert report.validation_pairs > 50
    assert report.validation_accuracy is not None
    assert report.validation_accuracy > 0.85


def computed_texts(network: TokenEnsemble) -> list[int]:
    """How many texts each member has computed, counted from here on."""
    texts = [0] * len(network.backbones)
    for member, backbone in enumerate(network.backbones):

        def count(
            _module: object, _args: object, kwargs: dict[str, torch.Tensor], member: int = member
        ) -> None:
            texts[member] += len(kwargs["input_ids"])

        backbone.register_forward_pre_hook(count, with_kwargs=True)
    return texts


def test_every_text_of_a_query_is_one_forward_pass_a_member() -> None:
    learner = trainer(replace(CONFIG, batch_size=40, validation_fraction=0.0))
    ranked = rankings(40)
    learner.update(ranked.labelled())
    network = learner._network
    assert isinstance(network, TokenEnsemble)
    texts = computed_texts(network)
    learner._train_epoch({}, np.inf, np.inf)
    # K passes for the C(K, 2) pairs of a prompt, not 2 C(K, 2); less than K where two rankings have a text.
    distinct = {item.prompt + response for item in ranked.rankings for response in item.responses}
    assert texts == [len(distinct)] * 2
    assert 150 <= len(distinct) <= 160


def shared_texts() -> TokenRankings:
    """Two prompts of five responses each, all of whose ten pairs were compared: a before b and so on."""
    pairs = [
        Ranking(prompt, (better, worse), (1, 2))
        for prompt in ("ab", "gh")
        for better, worse in itertools.combinations(("aa", "bc", "cadeb", "d", "ee"), 2)
    ]
    return TokenRankings.of(pairs, encode, VOCAB, EOS)


def test_a_text_that_pairs_share_is_computed_once_and_learned_from_for_all() -> None:
    labelled = shared_texts().labelled(trainer()._observation_spec)
    assert len({segment.id for item in labelled for segment in item.query.segments}) == 10
    config = replace(CONFIG, batch_shared=True, batch_size=10, validation_fraction=0.0)
    learner = trainer(config)
    learner.update(labelled)
    network = learner._network
    assert isinstance(network, TokenEnsemble)
    texts = computed_texts(network)
    batches = list(learner._dataset.minibatches(validation=False, noise_of={}))
    assert [len(batch.ranks) for batch in batches] == [10, 10]
    together = network(batches[0].observations, batches[0].actions)
    assert texts == [5, 5]
    one_by_one = torch.cat(
        [
            network(batches[0].observations[row : row + 1], batches[0].actions[row : row + 1])
            for row in range(20)
        ],
        dim=1,
    )
    torch.testing.assert_close(together, one_by_one)
    weights, direction = list(network.parameters()), torch.randn(2, 20)
    gradients = [
        torch.autograd.grad((found * direction).sum(), weights, allow_unused=True)
        for found in (together, one_by_one)
    ]
    for ours, theirs in zip(*gradients, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


def test_equal_texts_score_alike_wherever_their_prompts_end() -> None:
    learner = trainer()
    network = learner._network
    parts = ("ab", "cd"), ("abc", "d"), ("a", "bcd")
    same = [Ranking(prompt, (response, "h"), (1, 2)) for prompt, response in parts]
    items = TokenRankings.of(same, encode, VOCAB, EOS).labelled(learner._observation_spec)
    segments = [item.query.segments[0] for item in items]
    rewards = network(
        torch.from_numpy(np.concatenate([segment.observations for segment in segments])),
        torch.from_numpy(np.concatenate([segment.actions for segment in segments]))[:, None],
    )
    torch.testing.assert_close(rewards, rewards[:, :1].expand(-1, 3))


def test_no_prompt_is_on_both_sides() -> None:
    learner = trainer(RewardConfig(**{**vars(CONFIG), "validation_fraction": 0.4}))
    labelled = rankings(200).labelled()
    learner.update(labelled)
    dataset = learner._dataset
    held_out = {
        answer.split_keys[0]
        for answer in dataset._answers.values()
        if dataset.num_validation and answer.split_keys[0]
    }
    prompts = {prompt_key(item.query.segments[0].observations[0]) for item in labelled}
    assert held_out == prompts
    rows = {
        side: {int(row) for group in dataset._groups[side] for row in group.rows.flatten()}
        for side in (True, False)
    }
    table = {row: key for key, row in dataset.segments._rows.items()}
    by_id = {segment.id: segment for item in labelled for segment in item.query.segments}
    sides = [{prompt_key(by_id[table[row]].observations[0]) for row in rows[side]} for side in (True, False)]
    assert sides[0]
    assert sides[1]
    assert not sides[0] & sides[1]


def test_a_reward_is_that_of_the_last_step_alone() -> None:
    learner = trainer()
    labelled = rankings(60).labelled()
    learner.update(labelled)
    learner.fit(2)
    reward = learner.snapshot(version=1)
    text = [1, 2, 3, 4, 5, EOS]
    observations = np.full((5, 10), PAD, np.int32)
    for step in range(1, 6):
        observations[step - 1, :2] = step, 1
        observations[step - 1, 2 : 2 + step] = text[:step]
    predicted = reward.predict(observations, np.array(text[1:]))
    assert (predicted[:4] == 0).all()
    assert predicted[4] != 0
    # What stands behind the text is not looked at.
    observations[4, 7:] = 3
    assert reward.predict(observations[4:], np.array([EOS])) == pytest.approx(predicted[4], abs=1e-6)


def test_normalised_over_the_texts_it_was_learned_from() -> None:
    learner = trainer()
    labelled = rankings(60).labelled()
    learner.update(labelled)
    learner.fit(3)
    reward = learner.snapshot(version=1)
    segments = list({s.id: s for item in labelled for s in item.query.segments}.values())
    observations = np.concatenate([segment.observations for segment in segments])
    actions = np.concatenate([segment.actions for segment in segments])
    members = reward.predict_members(observations, actions)
    np.testing.assert_allclose(members.mean(axis=1), 0, atol=1e-3)
    np.testing.assert_allclose(members.std(axis=1), 1, atol=1e-3)


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    checkpoint = tmp_path / "model"
    LanguageModel.create("tiny", VOCAB, 8, PAD, EOS, seed=5).save(checkpoint)
    learner = trainer(RewardConfig(**{**vars(CONFIG), "language_model": str(checkpoint)}))
    learner.update(rankings(40).labelled())
    learner.fit(1)
    reward = learner.snapshot(version=3)
    reward.save(tmp_path / "reward.safetensors")
    # The checkpoint it began with need not be there.
    checkpoint.rename(tmp_path / "elsewhere")
    loaded = LearnedReward.load(tmp_path / "reward.safetensors")
    segment = rankings(40).labelled()[0].query.segments[0]
    np.testing.assert_array_equal(
        loaded.predict(segment.observations, segment.actions),
        reward.predict(segment.observations, segment.actions),
    )


def test_begins_with_a_checkpoints_weights(tmp_path: Path) -> None:
    model = LanguageModel.create("tiny", VOCAB, 8, PAD, EOS, seed=5)
    model.save(tmp_path / "model")
    config = RewardConfig(**{**vars(CONFIG), "language_model": str(tmp_path / "model")})
    observations = SpaceSpec("tokens", (2 + 8,), "int32", eos_id=EOS, max_new_tokens=6)
    network = build_network(
        observations,
        SpaceSpec("token", (), "int64", (VOCAB,), (0,)),
        config,
        torch.Generator().manual_seed(0),
    )
    assert isinstance(network, TokenEnsemble)
    for backbone in network.backbones:
        for ours, theirs in zip(backbone.parameters(), model.backbone.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs)
    assert not torch.equal(network.heads[0].weight, network.heads[1].weight)


@pytest.mark.slow
def test_centring_holds_scores_near_zero() -> None:
    levels = []
    for centring in (0.0, 1.0):
        learner = trainer(RewardConfig(**{**vars(CONFIG), "centring": centring}))
        with torch.no_grad():
            for head in learner._network.heads:  # type: ignore[union-attr]
                head.bias.fill_(4.0)
        labelled = rankings(60).labelled()
        learner.update(labelled)
        learner.fit(10)
        returns = learner.snapshot(1).segment_returns([s for item in labelled for s in item.query.segments])
        levels.append(float(np.abs(returns.mean(axis=1)).max()))
    assert levels[1] < 0.5 * levels[0]


@pytest.mark.parametrize(
    ("how", "expected"), [("mean", 2.0), ("worst", 1.0), ("mean_minus_variance", 2.0 - 0.5 * 2 / 3)]
)
def test_members_are_put_together_as_told(how: str, expected: float) -> None:
    # Rewards 1, 2, 3: mean 2, worst 1, variance ((-1)^2 + 0 + 1^2) / 3 = 2/3.
    config = RewardConfig(aggregate=how, variance_penalty=0.5)  # type: ignore[arg-type]
    assert aggregate(np.array([[1.0], [2.0], [3.0]]), config)[0] == pytest.approx(expected)


def test_networks_for_others_are_refused() -> None:
    spec, token = specs()
    with pytest.raises(ValueError, match=r"'mlp', and the observations are texts .*set it to auto or lm"):
        build_network(spec, token, RewardConfig(network="mlp"), torch.Generator())
    box = SpaceSpec("box", (3,), "float32")
    with pytest.raises(ValueError, match=r"'lm', and the observations are vectors .*set it to auto or mlp"):
        build_network(box, box, RewardConfig(network="lm"), torch.Generator())


def test_rankings_become_queries_with_their_ranks() -> None:
    ranking = Ranking("ab", ("cc", "d", "ef"), (2, 1, 2))
    tokens = TokenRankings.of([ranking], encode, VOCAB, EOS)
    (item,) = tokens.labelled()
    assert item.comparison.ranks == (2, 1, 2)
    assert tokens.max_tokens == 5
    observation, action = item.query.segments[1].observations[0], item.query.segments[1].actions[0]
    assert (observation.tolist(), int(action)) == ([3, 2, 0, 1, 3, 0, 0], EOS)
    assert len({segment.id for segment in item.query.segments}) == 3


def test_all_pairs_of_a_ranking_share_its_texts() -> None:
    """The mean over pairs of K texts is the loss of their pairs one by one."""
    torch.manual_seed(0)
    returns, ranks = torch.randn(1, 1, 4), torch.tensor([[3, 1, 2, 4]])
    from prefrl.reward.losses import bradley_terry_loss

    noise = torch.tensor([0.0])
    whole = bradley_terry_loss(returns, ranks, noise)
    pairs = [
        bradley_terry_loss(returns[..., [i, j]], ranks[:, [i, j]].argsort().argsort() + 1, noise)
        for i, j in itertools.combinations(range(4), 2)
    ]
    torch.testing.assert_close(whole, torch.stack(pairs).mean(dim=0))
