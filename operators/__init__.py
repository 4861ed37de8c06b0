"""Matrix-free linear operators on torch tensors, each with its exact adjoint."""

from operators.basic import Diagonal, Identity, Mask, RealToComplex, Subsample, Zero, from_function
from operators.core import LinearOperator, normalize
from operators.stack import block_diag, hstack, vstack

__all__ = [
    "Diagonal",
    "Identity",
    "LinearOperator",
    "Mask",
    "RealToComplex",
    "Subsample",
    "Zero",
    "block_diag",
    "from_function",
    "hstack",
    "normalize",
    "vstack",
]
