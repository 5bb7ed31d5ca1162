import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from trainer.averaging import Preview, TailAverage


def small_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))


def disturb(net: nn.Module, step: int) -> None:
    """Change weights and running statistics, another way in each step."""
    rng = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for tensor in (*net.parameters(), *(b for b in net.buffers() if b.is_floating_point())):
            tensor.add_(torch.randn(tensor.shape, generator=rng))
        net.get_buffer("1.num_batches_tracked").add_(1)


def test_the_mean_of_the_last_steps_is_that_of_pytorch() -> None:
    net = small_net()
    ours, theirs = TailAverage(net, first=3), AveragedModel(net, use_buffers=True)

    for step in range(10):
        disturb(net, step)
        ours.update(net, step=step)
        if step >= 3:
            theirs.update_parameters(net)

    expected = theirs.module.state_dict()
    found = ours.module.state_dict()
    for name in set(expected) - {"1.num_batches_tracked"}:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=1e-6)
    assert found["1.num_batches_tracked"] == 10


def test_before_the_first_step_that_counts_the_average_is_the_weights_themselves() -> None:
    net = small_net()
    average = TailAverage(net, first=5)

    for step in range(6):
        disturb(net, step)
        average.update(net, step=step)

    expected = net.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in average.module.state_dict().items())


def test_an_average_is_never_trained_itself() -> None:
    average = TailAverage(small_net().train(), first=0)

    assert not average.module.training
    assert not any(parameter.requires_grad for parameter in average.module.parameters())


def test_in_a_preview_the_nth_step_weighs_as_much_as_the_product_of_eight_numbers_from_n_on() -> None:
    net = small_net()
    preview, seen = Preview(net, num_steps=100), []

    for step in range(10):
        disturb(net, step)
        preview.update(net, step=step)
        seen.append({name: tensor.clone() for name, tensor in net.state_dict().items()})

    weights = torch.tensor([float(torch.arange(number, number + 8).prod()) for number in range(1, 11)])
    shares = weights / weights.sum()
    for name, kept in preview.module.state_dict().items():
        if kept.is_floating_point():
            expected = sum(share * state[name] for share, state in zip(shares, seen, strict=True))
            torch.testing.assert_close(kept, expected, rtol=1e-4, atol=1e-5)


def test_after_the_last_step_a_preview_is_the_weights_themselves() -> None:
    net = small_net()
    preview = Preview(net, num_steps=4)

    for step in range(4):
        disturb(net, step)
        preview.update(net, step=step)

    expected = net.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in preview.module.state_dict().items())


def test_a_preview_leaves_frozen_weights_alone_and_lies_nearer_to_where_noisy_weights_settle() -> None:
    net = small_net()
    net[0].requires_grad_(False)
    frozen = net.state_dict()["0.weight"].clone()
    preview, rng = Preview(net, num_steps=1000), torch.Generator().manual_seed(0)

    for step in range(500):
        with torch.no_grad():
            net[1].weight.copy_(torch.randn(2, generator=rng))  # about 0
        preview.update(net, step=step)

    assert preview.module.get_parameter("1.weight").abs().max() < 0.3
    assert torch.equal(preview.module.get_parameter("0.weight"), frozen)
