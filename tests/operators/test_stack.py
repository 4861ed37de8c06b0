"""Stacks against block matrices: the layout of their data, their parts, and the structure that they keep."""

import pytest
import torch

from operators import Diagonal, FourierTransform, Identity, Mask, Matrix, Subsample, block_diag, hstack, vstack
from operators.stack import BlockDiagonal, HStack, VStack

generator = torch.Generator().manual_seed(0)


def random(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=generator)


A, B, C = Matrix(random(3, 4)), Matrix(random(3, 4)), Matrix(random(2, 4))
a, b, c = (M.values for M in (A, B, C))


@pytest.mark.parametrize("batch", [(), (5,), (2, 3), (0,)])
def test_equal_outputs_are_stacked_in_a_leading_dimension(batch):
    stack, x = vstack([A, B]), random(*batch, 4)
    assert stack.out_shape == (2, 3)
    assert torch.equal(stack(x), torch.stack([A(x), B(x)], dim=-2))
    assert torch.equal(stack.split(stack(x))[1], B(x))


@pytest.mark.parametrize("batch", [(), (5,), (2, 3), (0,)])
def test_unequal_outputs_are_one_vector(batch):
    stack, x = vstack([A, C]), random(*batch, 4)
    assert stack.out_shape == (5,)
    assert torch.equal(stack(x), torch.cat([A(x), C(x)], dim=-1))
    assert torch.equal(stack.split(stack(x))[1], C(x))


def test_unequal_images_are_flattened_and_split_in_their_shapes():
    stack = vstack([Identity((4, 6)), Subsample((4, 6), 2)])
    x = random(2, 4, 6)
    assert stack.out_shape == (24 + 6,)
    whole, coarse = stack.split(stack(x))
    assert torch.equal(whole, x)
    assert torch.equal(coarse, x[:, ::2, ::2])


def test_stacks_are_block_matrices():
    # Numbers of equal blocks: the leading dimension comes first in the flattened order, as in a block matrix.
    torch.testing.assert_close(vstack([A, B]).to_matrix(), torch.cat([a, b]))
    torch.testing.assert_close(vstack([A, C]).to_matrix(), torch.cat([a, c]))
    torch.testing.assert_close(hstack([A, B]).to_matrix(), torch.cat([a, b], 1))
    torch.testing.assert_close(hstack([A.H, C.H]).to_matrix(), torch.cat([a.T, c.T], 1))
    torch.testing.assert_close(block_diag([A, B]).to_matrix(), torch.block_diag(a, b))
    torch.testing.assert_close(block_diag([A, C]).to_matrix(), torch.block_diag(a, c))


def test_adjoints_of_stacks_are_stacks_of_adjoints():
    assert isinstance(vstack([A, B]).H, HStack)
    assert isinstance(hstack([A, B]).H, VStack)
    assert isinstance(block_diag([A, B]).H, BlockDiagonal)
    torch.testing.assert_close(hstack([A, B]).H.to_matrix(), torch.cat([a, b], 1).T)


def test_norms_and_inverses_of_stacks():
    joint = torch.cat([a, b])
    torch.testing.assert_close(vstack([A, B]).norm(), torch.linalg.matrix_norm(joint, 2), rtol=1e-6, atol=0)
    wide = torch.cat([a, b], 1)
    torch.testing.assert_close(hstack([A, B]).norm(), torch.linalg.matrix_norm(wide, 2), rtol=1e-6, atol=0)
    largest = max(torch.linalg.matrix_norm(m, 2) for m in (a, c))
    torch.testing.assert_close(block_diag([A, C]).norm(), largest)
    y = random(2, 3)
    torch.testing.assert_close(vstack([A, B]).pinv(y), torch.linalg.pinv(joint) @ y.flatten())
    y = random(3)
    torch.testing.assert_close(hstack([A, B]).pinv(y).flatten(), torch.linalg.pinv(wide) @ y)


def test_a_gram_of_diagonals_is_diagonal():
    weights, keep = random(3, 4), random(3, 4) > 0
    gram = vstack([Diagonal(weights), Mask(keep), 2 * Identity((3, 4))]).gram
    assert isinstance(gram, Diagonal)
    torch.testing.assert_close(gram.weights, weights**2 + keep + 4)


