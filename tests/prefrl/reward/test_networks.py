from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn

from prefrl.config import RewardConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.reward.networks import FILTERS, ConvEnsemble, MLPEnsemble, _dropout_mask, build_network

VECTOR = SpaceSpec("box", (3,), "float32")
ACTIONS = SpaceSpec("discrete", (), "int64", (2,), (0,))


def unbounded(size: int) -> SpaceSpec:
    return SpaceSpec.of(spaces.Box(-np.inf, np.inf, (size,)))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def image_spec(*shape: int) -> SpaceSpec:
    return SpaceSpec("box", shape, "uint8")


def vectors(steps: int = 7) -> tuple[Tensor, Tensor]:
    actions = torch.eye(2)[torch.arange(steps) % 2]
    return torch.randn(steps, 3, generator=seeded()), actions


def images(channels: int, size: int, steps: int = 4) -> tuple[Tensor, Tensor]:
    pixels = torch.randint(0, 256, (steps, channels, size, size), generator=seeded(), dtype=torch.uint8)
    return pixels, torch.eye(2)[torch.arange(steps) % 2]


def plain_mlp(ensemble: MLPEnsemble, member: int) -> nn.Sequential:
    modules: list[nn.Module] = []
    layers: Any = ensemble.layers
    for layer in layers:
        linear = nn.Linear(layer.weight.shape[1], layer.weight.shape[2])
        with torch.no_grad():
            linear.weight.copy_(layer.weight[member].T)
            linear.bias.copy_(layer.bias[member, 0])
        modules += [linear, nn.LeakyReLU(0.01)]
    return nn.Sequential(*modules[:-1])


def plain_cnn(ensemble: ConvEnsemble, member: int) -> tuple[nn.Sequential, nn.Sequential]:
    mine = slice(FILTERS * member, FILTERS * (member + 1))
    convolutions: list[nn.Module] = []
    fused: Any = ensemble.convolutions
    for layer, norm in zip(fused, ensemble.norms, strict=True):
        plain = nn.Conv2d(layer.weight.shape[1], FILTERS, layer.kernel_size, layer.stride, layer.padding)
        with torch.no_grad():
            plain.weight.copy_(layer.weight[mine])
            plain.get_parameter("bias").copy_(layer.bias[mine])
        convolutions += [
            plain,
            nn.BatchNorm2d(FILTERS) if isinstance(norm, nn.BatchNorm2d) else nn.Identity(),
        ]
        convolutions.append(nn.LeakyReLU(0.01))
    head: list[nn.Module] = []
    for layer in (ensemble.hidden, ensemble.out):
        linear = nn.Linear(layer.weight.shape[1], layer.weight.shape[2])
        with torch.no_grad():
            linear.weight.copy_(layer.weight[member].T)
            linear.bias.copy_(layer.bias[member, 0])
        head += [linear, nn.LeakyReLU(0.01)]
    return nn.Sequential(*convolutions, nn.Flatten()), nn.Sequential(*head[:-1])


@pytest.mark.parametrize("member", [0, 2])
def test_mlp_member_is_a_plain_network_forward_and_backward(member: int) -> None:
    ensemble = MLPEnsemble(unbounded(3), unbounded(2), RewardConfig(hidden=(8, 5)), seeded())
    observations, actions = vectors()
    plain = plain_mlp(ensemble, member)
    expected = plain(torch.cat([observations, actions], dim=1))[:, 0]
    rewards = ensemble(observations, actions)
    torch.testing.assert_close(rewards[member], expected)
    expected.square().sum().backward()
    rewards.square().sum().backward()
    first = plain[0]
    assert isinstance(first, nn.Linear)
    fused: Any = ensemble.layers[0]
    torch.testing.assert_close(fused.weight.grad[member].T, first.weight.grad)
    torch.testing.assert_close(fused.bias.grad[member, 0], first.bias.grad)


