"""Decoding with a cache gives what whole texts give, whatever rows do beside one another."""

from __future__ import annotations

import torch

from prefrl.text.models import LanguageModel, RowDecoder

PAD, EOS, VOCAB, LONGEST = 18, 19, 20, 40


def model(seed: int = 0) -> LanguageModel:
    return LanguageModel.create("tiny", VOCAB, LONGEST, PAD, EOS, seed)


def check(
    decoder: RowDecoder, language_model: LanguageModel, ids: torch.Tensor, lengths: torch.Tensor
) -> None:
    """The decoder's hidden states are those of texts computed whole, one by one."""
    found = decoder.hidden(ids, lengths)
    for row, length in enumerate(lengths.tolist()):
        with torch.no_grad():
            expected = language_model.hidden(ids[row : row + 1, :length])[0, -1]
        torch.testing.assert_close(found[row], expected, atol=1e-5, rtol=1e-4)


def test_texts_of_different_lengths_grow_side_by_side() -> None:
    language_model = model()
    ids = torch.randint(PAD, (6, LONGEST), generator=torch.Generator().manual_seed(0))
    lengths, decoder = torch.tensor([3, 1, 10, 5, 7, 2]), RowDecoder(language_model, 6, LONGEST)
    for _ in range(12):
        check(decoder, language_model, ids, lengths)
        lengths = lengths + 1


def test_a_row_begins_another_text_while_others_go_on() -> None:
    language_model, generator = model(), torch.Generator().manual_seed(1)
    ids = torch.randint(PAD, (4, LONGEST), generator=generator)
    lengths, decoder = torch.tensor([3, 6, 4, 9]), RowDecoder(language_model, 4, LONGEST)
    for step in range(10):
        check(decoder, language_model, ids, lengths)
        lengths = lengths + 1
        if step in (2, 3, 7):
            row = step % 4
            ids[row] = torch.randint(PAD, (LONGEST,), generator=generator)
            lengths[row] = 1 + step % 3


def test_a_text_that_changed_before_its_end_is_computed_anew() -> None:
    language_model = model()
    ids = torch.randint(PAD, (2, LONGEST), generator=torch.Generator().manual_seed(2))
    lengths, decoder = torch.tensor([5, 5]), RowDecoder(language_model, 2, LONGEST)
    check(decoder, language_model, ids, lengths)
    ids[0, 1] = (ids[0, 1] + 1) % PAD
    check(decoder, language_model, ids, lengths + 1)


def test_texts_that_have_ended_stay_and_others_go_on() -> None:
    language_model = model()
    ids = torch.randint(PAD, (3, LONGEST), generator=torch.Generator().manual_seed(3))
    lengths, decoder = torch.tensor([4, 5, 6]), RowDecoder(language_model, 3, LONGEST)
    for _ in range(4):
        check(decoder, language_model, ids, lengths)
        lengths = lengths + torch.tensor([1, 0, 1])


def test_rows_can_be_left_out() -> None:
    language_model = model()
    ids = torch.randint(PAD, (4, LONGEST), generator=torch.Generator().manual_seed(4))
    lengths, decoder = torch.tensor([4, 5, 6, 7]), RowDecoder(language_model, 4, LONGEST)
    check(decoder, language_model, ids, lengths)
    kept = torch.tensor([True, False, False, True])
    check(decoder.selected(kept), language_model, ids[kept], lengths[kept] + 1)


def test_each_token_is_computed_once() -> None:
    language_model, computed = model(), []
    inner = language_model.inner.transformer
    inner.register_forward_pre_hook(
        lambda _module, _args, kwargs: computed.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    ids = torch.randint(PAD, (5, LONGEST), generator=torch.Generator().manual_seed(5))
    lengths, decoder = torch.full((5,), 8), RowDecoder(language_model, 5, LONGEST)
    for _ in range(10):
        decoder.hidden(ids, lengths)
        lengths = lengths + 1
    # The prompts but for their last tokens, then one token of each text at a time.
    assert sum(computed) == 5 * 7 + 10 * 5


def test_cleared_it_follows_changed_weights() -> None:
    language_model = model()
    ids = torch.randint(PAD, (2, LONGEST), generator=torch.Generator().manual_seed(6))
    lengths, decoder = torch.tensor([5, 5]), RowDecoder(language_model, 2, LONGEST)
    decoder.hidden(ids, lengths)
    with torch.no_grad():
        for weight in language_model.parameters():
            weight.mul_(1.2)
    decoder.clear()
    check(decoder, language_model, ids, lengths + 1)


def test_rows_that_begin_alike_are_taken_in_once() -> None:
    language_model = model()
    ids = torch.randint(PAD, (5, LONGEST), generator=torch.Generator().manual_seed(4))
    ids[1], ids[3, :9] = ids[0], ids[0, :9]
    lengths, decoder = torch.tensor([10, 10, 10, 10, 4]), RowDecoder(language_model, 5, LONGEST)
    sizes: list[torch.Size] = []
    language_model.backbone.register_forward_pre_hook(
        lambda _model, _args, given: sizes.append(given["input_ids"].shape), with_kwargs=True
    )
    decoder.hidden(ids, lengths)
    # All but the last token of three beginnings, then the last of all rows.
    assert sizes == [(3, 9), (5, 1)]
    for _ in range(5):
        lengths = lengths + 1
        check(decoder, language_model, ids, lengths)
