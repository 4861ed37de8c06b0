"""What the tests of the interface and of the solvers share: an operator without structure, and reproducible numbers."""

import torch

from operators import LinearOperator


class Plain(LinearOperator):
    """A matrix as an operator that keeps its structure to itself."""

    def __init__(self, matrix):
        super().__init__(matrix.shape[1], matrix.shape[0])
        self._register("matrix", matrix)

    def _forward(self, x):
        dtype = torch.promote_types(x.dtype, self.matrix.dtype)
        return (self.matrix.to(dtype) @ x.to(dtype)[..., None])[..., 0]


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))
