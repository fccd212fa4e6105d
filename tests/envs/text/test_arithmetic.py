from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl_envs.text.arithmetic import Arithmetic


@pytest.mark.parametrize(
    ("response", "reward"),
    [
        ("19", 1.0),
        ("20", 0.5),
        ("17", 0.25),
        ("9", 0.05),
        ("0", 0.5 / 19),
        ("019", 0.0),
        ("", 0.0),
        ("19 ", 0.0),
        ("-19", 0.0),
        ("19.0", 0.0),
        ("nineteen", 0.0),
        ("\uff11\uff19", 0.0),  # full-width digits
        ("9" * 5000, 0.0),
    ],
)
def test_rewards_by_hand(response: str, reward: float) -> None:
    assert Arithmetic().reward(["12+7="], [response])[0] == pytest.approx(reward)


@given(first=st.integers(0, 99), second=st.integers(0, 99), guesses=st.tuples(*[st.integers(0, 999)] * 2))
def test_closer_answers_earn_more(first: int, second: int, guesses: tuple[int, int]) -> None:
    near, far = sorted(guesses, key=lambda guess: abs(guess - first - second))
    rewards = Arithmetic().reward([f"{first}+{second}="] * 2, [str(near), str(far)])
    assert 1 >= rewards[0] >= rewards[1] > 0
    assert (rewards[0] == 1) == (near == first + second)


@pytest.mark.parametrize("prompt", ["12+7", "12 + 7=", "12-7=", "a+b=", "", "1+2=3"])
def test_prompts_that_are_not_sums_are_refused(prompt: str) -> None:
    with pytest.raises(ValueError, match=r"is no sum; write one such as '12\+7='"):
        Arithmetic().reward([prompt], ["1"])


@pytest.mark.parametrize(("max_operand", "tokens"), [(99, (6, 4)), (4, (4, 2)), (5, (4, 3)), (0, (4, 2))])
def test_limits_hold_the_longest_sum(max_operand: int, tokens: tuple[int, int]) -> None:
    task = Arithmetic(max_operand)
    assert (task.max_prompt_tokens, task.max_new_tokens) == tokens


def test_operands_are_not_negative() -> None:
    with pytest.raises(ValueError, match="max_operand is -1"):
        Arithmetic(-1)


def test_prompts_reach_all_operands() -> None:
    task, rng = Arithmetic(2), np.random.default_rng(0)
    assert {task.prompt(rng) for _ in range(200)} == {f"{i}+{j}=" for i in range(3) for j in range(3)}


def test_seven_demonstrations_of_ten_are_right() -> None:
    task, rng = Arithmetic(), np.random.default_rng(0)
    pairs = [task.demonstration(rng) for _ in range(2000)]
    rewards = task.reward(*zip(*pairs, strict=True))
    assert abs((rewards == 1).mean() - 0.7) < 0.04
    assert rewards.min() >= 0.5 / 10
    assert task.optimal_return() == 1.0