def test_a_stack_of_unitaries_is_a_multiple_of_an_isometry():
    stack = vstack([FourierTransform((4, 5)), 2 * FourierTransform((4, 5), centered=False)])
    b = random(4, 5, dtype=torch.complex128)
    assert stack.gram.has_closed_solve
    torch.testing.assert_close(stack.solve_normal(b, 1.0), b / 6)


def test_a_block_diagonal_is_solved_block_by_block():
    d, e = random(3), random(3)
    operator = block_diag([Diagonal(d), Diagonal(e)])
    assert operator.has_closed_solve
    x = random(7, 2, 3)
    damping = torch.linspace(0.1, 1, 7, dtype=torch.float64)
    expected = x / (torch.stack([d, e]) ** 2 + damping[:, None, None])
    torch.testing.assert_close(operator.solve_normal(x, damping), expected)


def test_real_and_complex_blocks_give_complex_data():
    stack, x = vstack([Identity(3), 1j * Identity(3)]), random(3)
    assert torch.equal(stack(x), torch.stack([x + 0j, 1j * x]))
    y = random(2, 3, dtype=torch.complex128)
    torch.testing.assert_close(stack.adjoint(y), y[0] - 1j * y[1])


def test_parameters_of_the_blocks_are_found_and_learn():
    weights = torch.nn.Parameter(random(4))
    stack = vstack([Diagonal(weights), Identity(4)])
    assert [name for name, _ in stack.named_parameters()] == ["blocks.0.weights"]
    x = random(4)
    stack(x).sum().backward()
    torch.testing.assert_close(weights.grad, x)


def test_a_stack_of_one():
    x = random(4)
    assert vstack([A]).out_shape == (1, 3)
    assert torch.equal(vstack([A])(x)[0], A(x))
    assert torch.equal(hstack([A])(x[None]), A(x))


@pytest.mark.parametrize("stack", [vstack, hstack, block_diag])
def test_it_takes_operators_and_at_least_one(stack):
    name = stack.__name__
    with pytest.raises(ValueError, match=f"{name}: takes at least one operator, got none"):
        stack([])
    with pytest.raises(TypeError, match=f"{name}: takes LinearOperators, got Tensor"):
        stack([A, torch.ones(3, 4)])


def test_a_gram_is_kept_while_nothing_changes():
    weights = random(3, 4)
    for stack in (vstack([Diagonal(weights), Identity((3, 4))]), hstack([Diagonal(weights), Identity((3, 4))]).H):
        assert stack.gram is stack.gram
    wide = hstack([Diagonal(weights), Identity((3, 4))])
    diagonal = block_diag([Diagonal(weights), Identity((3, 4))])
    assert wide.H.gram is not None
    assert wide._cogram() is wide._cogram()
    assert diagonal.gram is diagonal.gram


def test_a_gram_follows_what_its_blocks_are():
    D = Diagonal(torch.tensor([1.0, 2.0]))
    stack, ones = vstack([D, Identity(2)]), torch.ones(2)
    torch.testing.assert_close(stack.gram(ones), torch.tensor([2.0, 5.0]))
    D.weights.mul_(2)
    torch.testing.assert_close(stack.gram(ones), torch.tensor([5.0, 17.0]))
    D.weights = torch.tensor([3.0, 3.0])
    torch.testing.assert_close(stack.gram(ones), torch.tensor([10.0, 10.0]))
    stack.load_state_dict({"blocks.0.weights": torch.tensor([0.0, 1.0])})
    torch.testing.assert_close(stack.gram(ones), torch.tensor([1.0, 2.0]))
    stack.double()
    assert stack.gram.weights.dtype == torch.float64
    stack.gram.weights.zero_()  # who changes a gram has it for himself
    torch.testing.assert_close(stack.gram(ones), torch.tensor([1.0, 2.0], dtype=torch.float64))
    D.weights.requires_grad_()
    assert stack.gram.weights.requires_grad
    assert stack.gram is not stack.gram


def test_a_gram_from_inference_mode_can_be_used_outside():
    weights = torch.ones(2)
    stack = vstack([Diagonal(weights), Identity(2)])
    with torch.inference_mode():
        assert stack.gram.has_closed_solve
    stack.gram(torch.ones(2, requires_grad=True)).sum().backward()
