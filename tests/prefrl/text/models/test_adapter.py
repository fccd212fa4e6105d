"""What transformers calls things differs by version; what our modules see does not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers

from prefrl.text.models import LanguageModel, adapter
from prefrl_envs.text import HubTokenizer
from prefrl_envs.text.hub_tokenizer import is_local_source


class KeepsNothing:
    """A cache of no earlier tokens."""

    def update(
        self, layer: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return keys + layer, values - layer

    def num_visible(self, num_new: int) -> int:
        return 10 + num_new


class Backbone:
    """Notes what it is called with."""

    config = SimpleNamespace(num_hidden_layers=2)

    def __call__(self, **given: Any) -> Any:
        self.given = given
        return SimpleNamespace(last_hidden_state=given["input_ids"])


class TakesCache(Backbone):
    def forward(
        self,
        input_ids: Any = None,
        cache: Any = None,
        attention_mask: Any = None,
        use_cache: Any = None,
        **kwargs: Any,
    ) -> None: ...


class TakesPastKeyValues(Backbone):
    def forward(self, input_ids: Any = None, past_key_values: Any = None, **kwargs: Any) -> None: ...


class TakesNeither(Backbone):
    def forward(self, input_ids: Any = None, cache_params: Any = None) -> None: ...


@pytest.mark.parametrize(("kind", "name"), [(TakesCache, "cache"), (TakesPastKeyValues, "past_key_values")])
def test_the_cache_is_passed_under_the_name_in_the_models_signature(kind: Any, name: str) -> None:
    backbone, ids = kind(), torch.tensor([[1, 2]])
    adapter.hidden_states(backbone, ids, cache=KeepsNothing())
    assert set(backbone.given) == {"input_ids", "use_cache", name}
    assert backbone.given["use_cache"] is True
    adapter.hidden_states(backbone, ids)
    assert set(backbone.given) == {"input_ids", "use_cache"}
    assert backbone.given["use_cache"] is False


def test_a_model_without_a_cache_of_keys_and_values_is_refused() -> None:
    with pytest.raises(ValueError, match=r"TakesNeither.forward takes no cache.*cache_params.*GPT-2, Llama"):
        adapter.hidden_states(TakesNeither(), torch.tensor([[1]]), cache=KeepsNothing())


def test_models_see_our_cache_layer_by_layer() -> None:
    backbone = TakesCache()
    adapter.hidden_states(backbone, torch.tensor([[1]]), cache=KeepsNothing())
    cache, new = backbone.given["cache"], torch.zeros(1, 1, 3, 2)
    assert isinstance(cache, transformers.Cache)
    for layer in range(2):
        keys, values = cache.update(new, new, layer)
        assert (keys == layer).all()
        assert (values == -layer).all()
        # transformers names the new tokens by their number, and did by their positions.
        assert cache.layers[layer].get_mask_sizes(3) == (13, 0)
        assert cache.layers[layer].get_mask_sizes(torch.arange(4, 7)) == (13, 0)


def test_what_is_not_visible_is_masked_for_each_text() -> None:
    backbone, ids = TakesCache(), torch.zeros(3, 2, dtype=torch.int64)
    adapter.hidden_states(backbone, ids, visible=torch.tensor([[[True, False], [True, True]]]))
    mask, lowest = backbone.given["attention_mask"], torch.finfo(torch.float32).min
    assert mask.shape == (3, 1, 2, 2)
    assert mask[2, 0].tolist() == [[0.0, lowest], [0.0, 0.0]]


def test_architectures_of_the_installed_version_take_a_cache() -> None:
    for config in (transformers.GPT2Config, transformers.LlamaConfig, transformers.Qwen2Config):
        kind = transformers.AutoModel._model_mapping[config]
        assert adapter._cache_argument(kind.forward) in ("cache", "past_key_values")


@pytest.mark.parametrize(
    ("source", "is_local"),
    [
        ("gpt2", False),
        ("openai-community/gpt2", False),
        ("Qwen/Qwen2.5-0.5B", False),
        (Path("gpt2"), True),
        ("./gpt2", True),
        ("../models/gpt2", True),
        ("/models/gpt2", True),
        ("~/gpt2", True),
        ("gpt2/", True),
        ("models/best/gpt2", True),
        ("my model", True),
        ("", True),
        ("here", True),
        ("here/misspelt", True),
    ],
)
def test_paths_are_told_from_names_on_the_hub(
    source: str | Path, is_local: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    assert is_local_source(source) == is_local


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """What transformers is asked to load, and whether it is told to stay away from the hub."""
    calls: list[tuple[str, bool]] = []

    def load(name: str, *, local_files_only: bool, **_: Any) -> Any:
        calls.append((name, local_files_only))
        raise OSError("not in this test")

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", load)
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", load)
    return calls


@pytest.mark.parametrize("load", [LanguageModel.load, HubTokenizer.load], ids=["model", "tokenizer"])
def test_a_missing_folder_is_an_error_and_not_asked_of_the_hub(
    load: Any, asked: list[tuple[str, bool]], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"runs/misspelt .*there is no such folder.*give the.*folder"):
        load(f"{tmp_path}/runs/misspelt")
    assert asked == []


@pytest.mark.parametrize("load", [LanguageModel.load, HubTokenizer.load], ids=["model", "tokenizer"])
def test_the_hub_is_asked_for_names_only(load: Any, asked: list[tuple[str, bool]], tmp_path: Path) -> None:
    for source in (str(tmp_path), "nobody/gpt2"):
        with pytest.raises(ValueError, match="not in this test"):
            load(source)
    assert asked == [(str(tmp_path), True), ("nobody/gpt2", False)]
