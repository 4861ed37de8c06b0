"""A primal-dual method whose steps are learned, in the image and in the data."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from invnet.nets.base import ConvNet, conv
from invnet.nets.on_images import OnImages
from invnet.physics import Physics
from invnet.reconstruct.base import Info, Reconstructor
from operators.checks import check_choice, check_positive, check_positive_int

__all__ = ["LearnedPrimalDual"]


class LearnedPrimalDual(Reconstructor):
    r"""Networks update the image and the data in turns, with the operator and its adjoint between them [1]_.

    With the memories f of images and h of data, and the operator divided by its norm, an iteration is

    ``h <- h + D_k(h, A f_1, y)``; ``f <- f + P_k(f, A.H h_0)``,

    and the first image of the last memory is the result. Each network is three 3x3 convolutions with PReLU. As in
    the original it is not told the noise, and its weights begin by Xavier's rule; with its sizes, it has 253 220
    parameters.

    Parameters
    ----------
    dims : int
        Spatial dimensions of the image, its last ones. Those before them (channels, frames) are apart.
    data_dims : int, optional
        Those of the data; by default as many. Those before them (coils) are apart.
    iterations : int
    memory : int
        Images and data that are remembered from one iteration to the next, at least 2.
    width : int
        Channels within a network.
    complex_image, complex_data : bool
        Whether image and data are complex.
    start : {"zeros", "direct inverse"}
        What the memory of images begins with; that of data begins with zeros. Zeros are the original's, and need a
        training of thousands of steps to get where the direct inverse begins.
    norm : float, optional
        The operator's norm. Without, it is asked of the operator, which keeps it, unless it is a user's own or
        learnable and finds it by iteration (`operators.LinearOperator.norm`): in each call, that takes longer than the
        rest.
    checkpointing : bool
        Whether the backward pass computes each iteration once more rather than to remember what is within it.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if image or data have fewer dimensions, or are complex where
        they should be real or the other way round.

    References
    ----------
    .. [1] J. Adler and O. Öktem, "Learned primal-dual reconstruction", IEEE Trans. Med. Imaging 37, 2018.

    Examples
    --------
    >>> import invnet, operators
    >>> physics = invnet.Physics(operators.AveragePool((16, 16), 2), noise=invnet.noise.Gaussian(0.1))
    >>> reconstruct = LearnedPrimalDual(iterations=2, width=4)
    >>> reconstruct(torch.ones(5, 8, 8), physics).shape
    torch.Size([5, 16, 16])
    """

    def __init__(
        self,
        dims: int = 2,
        data_dims: int | None = None,
        iterations: int = 10,
        memory: int = 5,
        width: int = 32,
        complex_image: bool = False,
        complex_data: bool = False,
        start: str = "zeros",
        norm: float | None = None,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if check_positive_int(memory, self.name, "memory") < 2:
            raise ValueError(f"{self.name}: memory must be at least 2, got {memory}")
        if norm is not None:
            check_positive(norm, self.name, "norm")
        self.dims, self.data_dims = dims, dims if data_dims is None else data_dims
        self.iterations = check_positive_int(iterations, self.name, "iterations")
        self.memory, self.norm, self.checkpointing = memory, norm, checkpointing
        self.complex_image, self.complex_data = complex_image, complex_data
        self.start = check_choice(start, ("zeros", "direct inverse"), self.name, "start")
        image, data = 1 + complex_image, 1 + complex_data
        self.primal = nn.ModuleList(
            _at_the_door(_Update((memory + 1) * image, memory * image, width, dims), complex_image)
            for _ in range(self.iterations)
        )
        self.dual = nn.ModuleList(
            _at_the_door(_Update((memory + 2) * data, memory * data, width, self.data_dims), complex_data)
            for _ in range(self.iterations)
        )

    def _reconstruct(self, y: torch.Tensor, physics: Physics) -> tuple[torch.Tensor, Info]:
        A = physics.operator
        self._check("data", y, self.data_dims, self.complex_data, len(A.out_shape))
        image = physics.direct_inverse(y) if self.start == "direct inverse" else torch.zeros_like(A.adjoint(y))
        self._check("images", image, self.dims, self.complex_image, len(A.in_shape))
        size = A.norm().to(y.device, y.real.dtype) if self.norm is None else torch.tensor(self.norm)
        f, h = self._memory(image, self.dims), self._memory(torch.zeros_like(y), self.data_dims)
        for k in range(self.iterations):
            if self.checkpointing and torch.is_grad_enabled():
                f, h = checkpoint(self._iterate, f, h, y, physics, size, k, use_reentrant=False)
            else:
                f, h = self._iterate(f, h, y, physics, size, k)
        return f.select(-1 - self.dims, 0), Info(iterations=self.iterations)

    def _iterate(
        self, f: torch.Tensor, h: torch.Tensor, y: torch.Tensor, physics: Physics, size: torch.Tensor, k: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        A, slot, data_slot = physics.operator, -1 - self.dims, -1 - self.data_dims
        seen = A(f.select(slot, 1)) / size
        h = h + self.dual[k](torch.cat([h, seen.unsqueeze(data_slot), (y / size).unsqueeze(data_slot)], data_slot))
        back = A.adjoint(h.select(data_slot, 0)) / size
        return f + self.primal[k](torch.cat([f, back.unsqueeze(slot)], slot)), h

    def _memory(self, zero: torch.Tensor, dims: int) -> torch.Tensor:
        """As many of them, along a dimension before the spatial ones."""
        return torch.stack([zero] * self.memory, -1 - dims)

    def _check(self, what: str, x: torch.Tensor, dims: int, is_complex: bool, given: int) -> None:
        if given < dims:
            raise ValueError(f"{self.name}: takes {what} of at least {dims} dimensions, got {given}")
        if x.is_complex() != is_complex:
            kinds = "complex" if is_complex else "real", "complex" if x.is_complex() else "real"
            raise TypeError(f"{self.name}: was made for {kinds[0]} {what}, got {kinds[1]} ones")

    def extra_repr(self) -> str:
        """The iterations and the memory."""
        return f"iterations={self.iterations}, memory={self.memory}"


class _Update(ConvNet):
    """Three convolutions."""

    def __init__(self, in_channels: int, out_channels: int, width: int, dims: int) -> None:
        super().__init__(in_channels, out_channels, dims)
        width = check_positive_int(width, "LearnedPrimalDual", "width")
        self.layers = nn.Sequential(
            conv(dims, in_channels, width),
            nn.PReLU(width),
            conv(dims, width, width),
            nn.PReLU(width),
            conv(dims, width, out_channels),
        )
        # As in the original: torch's own weights are too small to begin with images of zeros.
        for value in self.layers.parameters():
            nn.init.xavier_uniform_(value) if value.ndim > 1 else nn.init.zeros_(value)

    def _net(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def _at_the_door(net: ConvNet, is_complex: bool) -> OnImages:
    return OnImages(net, complex_as="channels" if is_complex else "images")
