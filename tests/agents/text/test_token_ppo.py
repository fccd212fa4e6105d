"""`TokenPPO` is SB3's PPO: the same numbers from the same tokens, and the details that language models need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import VecEnv

from prefrl.config import AgentConfig, FineTuningConfig
from prefrl.sb3 import NativeVecEnv, PreferenceVecEnv
from prefrl_agents import start_model
from prefrl_agents.text import fine_tune_policy
from prefrl_agents.text.policy import LanguageModelPolicy
from prefrl_agents.text.token_ppo import TokenPPO
from prefrl_envs.text import TextGenVectorEnv
from prefrl_envs.text.random_walks import RandomWalks

NUM_ENVS, N_STEPS = 6, 17
"""an odd number of steps, so that most texts are cut by the end of a rollout"""


class Silent(BaseCallback):
    """A callback that does nothing."""

    def _on_step(self) -> bool:
        return True


def walks(num_envs: int = NUM_ENVS, **settings: object) -> NativeVecEnv:
    venv = NativeVecEnv(TextGenVectorEnv(RandomWalks(), num_envs, **settings))  # type: ignore[arg-type]
    venv.seed(3)
    return venv


def stock_ppo(**arguments: object) -> PPO:
    settings = {
        "n_steps": N_STEPS,
        "batch_size": N_STEPS * NUM_ENVS,
        "n_epochs": 1,
        "gamma": 1.0,
        "vf_coef": 0.05,
    }
    settings |= {"gae_lambda": 0.95, "max_grad_norm": 1e9, "ent_coef": 0.01, "seed": 1}
    return PPO(LanguageModelPolicy, walks(), **(settings | arguments))  # type: ignore[arg-type]


def token_ppo(venv: VecEnv | None = None, **arguments: object) -> TokenPPO:
    # Ours takes half the squared error, as language models' PPO does, so its coefficient is twice SB3's.
    settings = {
        "n_steps": N_STEPS,
        "n_epochs": 1,
        "vf_coef": 0.1,
        "clip_range_vf": None,
        "kl_coefficient": 0.0,
    }
    settings |= {"max_grad_norm": 1e9, "ent_coef": 0.01, "seed": 1}
    return TokenPPO(LanguageModelPolicy, venv or walks(), **(settings | arguments))  # type: ignore[arg-type]


def roll(model: PPO, rollouts: int = 1) -> None:
    """Collect this many rollouts without learning."""
    torch.manual_seed(0)
    model.set_logger(configure(None, []))
    _, callback = model._setup_learn(10**6, Silent())
    assert model.env is not None
    for _ in range(rollouts):
        model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)


def gradient(model: PPO) -> torch.Tensor:
    """The gradient of the last minibatch of `train`, as one vector."""
    model.train()
    return torch.cat(
        [weight.grad.flatten() for weight in model.policy.parameters() if weight.grad is not None]
    )


def test_the_same_tokens_give_the_same_numbers_as_sb3_ppo() -> None:
    stock, ours = stock_ppo(), token_ppo()
    for model in (stock, ours):
        roll(model, rollouts=3)
    mine, theirs = ours.rollout_buffer, stock.rollout_buffer
    np.testing.assert_array_equal(mine.actions, theirs.actions)
    np.testing.assert_array_equal(mine.episode_starts, theirs.episode_starts)
    np.testing.assert_array_equal(mine.rewards, theirs.rewards)
    np.testing.assert_allclose(mine.values, theirs.values, atol=1e-5)
    np.testing.assert_allclose(mine.log_probs, theirs.log_probs, atol=1e-5)
    np.testing.assert_allclose(mine.returns, theirs.returns, atol=1e-5)
    whitened = (theirs.advantages - theirs.advantages.mean()) / (theirs.advantages.std(ddof=1) + 1e-8)
    np.testing.assert_allclose(mine.advantages, whitened, atol=1e-5)


def test_the_first_gradient_equals_that_of_sb3_ppo() -> None:
    stock, ours = stock_ppo(), token_ppo()
    for model in (stock, ours):
        with torch.no_grad():
            model.policy.value_head.weight.normal_(generator=torch.Generator().manual_seed(0))
        roll(model, rollouts=2)
    theirs, mine = gradient(stock), gradient(ours)
    assert theirs.norm() > 1e-3
    assert (mine - theirs).norm() < 1e-4 * theirs.norm()


def test_cached_decoding_gives_the_probabilities_of_whole_texts() -> None:
    model = token_ppo()
    roll(model, rollouts=2)
    for samples in model.rollout_buffer.get(40):
        values, log_prob, _ = model.policy.evaluate_actions(samples.observations, samples.actions)
        torch.testing.assert_close(log_prob, samples.old_log_prob, atol=1e-5, rtol=0)
        torch.testing.assert_close(values.flatten(), samples.old_values, atol=1e-5, rtol=0)


def test_minibatches_hold_every_step_once_and_whole_texts() -> None:
    model = token_ppo()
    roll(model, rollouts=2)
    buffer = model.rollout_buffer
    seen = [samples.returns.numpy() for samples in buffer.get(20)]
    assert all(len(part) >= 20 for part in seen[:-1])
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.sort(buffer.returns.flatten()))


def test_padding_is_never_chosen() -> None:
    model = token_ppo()
    with torch.no_grad():
        hidden = torch.randn(500, model.policy.language_model.num_features)
        distribution = model.policy._distribution(hidden)
    assert not (distribution.sample() == model.observation_space.pad_id).any()  # type: ignore[attr-defined]
    assert distribution.entropy().isfinite().all()


def test_temperature_divides_logits_acting_and_learning_alike() -> None:
    model = token_ppo(policy_kwargs={"temperature": 0.5})
    roll(model)
    sample = next(iter(model.rollout_buffer.get()))
    policy = model.policy
    hidden = policy.language_model.hidden(sample.observations.ids)[
        sample.observations.texts, sample.observations.positions - 1
    ]
    head = policy.language_model.inner.get_output_embeddings()
    logits = head(hidden) / 0.5
    logits[:, model.observation_space.pad_id] = -torch.inf  # type: ignore[attr-defined]
    expected = logits.log_softmax(-1).gather(1, sample.actions[:, None])[:, 0]
    torch.testing.assert_close(sample.old_log_prob, expected, atol=1e-5, rtol=0)


def test_ratio_is_one_before_anything_is_learned() -> None:
    model = token_ppo()
    roll(model)
    model.train()
    assert model.logger.name_to_value["train/ratio_max"] == pytest.approx(1.0, abs=1e-4)


def test_a_policy_changed_since_it_acted_is_refused() -> None:
    model = token_ppo()
    roll(model)
    with torch.no_grad():
        for weight in model.policy.language_model.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    with pytest.raises(RuntimeError, match=r"has to be 0 .* dropout"):
        model.train()


def test_a_different_temperature_in_learning_is_detected() -> None:
    # A mean ratio would not tell: under samples of the one policy it is 1 for any other.
    model = token_ppo(policy_kwargs={"temperature": 1.0})
    with torch.no_grad():
        model.policy.language_model.backbone.wte.weight.mul_(3.0)
    roll(model)
    model.policy.temperature = 0.9
    with pytest.raises(RuntimeError, match=r"has to be 0 .* temperature"):
        model.train()


def test_a_non_finite_gradient_changes_no_weights() -> None:
    model = token_ppo()
    roll(model)
    before = [weight.clone() for weight in model.policy.parameters()]
    model.rollout_buffer.advantages[0] = np.nan
    with pytest.raises(RuntimeError, match="gradient's norm is nan"):
        model.train()
    assert all(torch.equal(*pair) for pair in zip(before, model.policy.parameters(), strict=True))


def test_the_reference_of_adapters_is_the_fine_tuned_model() -> None:
    model = token_ppo(kl_coefficient=0.1, policy_kwargs={"lora_rank": 2})
    config = FineTuningConfig(demonstrations=200, epochs=2, learning_rate=1e-2)
    assert model.env is not None
    losses = fine_tune_policy(model.policy, model.env, config, seed=0)
    assert losses[-1] < losses[0] - 0.05
    roll(model)
    assert model.logger.name_to_value["rollout/kl"] == pytest.approx(0.0, abs=1e-3)


def test_fine_tuning_reports_its_progress() -> None:
    venv, tuning = walks(), FineTuningConfig(demonstrations=40, epochs=2)
    told = list[tuple[str, str]]()
    start_model(AgentConfig("token_ppo", fine_tuning=tuning), venv, 0, lambda *words: told.append(words))
    assert told == [("fine-tuning", f"epoch {epoch} of 2") for epoch in (0, 1, 2)]
    start_model(AgentConfig("token_ppo", fine_tuning=tuning), venv, 0)  # told to nobody


def test_no_bootstrapping_at_the_length_limit() -> None:
    model = token_ppo(gae_lambda=1.0)
    with torch.no_grad():
        model.policy.value_head.bias.fill_(5.0)
    roll(model, rollouts=4)
    buffer = model.rollout_buffer
    is_cut_off = buffer.ends & (buffer.actions[..., 0] != model.policy.eos_id)
    assert is_cut_off.any()
    np.testing.assert_allclose(buffer.returns[is_cut_off], buffer.rewards[is_cut_off], atol=1e-5)


def test_texts_that_never_end_are_penalised() -> None:
    plain, penalised = token_ppo(), token_ppo(missing_eos_penalty=0.7)
    for model in (plain, penalised):
        roll(model, rollouts=2)
    buffer = plain.rollout_buffer
    is_cut_off = buffer.ends & (buffer.actions[..., 0] != plain.policy.eos_id)
    assert is_cut_off.any()
    expected = buffer.rewards - 0.7 * is_cut_off
    np.testing.assert_allclose(penalised.rollout_buffer.rewards, expected, atol=1e-6)


def test_the_kl_penalty_is_the_coefficient_times_the_kl() -> None:
    model = token_ppo(kl_coefficient=0.3)
    reference = {name: weight.clone() for name, weight in model.policy.reference.named_parameters()}  # type: ignore[union-attr]
    with torch.no_grad():
        for weight in model.policy.language_model.parameters():
            weight.mul_(1.1)
    roll(model, rollouts=2)
    buffer, bare = model.rollout_buffer, token_ppo()
    bare.policy.load_state_dict(model.policy.state_dict(), strict=False)
    roll(bare, rollouts=2)
    np.testing.assert_array_equal(buffer.actions, bare.rollout_buffer.actions)
    sample = buffer.token_batch(buffer.spans)
    steps = buffer.steps_of(buffer.spans)
    expected = buffer.log_probs[steps] - model.policy.reference_log_probs(sample).numpy()
    penalty = (bare.rollout_buffer.rewards - buffer.rewards)[steps]
    np.testing.assert_allclose(penalty, 0.3 * expected, atol=1e-5)
    assert np.abs(expected).max() > 0.01
    model.train()
    for name, weight in model.policy.reference.named_parameters():  # type: ignore[union-attr]
        torch.testing.assert_close(weight, reference[name])


def test_task_reward_kl_and_total_are_logged_separately() -> None:
    model = token_ppo(kl_coefficient=0.3, missing_eos_penalty=0.5)
    with torch.no_grad():
        for weight in model.policy.language_model.parameters():
            weight.mul_(1.1)
    roll(model, rollouts=2)
    found = model.logger.name_to_value
    total = found["rollout/task_reward"] - 0.3 * found["rollout/kl"] - 0.5 * found["rollout/missing_eos"]
    assert found["rollout/total_reward"] == pytest.approx(total, abs=1e-4)


def test_the_adaptive_coefficient_reaches_the_target_kl() -> None:
    model = token_ppo(kl_coefficient=0.3, kl_target=6.0)
    roll(model)
    # No KL yet, so it costs too much: 20% less in 10,000 episodes.
    episodes = max(1, int(model.rollout_buffer.ends.sum()))
    assert model.kl.coefficient == pytest.approx(0.3 * (1 - 0.2 * episodes / 10_000))


def test_a_loaded_model_continues_training(tmp_path: Path) -> None:
    model = token_ppo(kl_coefficient=0.3)
    model.learn(2 * N_STEPS * NUM_ENVS)
    model.save(tmp_path / "model.zip")
    loaded = TokenPPO.load(tmp_path / "model.zip", env=walks())
    for name, weight in model.policy.state_dict().items():
        torch.testing.assert_close(loaded.policy.state_dict()[name], weight)
    assert (loaded.n_steps, loaded.gamma, loaded.kl) == (model.n_steps, model.gamma, model.kl)
    loaded.learn(N_STEPS * NUM_ENVS)


def test_in_preference_training_the_labeller_finishes_the_rollout() -> None:
    venv = PreferenceVecEnv(walks(), 1, "RandomWalks-v0", seed=0)
    venv.begin_training(None)
    model = token_ppo(venv, missing_eos_penalty=0.7)
    roll(model, rollouts=2)
    buffer = model.rollout_buffer
    assert not buffer.rewards.any(), "neither the environment's reward nor a penalty"
    buffer.rewards += 1.0
    dones = np.asarray(model._last_episode_starts)
    model.finish_rollout(torch.zeros(NUM_ENVS, 1), dones)
    is_cut_off = buffer.ends & (buffer.actions[..., 0] != model.policy.eos_id)
    assert is_cut_off.any()
    np.testing.assert_allclose(buffer.rewards, 1.0 - 0.7 * is_cut_off, rtol=1e-6)
    np.testing.assert_array_equal(buffer.ends[-1], dones)
    assert (buffer.advantages.mean(), buffer.advantages.std(ddof=1)) == pytest.approx((0.0, 1.0), abs=1e-5)


def test_callbacks_find_the_rollout_finished() -> None:
    totals = list[float]()

    class Look(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            totals.append(self.logger.name_to_value["rollout/total_reward"])

    token_ppo(missing_eos_penalty=0.7).learn(2 * N_STEPS * NUM_ENVS, callback=[Look()])
    assert len(totals) == 2


def test_other_environments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"TextSpace.*take SB3's PPO"):
        TokenPPO(LanguageModelPolicy, "CartPole-v1")
