import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from trainer.libraries import import_timm
from trainer.muon import COEFFICIENTS, Muon, orthogonalise

SIZE = st.integers(1, 24)


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def matrix_of(values: list[float], *, rows: int, columns: int, seed: int) -> Tensor:
    """Make a matrix with the given singular values, as many as its shorter side."""
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.standard_normal((rows, rows)))[0][:, : len(values)]
    right = np.linalg.qr(rng.standard_normal((columns, columns)))[0][: len(values)]
    return torch.from_numpy(left * values @ right).float()


@given(data=st.data(), rows=SIZE, columns=SIZE, scale=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_singular_values_come_near_one(data: st.DataObject, rows: int, columns: int, scale: float, seed: int) -> None:
    num = min(rows, columns)
    values = data.draw(st.lists(st.floats(0.1, 1), min_size=num, max_size=num))

    found = torch.linalg.svdvals(
        orthogonalise(matrix_of([scale * v for v in values], rows=rows, columns=columns, seed=seed))
    )

    assert found.min() > 0.6
    assert found.max() < 1.3


@pytest.mark.parametrize(("rows", "columns"), [(8, 72), (72, 8), (64, 256), (256, 64), (1, 30), (30, 1)])
def test_gaussian_matrices_of_any_shape_but_square_come_near_orthogonal(rows: int, columns: int) -> None:
    found = torch.linalg.svdvals(orthogonalise(gaussian(rows, columns)))

    assert found.min() > 0.6
    assert found.max() < 1.3


@pytest.mark.parametrize("size", [3, 16, 32])
def test_more_iterations_bring_a_square_matrix_there_as_well(size: int) -> None:
    found = torch.linalg.svdvals(orthogonalise(gaussian(size, size, seed=3), iterations=10))

    assert found.min() > 0.6
    assert found.max() < 1.3


def test_singular_vectors_stay() -> None:
    matrix = matrix_of([1, 0.8, 0.6, 0.4], rows=4, columns=9, seed=0)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)

    inner = left.T @ orthogonalise(matrix) @ right.T

    torch.testing.assert_close(inner, inner.diagonal().diag(), rtol=0, atol=1e-5)


def test_a_tall_matrix_is_a_wide_one_turned() -> None:
    matrix = gaussian(20, 6)

    torch.testing.assert_close(orthogonalise(matrix), orthogonalise(matrix.T).T, rtol=0, atol=0)


def test_the_argument_is_left_alone_and_so_is_its_type() -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        matrix = gaussian(4, 6).to(dtype)
        before = matrix.clone()

        result = orthogonalise(matrix)

        assert torch.equal(matrix, before)
        assert (result.dtype, result.shape) == (dtype, matrix.shape)


def test_nothing_stays_nothing() -> None:
    assert not orthogonalise(torch.zeros(3, 5)).any()


@pytest.mark.parametrize(("rows", "columns"), [(8, 27), (27, 8), (16, 16), (64, 576)])
def test_it_equals_timms_in_float32(rows: int, columns: int) -> None:
    import_timm()
    from timm.optim.muon import zeropower_via_newtonschulz

    matrix = gaussian(rows, columns)

    theirs = zeropower_via_newtonschulz(matrix, 3, [COEFFICIENTS], dtype=torch.float32)

    torch.testing.assert_close(orthogonalise(matrix, iterations=3), theirs, rtol=1e-4, atol=1e-5)


def muon(parameter: Tensor, *, lr: float = 0.1, momentum: float = 0.6, project: bool = False) -> Muon:
    return Muon([parameter], lr=lr, momentum=momentum, project=project, dtype=torch.float32)


@pytest.mark.parametrize("shape", [(6, 3, 3, 3), (12, 5), (2, 40)])
def test_filters_have_length_root_of_rows_before_the_step(shape: tuple[int, ...]) -> None:
    parameter = 7 * gaussian(*shape)
    parameter.grad = gaussian(*shape, seed=1)

    muon(parameter, lr=0.0, project=True).step()

    assert parameter.norm().item() == pytest.approx(math.sqrt(shape[0]))


def test_without_projection_lengths_stay() -> None:
    parameter = 7 * gaussian(6, 8)
    before = parameter.clone()
    parameter.grad = gaussian(6, 8, seed=1)

    muon(parameter, lr=0.0).step()

    assert torch.equal(parameter, before)


def test_steps_follow_the_orthogonalised_nesterov_momentum() -> None:
    parameter = gaussian(4, 3, 2, 2)
    expected, momentum = parameter.double().clone(), torch.zeros(4, 3, 2, 2).double()
    optimizer = muon(parameter, lr=0.1, momentum=0.6)
    for step in range(4):
        grad = gaussian(4, 3, 2, 2, seed=step + 1)
        parameter.grad = grad
        optimizer.step()

        momentum = 0.6 * momentum + grad.double()
        direction = grad.double() + 0.6 * momentum
        expected -= 0.1 * orthogonalise(direction.flatten(1)).view_as(expected)

    torch.testing.assert_close(parameter.double(), expected, rtol=1e-4, atol=1e-5)


def test_a_parameter_without_gradient_stays() -> None:
    parameter = gaussian(4, 6)
    before = parameter.clone()

    muon(parameter, project=True).step()

    assert torch.equal(parameter, before)


def test_filters_in_channels_last_take_the_same_step() -> None:
    plain = gaussian(6, 4, 3, 3)
    last = plain.clone(memory_format=torch.channels_last)
    plain.grad = gaussian(6, 4, 3, 3, seed=1)
    last.grad = plain.grad.contiguous(memory_format=torch.channels_last)

    for parameter in (plain, last):
        muon(parameter, project=True).step()

    torch.testing.assert_close(last, plain)
    assert last.is_contiguous(memory_format=torch.channels_last)


def test_a_closure_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError, match="closure"):
        muon(gaussian(2, 2)).step(lambda: 0.0)


def test_a_copy_goes_on_as_the_original_does() -> None:
    parameter = torch.nn.Parameter(torch.randn(4, 6))
    parameter.grad = torch.randn(4, 6)
    original = muon(parameter, project=True)
    original.step()

    copied, again = copy.deepcopy((parameter, original))
    copied.grad = parameter.grad
    original.step()
    again.step()

    torch.testing.assert_close(copied, parameter, rtol=0, atol=0)
