"""What users get wrong: each mistake raises at once, naming the operator, what came and what is taken."""

import numpy as np
import pytest
import torch

import operators
from operators import Diagonal, Identity, Mask, Matrix, Subsample, from_function, hstack, normalize, solve, vstack

NAN = torch.tensor([[1.0, float("nan"), 0.0]])
KERNEL = torch.ones(3, 3)
IMAGE = (8, 8)

MISTAKES = {
    # what is applied
    "wrong shape": (
        lambda: Identity((2, 3))(torch.ones(3, 2)),
        ValueError,
        r"Identity: .* \(\.\.\., 2, 3\), got \(3, 2\)",
    ),
    "too few dims": (lambda: Identity((2, 3))(torch.ones(3)), ValueError, r"Identity: .* \(\.\.\., 2, 3\), got \(3,\)"),
    "integers": (lambda: Identity(2)(torch.ones(2, dtype=torch.int32)), TypeError, r"Identity: .* got torch\.int32"),
    "a list": (lambda: Identity(2)([1.0, 2.0]), TypeError, "Identity: .* got list"),
    "an array": (lambda: Identity(2)(np.ones(2)), TypeError, "Identity: .* got ndarray; .*from_array makes"),
    "a product with an array": (lambda: Identity(2) @ np.ones(2), TypeError, "Identity: .* got ndarray"),
    "an operator for a list of them": (lambda: vstack(Identity(2)), TypeError, "vstack: .* got the Identity alone"),
    "an image for its shape": (
        lambda: Identity(torch.ones(8, 8)),
        TypeError,
        r"Identity: in_shape takes integers, got a Tensor of shape \(8, 8\)",
    ),
    "another device": (
        lambda: Diagonal(torch.ones(2))(torch.ones(2, device="meta")),
        ValueError,
        "Diagonal: .* device cpu, got meta",
    ),
    "adjoint of a wrong shape": (
        lambda: Subsample(4, 2).adjoint(torch.ones(4)),
        ValueError,
        r"Subsample: .* got \(4,\)",
    ),
    "a complex image as real": (
        lambda: operators.RealToComplex(2)(torch.ones(2, dtype=torch.complex64)),
        TypeError,
        r"RealToComplex: takes a real input, got torch\.complex64",
    ),
    # shapes and numbers at construction
    "a negative size": (
        lambda: Identity((2, -3)),
        ValueError,
        r"Identity: in_shape takes positive sizes, got \(2, -3\)",
    ),
    "a size that is not an integer": (lambda: Identity(2.5), TypeError, "Identity: in_shape takes integers, got 2.5"),
    "NaN in weights": (lambda: Diagonal(NAN), ValueError, "Diagonal: weights must be finite, got 1 NaN"),
    "weights of integers": (lambda: Diagonal(torch.arange(3)), TypeError, r"Diagonal: .* got torch\.int64"),
    "NaN in a matrix": (lambda: Matrix(NAN), ValueError, "Matrix: matrix must be finite, got 1 NaN"),
    "a matrix of one dimension": (lambda: Matrix(torch.ones(3)), ValueError, r"Matrix: .* got shape \(3,\)"),
    "a matrix and a wrong shape": (
        lambda: Matrix(torch.ones(2, 6), in_shape=(2, 2)),
        ValueError,
        r"Matrix: in_shape \(2, 2\) does not have the 6 entries",
    ),
    "an empty mask": (lambda: Mask(torch.zeros(2, 2)), ValueError, "Mask: the mask .* is empty"),
    "a mask of other values": (lambda: Mask(torch.full((2,), 0.5)), ValueError, "Mask: mask takes zeros and ones"),
    "a mask that is a list": (lambda: Mask([True, False]), TypeError, "Mask: mask takes a torch.Tensor, got list"),
    "a zero step": (lambda: Subsample(4, 0), ValueError, "Subsample: step must be at least 1, got 0"),
    "too many steps": (lambda: Subsample(4, (1, 2)), ValueError, r"Subsample: step takes .* got \(1, 2\)"),
    # convolution
    "NaN in a kernel": (lambda: operators.Convolution(NAN, IMAGE), ValueError, "Convolution: kernel must be finite"),
    "a kernel too large": (lambda: operators.Convolution(torch.ones(9, 9), IMAGE), ValueError, "Convolution: .*9.*8"),
    "an even kernel": (
        lambda: operators.Convolution(torch.ones(2, 3), IMAGE, padding="same"),
        ValueError,
        r"Convolution: .*odd.*\(2, 3\)",
    ),
    "an unknown padding": (
        lambda: operators.Convolution(KERNEL, IMAGE, padding="mirror"),
        ValueError,
        "Convolution: padding takes one of valid, .* got 'mirror'",
    ),
    "a negative stride": (
        lambda: operators.Convolution(KERNEL, IMAGE, stride=-1),
        ValueError,
        "Convolution: stride must be at least 1, got -1",
    ),
    "a kernel of other dimensions": (
        lambda: operators.Convolution(torch.ones(3), IMAGE),
        ValueError,
        "Convolution: .*kernel",
    ),
    "channels that differ": (
        lambda: operators.Convolution(torch.ones(2, 3, 3, 3), (4, 8, 8)),
        ValueError,
        "Convolution: the kernel takes 3 channels, but in_shape .* has 4",
    ),
    "output_padding too large": (
        lambda: operators.TransposedConvolution(KERNEL, IMAGE, stride=2, output_padding=2),
        ValueError,
        "TransposedConvolution: .*output_padding",
    ),
    # resampling, colour, transforms
    "a factor that does not divide": (
        lambda: operators.AveragePool((5, 4), 2),
        ValueError,
        r"AveragePool: factor must divide in_shape, got factor \(2, 2\) for in_shape \(5, 4\)",
    ),
    "a negative factor": (lambda: operators.Downsample(IMAGE, -2), ValueError, "Downsample: factor .* got -2"),
    "an unknown kernel": (
        lambda: operators.Downsample(IMAGE, 2, "lanczos9"),
        ValueError,
        "Downsample: kernel .*lanczos9",
    ),
    "an unknown mode": (lambda: operators.Upsample(IMAGE, 2, "cubic"), ValueError, "Upsample: mode .* got 'cubic'"),
    "no three colours": (lambda: operators.Grayscale((4, 8, 8)), ValueError, r"Grayscale: .*\(4, 8, 8\)"),
    "a mosaic of no colours": (lambda: operators.BayerMosaic((1, 8, 8)), ValueError, r"BayerMosaic: .*\(1, 8, 8\)"),
    "a mixing matrix that does not fit": (
        lambda: operators.ChannelMix(torch.ones(2, 3), (4, 8, 8)),
        ValueError,
        "ChannelMix: .*3.*4",
    ),
    "an unknown wavelet": (lambda: operators.Wavelet(IMAGE, "db0"), ValueError, "Wavelet: wavelet .* got 'db0'"),
    "a dimension out of range": (
        lambda: operators.FourierTransform(IMAGE, dims=2),
        ValueError,
        r"FourierTransform: dims .* of \(8, 8\), .* got 2",
    ),
    # algebra
    "a composition that does not fit": (
        lambda: Identity(3) @ Subsample(4, 2),
        ValueError,
        r"Identity @ Subsample: Identity takes \(3,\), but Subsample gives \(2,\)",
    ),
    "a sum that does not fit": (
        lambda: Identity(3) + Identity(2),
        ValueError,
        r"Identity \+ Identity: shapes must agree",
    ),
    "a product with several numbers": (lambda: torch.ones(2) * Identity(2), (TypeError, ValueError), "one number"),
    "a product with infinity": (
        lambda: float("inf") * Subsample(4, 2),
        ValueError,
        "Subsample: .* finite number, got inf",
    ),
    "an empty stack": (lambda: vstack([]), ValueError, "vstack: takes at least one operator, got none"),
    "a stack of tensors": (lambda: hstack([torch.ones(2)]), TypeError, "hstack: takes LinearOperators, got Tensor"),
    "a stack of different images": (
        lambda: vstack([Identity(2), Identity(3)]),
        ValueError,
        r"vstack: takes operators of one in_shape, got \(2,\), \(3,\)",
    ),
    "the zero operator normalized": (lambda: normalize(operators.Zero(2, 2)), ValueError, "normalize: .* Zero is 0"),
    "an affine function": (lambda: from_function(lambda x: x + 1, 2), ValueError, "from_function: .* zero to zero"),
    "a function without a result": (
        lambda: from_function(lambda x: None, 2),
        TypeError,
        "from_function: .* got NoneType",
    ),
    # solving
    "a negative damping": (
        lambda: Identity(2).solve_normal(torch.ones(2), -1.0),
        ValueError,
        "Identity: damping must be finite and at least 0, got -1",
    ),
    "a damping that is not a number": (
        lambda: Identity(2).solve_normal(torch.ones(2), "1"),
        TypeError,
        "Identity: damping takes a real number or a tensor of them, got '1'",
    ),
    "a complex damping": (
        lambda: solve.lsqr(Identity(2), torch.ones(2), damping=1j),
        TypeError,
        r"lsqr\(Identity\): damping takes a real number or a tensor of them, got 1j",
    ),
    "a damping on another device": (
        lambda: Identity(2).solve_normal(torch.ones(3, 2, device="meta"), torch.ones(3)),
        ValueError,
        "Identity: damping is on the device cpu, but the right-hand side on meta",
    ),
    "a tolerance that is not a number": (
        lambda: solve.cg(Identity(2), torch.ones(2), tol="small"),
        TypeError,
        r"cg\(Identity\): tol takes a real number, got 'small'",
    ),
    "a negative tolerance": (
        lambda: solve.lstsq(Matrix(torch.ones(2, 2)), torch.ones(2), tol=-1.0),
        ValueError,
        r"lstsq\(Matrix\): tol must be at least 0, got -1",
    ),
    "a preconditioner that is a tensor": (
        lambda: solve.cg(Identity(2), torch.ones(2), preconditioner=torch.ones(2)),
        TypeError,
        r"cg\(Identity\): preconditioner takes a callable, got Tensor",
    ),
    "the norm of a tensor": (
        lambda: solve.norm(torch.ones(2, 2)),
        TypeError,
        "norm: takes a LinearOperator, got Tensor; Matrix makes one of a tensor",
    ),
    "a damping of another batch": (
        lambda: Identity(2).solve_normal(torch.ones(3, 2), torch.ones(2)),
        ValueError,
        r"Identity: damping of shape \(2,\) does not broadcast to the batch \(3,\)",
    ),
    "NaN in data": (
        lambda: Identity(2).pinv(torch.tensor([1.0, float("nan")])),
        ValueError,
        r"lstsq\(Identity\): .* 1 NaN",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake(mistake):
    call, error, words = MISTAKES[mistake]
    with pytest.raises(error, match=words):
        call()
