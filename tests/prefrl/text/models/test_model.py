"""Language models as they are made, loaded, saved and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from prefrl.text.models import LanguageModel, RowDecoder


def gpt2(folder: Path, **settings: object) -> Path:
    config = GPT2Config(vocab_size=30, n_positions=16, n_embd=32, n_layer=2, n_head=2, **settings)
    torch.manual_seed(0)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def test_logits_are_those_of_transformers_without_dropout(tmp_path: Path) -> None:
    model = LanguageModel.load(gpt2(tmp_path / "gpt2"))
    ids = torch.randint(30, (3, 9))
    model.train()
    with torch.no_grad():
        expected = GPT2LMHeadModel.from_pretrained(tmp_path / "gpt2").eval()(input_ids=ids).logits
        first, second = (model.train().logits(model.hidden(ids)) for _ in range(2))
    torch.testing.assert_close(first, expected)
    assert torch.equal(first, second)


def test_padding_on_the_right_is_not_seen() -> None:
    model = LanguageModel.create("tiny", 12, 16, 10, 11)
    ids = torch.randint(10, (1, 6))
    padded = torch.cat([ids, torch.full((1, 5), 10)], dim=1)
    with torch.no_grad():
        torch.testing.assert_close(model.hidden(padded)[:, :6], model.hidden(ids))


def test_padding_has_no_probability() -> None:
    model = LanguageModel.create("tiny", 12, 16, 10, 11)
    with torch.no_grad():
        probabilities = model.logits(model.hidden(torch.tensor([[1, 2]]))).softmax(-1)
    assert (probabilities[..., 10] == 0).all()
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(1, 2))


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    model = LanguageModel.create("tiny", 12, 16, 10, 11, seed=3)
    model.save(tmp_path / "model")
    loaded = LanguageModel.load(tmp_path / "model")
    ids = torch.randint(10, (2, 7))
    with torch.no_grad():
        assert torch.equal(loaded.logits(loaded.hidden(ids)), model.logits(model.hidden(ids)))
    assert (loaded.pad_id, loaded.eos_id, loaded.vocab_size, loaded.max_tokens) == (10, 11, 12, 16)
    assert not [path for path in (tmp_path / "model").iterdir() if path.suffix in (".bin", ".pt", ".pkl")]


def test_seed_makes_the_weights_and_leaves_the_global_state() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, second, other = (LanguageModel.create("tiny", 12, 16, seed=seed) for seed in (1, 1, 2))
    weights = [
        torch.cat([weight.flatten() for weight in each.parameters()]) for each in (first, second, other)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_an_architecture_takes_the_weights_of_its_kind() -> None:
    model = LanguageModel.create("tiny", 12, 16, 10, 11)
    json.dumps(model.architecture)
    other = LanguageModel.make(model.architecture, 12, 16, 10, 11)
    other.load_state_dict(model.state_dict())
    ids = torch.randint(10, (2, 7))
    with torch.no_grad():
        assert torch.equal(other.logits(other.hidden(ids)), model.logits(model.hidden(ids)))


def test_models_of_another_kind_decode_as_well(tmp_path: Path) -> None:
    config = LlamaConfig(
        vocab_size=30, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=32,
    )  # fmt: skip
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "llama")
    model = LanguageModel.load(tmp_path / "llama")
    ids, lengths = torch.randint(30, (3, 20)), torch.tensor([4, 7, 2])
    decoder = RowDecoder(model, 3, 20)
    for _ in range(5):
        found = decoder.hidden(ids, lengths)
        with torch.no_grad():
            expected = torch.stack(
                [model.hidden(ids[row : row + 1, :n])[0, -1] for row, n in enumerate(lengths.tolist())]
            )
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
        lengths = lengths + 1


def test_adapters_alone_are_trained_and_can_be_left_out() -> None:
    plain = LanguageModel.create("tiny", 12, 16, 10, 11)
    ids = torch.randint(10, (2, 7))
    with torch.no_grad():
        expected = plain.hidden(ids).clone()
    model = plain.with_lora(rank=4)
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert trained
    assert all("lora" in name for name in trained)
    with torch.no_grad():
        torch.testing.assert_close(model.hidden(ids), expected)
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_()
        assert not torch.allclose(model.hidden(ids), expected)
        with model.without_adapters():
            torch.testing.assert_close(model.hidden(ids), expected)


def test_adapters_are_merged_when_saved(tmp_path: Path) -> None:
    model = LanguageModel.create("tiny", 12, 16, 10, 11).with_lora(rank=4)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    model.save(tmp_path / "merged")
    ids = torch.randint(10, (2, 7))
    loaded = LanguageModel.load(tmp_path / "merged")
    with torch.no_grad():
        torch.testing.assert_close(loaded.hidden(ids), model.hidden(ids), atol=1e-4, rtol=1e-4)


def test_folded_adapters_begin_anew_where_the_model_stood() -> None:
    model = LanguageModel.create("tiny", 12, 16, 10, 11).with_lora(rank=4)
    ids = torch.randint(10, (2, 7))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_()
        expected = model.hidden(ids)
        model.fold_adapters()
        torch.testing.assert_close(model.hidden(ids), expected, atol=1e-4, rtol=1e-4)
        with model.without_adapters():
            torch.testing.assert_close(model.hidden(ids), expected, atol=1e-4, rtol=1e-4)
        plain = model.merged()
        assert not plain.has_adapters
        assert model.has_adapters
        assert (plain.pad_id, plain.eos_id, plain.vocab_size) == (10, 11, 12)
        torch.testing.assert_close(plain.hidden(ids), expected, atol=1e-4, rtol=1e-4)
    assert plain.merged() is plain
    assert all(weight.requires_grad for weight in plain.parameters())


def test_what_is_no_language_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot be loaded as a causal language model.*one of \['tiny'"):
        LanguageModel.load(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"no language model is called 'huge'"):
        LanguageModel.create("huge", 10, 10)


def test_a_tokenizers_token_for_padding_gets_its_room(tmp_path: Path) -> None:
    model = LanguageModel.make(str(gpt2(tmp_path / "gpt2")), 31, 16, pad_id=30, eos_id=0)
    plain = LanguageModel.load(tmp_path / "gpt2")
    ids = torch.randint(30, (2, 7))
    with torch.no_grad():
        ours, theirs = (each.logits(each.hidden(ids)).softmax(-1) for each in (model, plain))
    torch.testing.assert_close(ours[..., :30], theirs)


def test_a_vocabulary_may_be_padded_to_a_round_number() -> None:
    model = LanguageModel.create("tiny", 64, 16)
    model.set_vocabulary(50, 48, 49)
    assert model.vocab_size == 50
    large = LanguageModel.create("tiny", 2048, 16)
    with pytest.raises(ValueError, match="vocabulary of 2048 tokens, the tokenizer has 1800"):
        large.set_vocabulary(1800, 0, 1)


@pytest.mark.parametrize(
    ("vocab_size", "max_tokens", "complaint"),
    [
        (32, 16, "vocabulary of 30 tokens, the tokenizer has 32"),
        (29, 16, "vocabulary of 30 tokens, the tokenizer has 29"),
        (30, 17, "at most 16 tokens, prompt and response may have 17"),
    ],
)
def test_a_checkpoint_made_for_other_texts_is_refused(
    tmp_path: Path, vocab_size: int, max_tokens: int, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        LanguageModel.make(str(gpt2(tmp_path / "gpt2")), vocab_size, max_tokens)
