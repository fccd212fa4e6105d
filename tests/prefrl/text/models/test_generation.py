"""Sampled responses: their distribution, their ends and their limits."""

from __future__ import annotations

import pytest
import torch

from prefrl.text.models import LanguageModel, generate

PAD, EOS, VOCAB = 5, 6, 7


@pytest.fixture
def model() -> LanguageModel:
    made = LanguageModel.create("tiny", VOCAB, 20, PAD, EOS)
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(3.0)
    return made


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_tokens_follow_the_models_distribution(model: LanguageModel) -> None:
    count = 4000
    found = generate(model, [[1, 2]] * count, 2, temperature=0.7, generator=seeded())
    with torch.no_grad():
        logits = model.logits(model.hidden(torch.tensor([[1, 2]])))[0, -1] / 0.7
    expected = logits.softmax(-1)
    share = torch.bincount(found.ids[:, 2], minlength=VOCAB) / count
    # Four standard errors of a share.
    assert ((share - expected).abs() < 4 * (expected * (1 - expected) / count).sqrt() + 1e-9).all()
    assert share[PAD] == 0


def test_second_tokens_depend_on_the_first(model: LanguageModel) -> None:
    count = 6000
    found = generate(model, [[3]] * count, 2, generator=seeded(1))
    first = found.ids[:, 1]
    likeliest = int(torch.bincount(first[first != EOS]).argmax())
    rows = first == likeliest
    with torch.no_grad():
        expected = model.logits(model.hidden(torch.tensor([[3, likeliest]])))[0, -1].softmax(-1)
    share = torch.bincount(found.ids[rows, 2], minlength=VOCAB) / rows.sum()
    assert ((share - expected).abs() < 4 * (expected * (1 - expected) / rows.sum()).sqrt() + 1e-9).all()


def test_a_response_ends_with_its_token_or_at_the_limit(model: LanguageModel) -> None:
    prompts = [[1], [2, 3, 4], [4, 4]] * 50
    found = generate(model, prompts, 6, generator=seeded())
    for row, prompt in enumerate(prompts):
        length = int(found.lengths[row])
        response = found.ids[row, len(prompt) : length].tolist()
        assert found.ids[row, : len(prompt)].tolist() == prompt
        assert EOS not in response[:-1]
        assert (response[-1] == EOS) == bool(found.has_ended[row])
        assert bool(found.has_ended[row]) or len(response) == 6
        assert (found.ids[row, length:] == PAD).all()
        assert found.responses()[row] == [token for token in response if token != EOS]
    assert 0 < found.has_ended.float().mean() < 1


def test_likeliest_tokens_are_those_of_the_whole_text(model: LanguageModel) -> None:
    found = generate(model, [[1, 2, 3], [4]], 5, temperature=0)
    for row, prompt in enumerate(([1, 2, 3], [4])):
        text = list(prompt)
        while len(text) < int(found.lengths[row]):
            with torch.no_grad():
                text.append(int(model.logits(model.hidden(torch.tensor([text])))[0, -1].argmax()))
        assert found.ids[row, : len(text)].tolist() == text


def test_seed_repeats(model: LanguageModel) -> None:
    first, second, other = (generate(model, [[1]] * 20, 8, generator=seeded(s)).ids for s in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("prompts", "max_new_tokens", "temperature", "complaint"),
    [
        ([], 3, 1.0, "0 prompts"),
        ([[1], []], 3, 1.0, "every prompt needs a token"),
        ([[1] * 18], 3, 1.0, "18 tokens and a response of up to 3.*takes 20"),
        ([[1]], 0, 1.0, "at least 1"),
        ([[1]], 3, -1.0, "temperature is -1"),
        ([[1]], 3, float("nan"), "temperature is nan"),
    ],
)
def test_bad_input_is_refused(
    model: LanguageModel, prompts: list[list[int]], max_new_tokens: int, temperature: float, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        generate(model, prompts, max_new_tokens, temperature=temperature)