@pytest.mark.parametrize(("channels", "size"), [(4, 84), (1, 36), (3, 64)])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_cnn_member_is_a_plain_network_forward_and_backward(
    channels: int, size: int, batch_norm: bool
) -> None:
    ensemble = ConvEnsemble((channels, size, size), 2, RewardConfig(batch_norm=batch_norm), seeded())
    pixels, actions = images(channels, size)
    ensemble.set_input_statistics([(pixels[:2], actions[:2])], 2)
    standardised = ((pixels - ensemble.input_mean) / ensemble.input_scale).clamp(-5, 5)
    convolutions, head = plain_cnn(ensemble, member=1)
    expected = head(torch.cat([convolutions(standardised), actions], dim=1))[:, 0]
    rewards = ensemble(pixels, actions)
    torch.testing.assert_close(rewards[1], expected, rtol=1e-4, atol=1e-5)
    expected.square().sum().backward()
    rewards.square().sum().backward()
    fused: Any = ensemble.convolutions
    for layer, plain in ((fused[0], convolutions[0]), (fused[3], convolutions[9])):
        assert isinstance(plain, nn.Conv2d)
        gradient = layer.weight.grad[FILTERS : 2 * FILTERS]
        torch.testing.assert_close(gradient, plain.weight.grad, rtol=1e-3, atol=1e-5)


def test_batch_norm_acts_by_its_running_statistics_in_evaluation() -> None:
    ensemble = ConvEnsemble((1, 36, 36), 2, RewardConfig(batch_norm=True), seeded())
    pixels, actions = images(1, 36)
    for _ in range(3):
        ensemble(pixels, actions)
    for norm in ensemble.norms:
        assert isinstance(norm, nn.BatchNorm2d)
        nn.init.uniform_(norm.weight, 0.5, 2.0, generator=seeded())
        nn.init.uniform_(norm.bias, -1.0, 1.0, generator=seeded())
    ensemble.eval()
    convolutions, head = plain_cnn(ensemble, member=1)
    for plain, norm in zip(convolutions[1::3], ensemble.norms, strict=True):
        mine = {name: t[FILTERS : 2 * FILTERS] for name, t in norm.state_dict().items() if t.ndim}
        plain.load_state_dict(mine, strict=False)
    convolutions.eval()
    expected = head(torch.cat([convolutions(pixels / 255), actions], dim=1))[:, 0]
    torch.testing.assert_close(ensemble(pixels, actions)[1], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [lambda: vectors(), lambda: images(1, 36)])
def test_one_members_loss_does_not_move_another(make: Callable[[], tuple[Tensor, Tensor]]) -> None:
    inputs = make()
    spec = VECTOR if inputs[0].ndim == 2 else image_spec(36, 36, 1)
    network = build_network(spec, ACTIONS, RewardConfig(batch_norm=True, dropout=0.5), seeded())
    network(*inputs, seeded(1))[0].square().sum().backward()
    for name, parameter in network.named_parameters():
        if name.startswith("out") or "layers.2" in name:
            assert parameter.grad is not None
            by_member = parameter.grad.reshape(3, -1)
            assert by_member[0].abs().max() > 0
        assert parameter.grad is not None
        assert parameter.grad.reshape(3, -1)[1:].abs().max() == 0


def test_the_papers_network_at_the_papers_size_has_no_padding() -> None:
    network = ConvEnsemble((4, 84, 84), 2, RewardConfig(use_actions=False), seeded())
    assert [layer.padding for layer in network.convolutions] == [(0, 0)] * 4
    # 84 -> 26 -> 11 -> 9 -> 7
    assert network.hidden.weight.shape == (3, 16 * 7 * 7, 64)


