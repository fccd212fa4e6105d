"""What a shared prompt spares is time alone: hidden states and gradients are those of whole texts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoModel, GPT2Config, LlamaConfig

from prefrl.text.models.shared_prompts import deduplicate_prefixes, response_hidden

VOCAB, LONGEST, PAD = 30, 40, 29
CONFIGS = {
    "gpt2": GPT2Config(vocab_size=VOCAB, n_positions=LONGEST, n_embd=32, n_layer=2, n_head=2),
    "llama": LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=LONGEST,
    ),
}


def backbone(kind: str) -> Any:
    torch.manual_seed(0)
    return AutoModel.from_config(CONFIGS[kind]).eval()


def texts(prompts: list[int], counts: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of each text the length of its prompt and of its response; prompts of a length are the same prompt."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.full((len(prompts), LONGEST), PAD)
    written = {length: torch.randint(PAD, (length,), generator=generator) for length in set(prompts)}
    for row, (length, count) in enumerate(zip(prompts, counts, strict=True)):
        ids[row, :length] = written[length]
        ids[row, length : length + count] = torch.randint(PAD, (count,), generator=generator)
    lengths = torch.tensor(prompts) + torch.tensor(counts)
    return ids[:, : int(lengths.max())], torch.tensor(prompts), lengths


def computed_tokens(model: Any) -> list[int]:
    """Sizes of the batches that the model is given from now on."""
    sizes: list[int] = []
    model.register_forward_pre_hook(
        lambda _model, _args, given: sizes.append(given["input_ids"].numel()), with_kwargs=True
    )
    return sizes


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize(
    ("prompts", "counts", "is_shared"),
    [
        ([20, 20, 20, 20], [5, 1, 9, 3], True),
        ([20, 12, 20, 12, 20, 12], [5, 1, 9, 3, 0, 4], True),
        ([3, 3, 3], [10, 12, 9], False),
        ([20, 21, 22], [5, 6, 7], False),
        ([20, 20], [0, 0], False),
        ([7], [4], False),
    ],
    ids=["one-prompt", "two-prompts", "long-responses", "all-different", "no-response", "one-text"],
)
def test_hidden_states_and_gradients_are_those_of_whole_texts(
    kind: str, prompts: list[int], counts: list[int], is_shared: bool
) -> None:
    model = backbone(kind)
    ids, prompt_lengths, lengths = texts(prompts, counts)
    sizes = computed_tokens(model)
    found = response_hidden(model, ids, prompt_lengths, lengths)
    assert (len(sizes) == 2) == is_shared
    check_like_whole_texts(model, found, ids, prompts, counts)


@pytest.mark.parametrize("kind", CONFIGS)
def test_texts_of_about_one_length_are_computed_together(kind: str) -> None:
    model = backbone(kind)
    counts = [10, 35] * 60 + [12, 20]
    ids, prompt_lengths, lengths = texts([3] * len(counts), counts)
    sizes = computed_tokens(model)
    found = response_hidden(model, ids, prompt_lengths, lengths)
    # To pad sixty of 13 tokens to 15 or 23 is not worth another pass; to 38, 1538 tokens more, it is.
    assert sizes == [62 * 23, 60 * 38]
    check_like_whole_texts(model, found, ids, [3] * len(counts), counts)


def check_like_whole_texts(
    model: Any, found: torch.Tensor, ids: torch.Tensor, prompts: list[int], counts: list[int]
) -> None:
    lengths = torch.tensor(prompts) + torch.tensor(counts)
    assert found.shape == (len(prompts), max(counts) + 1, 32)
    kept = torch.arange(found.shape[1]) <= torch.tensor(counts)[:, None]
    expected = torch.cat(
        [
            model(input_ids=ids[row : row + 1, :length]).last_hidden_state[0, prompt - 1 :]
            for row, (prompt, length) in enumerate(zip(prompts, lengths.tolist(), strict=True))
        ]
    )
    torch.testing.assert_close(found[kept], expected, atol=1e-5, rtol=1e-4)
    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2))
    weights = list(model.parameters())
    ours = torch.autograd.grad((found[kept] * direction).sum(), weights, allow_unused=True)
    theirs = torch.autograd.grad((expected * direction).sum(), weights, allow_unused=True)
    for one, other in zip(ours, theirs, strict=True):
        if other is not None:
            assert one is not None
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_each_prompt_is_computed_once() -> None:
    model = backbone("gpt2")
    sizes = computed_tokens(model)
    response_hidden(model, *texts([20] * 8 + [15] * 8, [6] * 16))
    assert sizes == [2 * 20, 16 * 6]


def test_prompts_are_told_apart_by_tokens_and_lengths() -> None:
    ids = torch.tensor([[1, 2, 3], [1, 2, 9], [0, 0, 4], [0, 7, 4], [5, 2, 3]])
    distinct, lengths, places = deduplicate_prefixes(ids, torch.tensor([2, 2, 2, 1, 2]))
    assert len(distinct) == len(lengths) == 4
    assert places[0] == places[1]
    assert len(set(places.tolist())) == 4
    assert distinct[places].tolist() == [[1, 2], [1, 2], [0, 0], [0, 0], [5, 2]]
    assert lengths[places].tolist() == [2, 2, 2, 1, 2]
