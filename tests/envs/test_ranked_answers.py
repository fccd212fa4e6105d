"""The five answers and their ranking."""

import numpy as np

from prefrl_envs.ranked_answers import ANSWERS, RANKS, REWARDS, RankedAnswers


def test_rewards_follow_the_ranking_with_the_last_far_behind() -> None:
    best_first = np.argsort(REWARDS)[::-1]
    assert (best_first + 1).tolist() == [3, 1, 2, 5, 4]
    assert [RANKS[answer] for answer in best_first] == [1, 2, 3, 4, 5]
    gaps = -np.diff(np.sort(REWARDS)[::-1])
    assert gaps[-1] > 5 * gaps[:-1].max()


def test_each_step_gives_the_reward_of_its_answer() -> None:
    env = RankedAnswers(horizon_steps=5)
    env.reset(seed=0)
    steps = [env.step(action) for action in range(len(ANSWERS))]
    assert [step[1] for step in steps] == list(REWARDS)
    assert [step[3] for step in steps] == [False] * 4 + [True]


def test_the_optimal_return_is_the_best_answer_in_each_round() -> None:
    env = RankedAnswers(horizon_steps=7)
    assert env.optimal_return() == 7.0
    assert env.policy_return(np.eye(5)[[2]]) == 7.0


def test_frames_show_which_answer_was_given() -> None:
    env = RankedAnswers(render_mode="rgb_array")
    env.reset(seed=0)
    frames = {env.render().tobytes()}
    for action in range(len(ANSWERS)):
        env.step(action)
        frames.add(env.render().tobytes())
    assert len(frames) == 1 + len(ANSWERS)