@pytest.mark.parametrize("shape", [(36, 36, 1), (64, 64, 3), (3, 64, 64), (10, 20, 3), (1, 7, 5)])
def test_any_image_shape_gives_one_finite_reward_a_step(shape: tuple[int, ...]) -> None:
    spec = image_spec(*shape)
    network = build_network(spec, ACTIONS, RewardConfig(), seeded())
    channels = min(shape[0], shape[2])
    sides = shape[1:] if shape[0] < shape[2] else shape[:2]
    rewards = network(torch.zeros(5, channels, *sides, dtype=torch.uint8), torch.zeros(5, 2))
    assert rewards.shape == (3, 5)
    assert rewards.isfinite().all()


@pytest.mark.parametrize("inputs", [vectors(), images(1, 36)])
def test_actions_matter_only_where_configured(inputs: tuple[Tensor, Tensor]) -> None:
    observations, actions = inputs
    spec = VECTOR if observations.ndim == 2 else image_spec(36, 36, 1)
    for use_actions in (True, False):
        network = build_network(spec, ACTIONS, RewardConfig(use_actions=use_actions), seeded())
        changed = (network(observations, actions) != network(observations, 1 - actions)).any()
        assert bool(changed) == use_actions


def test_mlp_takes_images_when_told_to() -> None:
    network = build_network(image_spec(6, 6, 2), ACTIONS, RewardConfig(network="mlp"), seeded())
    assert isinstance(network, MLPEnsemble)
    assert network(torch.zeros(4, 2, 6, 6, dtype=torch.uint8), torch.zeros(4, 2)).shape == (3, 4)


def test_cnn_refuses_vectors() -> None:
    with pytest.raises(ValueError, match=r"observations are vectors .* set it to auto or mlp"):
        build_network(VECTOR, ACTIONS, RewardConfig(network="cnn"), seeded())


@pytest.mark.parametrize("inputs", [vectors(60), images(1, 36)])
def test_dropout_is_its_own_for_each_member_and_drawn_from_the_generator(
    inputs: tuple[Tensor, Tensor],
) -> None:
    spec = VECTOR if inputs[0].ndim == 2 else image_spec(36, 36, 1)
    network = build_network(spec, ACTIONS, RewardConfig(dropout=0.5), seeded())
    with torch.no_grad():
        for parameter in network.parameters():  # equal members differ by their masks alone
            members = parameter.view(3, -1)
            members[1:] = members[0].clone()
    global_state = torch.get_rng_state()
    first, again, other = (network(*inputs, seeded(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])
    network.eval()
    assert torch.equal(network(*inputs)[0], network(*inputs)[1])
    assert torch.equal(torch.get_rng_state(), global_state)


@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_dropout_mask_keeps_its_share_and_the_mean(dropout: float, dtype: torch.dtype) -> None:
    x = torch.zeros(30, 48, 13, 11, dtype=dtype).to(memory_format=torch.channels_last)
    mask = _dropout_mask(x, dropout, seeded()).double()
    assert mask.unique().tolist()[0] == 0.0
    assert len(mask.unique()) == 2
    # The share is a whole number of 256ths; 200,000 draws have a standard error of a thousandth.
    assert float((mask == 0).double().mean()) == pytest.approx(dropout, abs=0.002 + 0.004)
    assert float(mask.mean()) == pytest.approx(1.0, abs=0.02)
    # Neighbours in memory, which come from one random word, are independent too.
    drawn = (mask.permute(0, 2, 3, 1).reshape(-1, 8) > 0).double()
    correlation = np.corrcoef(drawn.numpy().T)
    assert np.abs(correlation - np.eye(8)).max() < 0.03


def test_inputs_are_standardised_and_clipped() -> None:
    network = MLPEnsemble(unbounded(3), unbounded(2), RewardConfig(use_actions=False), seeded())
    data = torch.tensor([[1.0, 100.0, 5.0], [3.0, 300.0, 5.0]])
    network.set_input_statistics([(data[:1], torch.zeros(1, 2)), (data[1:], torch.zeros(1, 2))], 2)
    assert network.input_mean.tolist() == [2.0, 200.0, 5.0]
    assert network.input_scale.tolist() == [1.0, 100.0, 1.0]
    assert int(network.input_steps) == 2
    far, further = torch.tensor([[2.0, 200.0, 1e3]]), torch.tensor([[2.0, 200.0, 1e6]])
    assert torch.equal(network(far, torch.zeros(1, 2)), network(further, torch.zeros(1, 2)))


def test_pixels_are_standardised_one_by_one_and_clipped() -> None:
    network = ConvEnsemble((1, 36, 36), 2, RewardConfig(use_actions=False), seeded())
    pixels = torch.full((4, 1, 36, 36), 7, dtype=torch.uint8)
    pixels[1:, 0, 0, 0] = 11
    pixels[2:, 0, 0, 1] = 207
    network.set_input_statistics([(pixels[:1], torch.zeros(1, 2)), (pixels[1:], torch.zeros(3, 2))], 50)
    assert network.input_mean[0, 0, :3].tolist() == [10.0, 107.0, 7.0]
    assert network.input_scale[0, 0, :3].tolist() == [5.0, 100.0, 5.0], "5 gray levels at least"
    assert int(network.input_steps) == 50
    far = pixels[:1].clone()
    far[..., 2] = 7 + 5 * 5
    further = far.clone()
    further[..., 2] = 255
    near, far, further = (network(each, torch.zeros(1, 2)) for each in (pixels[:1], far, further))
    assert torch.equal(far, further)
    assert not torch.equal(near, far)


def test_ranges_that_the_space_knows_are_the_scale() -> None:
    box = spaces.Box(np.array([-2.0, -np.inf], np.float32), np.array([6.0, np.inf], np.float32))
    spec = SpaceSpec.of(spaces.Dict({"box": box, "choice": spaces.Discrete(2)}))
    network = MLPEnsemble(spec, unbounded(1), RewardConfig(use_actions=False), seeded())
    # The first feature hardly varies here, yet is not blown up: its range is known to be 8 wide.
    data = torch.tensor([[0.0, 100.0, 1.0, 0.0], [0.1, 300.0, 1.0, 0.0]])
    network.set_input_statistics([(data, torch.zeros(2, 1))], 2)
    assert network.input_scale.tolist() == [4.0, 100.0, 1.0, 1.0]


@pytest.mark.parametrize("spec", [image_spec(36, 36, 1), unbounded(3)], ids=["conv", "mlp"])
def test_the_l2_gradient_is_that_of_squared_weights_without_biases(spec: SpaceSpec) -> None:
    network = build_network(spec, ACTIONS, RewardConfig(batch_norm=True), seeded())
    l2 = torch.tensor([0.5, 0.0, 2.0])
    weights = {name: p for name, p in network.named_parameters() if name.endswith("weight") and p.ndim > 1}
    penalty = sum((l2 * w.view(3, -1).square().sum(dim=1)).sum() for w in weights.values())
    expected = torch.autograd.grad(torch.as_tensor(penalty), list(weights.values()))
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    network.add_l2_gradient(l2)
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        if name not in weights:
            assert (parameter.grad == 1).all(), f"{name} must not be penalised"
    for weight, gradient in zip(weights.values(), expected, strict=True):
        assert weight.grad is not None
        torch.testing.assert_close(weight.grad, 1 + gradient)


def test_bfloat16_is_near_float32_and_learns_in_float32() -> None:
    pixels, actions = images(4, 84, steps=8)
    rewards = {}
    for precision in ("float32", "bfloat16"):
        config = RewardConfig(precision=precision, batch_norm=True)
        network = ConvEnsemble((4, 84, 84), 2, config, seeded())
        rewards[precision] = network(pixels, actions)
        rewards[precision].square().sum().backward()
        assert all(p.dtype == p.grad.dtype == torch.float32 for p in network.parameters())
    assert rewards["bfloat16"].dtype == torch.float32
    assert not torch.equal(rewards["bfloat16"], rewards["float32"])
    torch.testing.assert_close(rewards["bfloat16"], rewards["float32"], rtol=0.05, atol=0.02)
