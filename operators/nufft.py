"""The non-uniform Fourier transform: from an image on a grid to its spectrum at any frequencies."""

from __future__ import annotations

import math
import warnings

import torch

from operators.checks import Shape, as_shape, check_choice, check_finite, check_number
from operators.core import LinearOperator
from operators.density import pipe_menon
from operators.diagonal import diagonal_of
from operators.kernel_cache import KernelCache
from operators.nufft_plans import PlanStore
from operators.nufft_product import nufft
from operators.toeplitz import Toeplitz
from operators.voronoi import voronoi_density

__all__ = ["NUFFT", "check_points"]

_KERNEL_TOLERANCE = 1e-12  # of the Toeplitz kernel: it is made once
_NEAR, _MANY = 0.02, 16  # how near to another convention's limit, and how many points, are taken for that convention
_EDGE = 1e-5  # by which points may leave the band, as a share of it: by rounding


class NUFFT(LinearOperator):
    r"""The Fourier transform of an image at arbitrary points of k-space, in one to three dimensions.

    ``y[m] = prod(n)^(-1/2) sum_j x[j] exp(-2 pi i sum_d points[m, d] j_d / n_d)``, where j runs from ``-(n // 2)``: at
    the points of the Cartesian grid it is `FourierTransform`.

    Parameters
    ----------
    points : torch.Tensor, shape ``(*out_shape, d)``
        Real coordinates in k-space, in cycles per field of view: the d-th from ``-n_d / 2`` to ``n_d / 2``. In double
        precision if the tolerance is fine: rounding a point to single costs a phase of up to ``4e-7 n``. Learnable if
        an `nn.Parameter`; points that leave the band in training see the spectrum's periodic continuation.
    in_shape : int or sequence of int
        Of the image, d of 1, 2 or 3 dimensions.
    tolerance : float
        Relative error, in the Euclidean norm, against the exact sums; at least 1e-14. Each digit costs some 10% of time
        in two dimensions.
    norm : {"ortho", "backward", "forward"}
        Scale by ``prod(n)^(-1/2)``, not at all, or by ``1 / prod(n)``, as in `FourierTransform`.
    density : {"pipe_menon", "voronoi"}
        The weights of `direct_inverse`: `operators.mri.pipe_menon` or `operators.mri.voronoi_density`.

    Raises
    ------
    TypeError, ValueError
        If the points are not a real floating-point tensor, not finite, beyond the band or of another number of
        coordinates than `in_shape`; if the tolerance is out of range, or the norm or density unknown.
    ImportError
        At the first use, if finufft is not installed (on CUDA, cufinufft): it comes with ``pip install "invnet[mri]"``.

    Warns
    -----
    UserWarning
        If the points look like radians or cycles per pixel.

    Notes
    -----
    By finufft [1]_. The plans are made when first used and kept for as long as the operator and its points. The adjoint
    is exact at any tolerance: the transpose of the approximation. Real input is promoted to complex; the result has the
    input's precision, and is computed in double precision where the tolerance asks for it.

    `gram`, and any ``A.H @ Diagonal(w) @ A``, is a `Toeplitz` operator [2]_: that of the exact sums, so that it differs
    from ``A.adjoint(A(x))`` by the tolerance.

    `direct_inverse` is the adjoint with each sample weighted by the area of k-space that it stands for, which is
    computed when first used.

    References
    ----------
    .. [1] A. H. Barnett, J. Magland and L. af Klinteberg, "A parallel nonuniform fast Fourier transform library based
       on an exponential of semicircle kernel", SIAM J. Sci. Comput. 41, 2019.
    .. [2] J. A. Fessler et al., "Toeplitz-based iterative image reconstruction for MRI with correction for magnetic
       field inhomogeneity", IEEE Trans. Signal Process. 53, 2005.

    Examples
    --------
    >>> angles = torch.arange(34) * torch.pi / 34
    >>> radii = torch.linspace(-16, 16, 65)[:-1]
    >>> points = radii[:, None] * torch.stack([angles.cos(), angles.sin()], -1)[:, None]
    >>> A = NUFFT(points, in_shape=(32, 32))
    >>> A
    NUFFT((32, 32) -> (34, 64), tolerance=1e-06)
    >>> A(torch.ones(32, 32))[0, 32].abs()  # at the centre of k-space
    tensor(32.0000)
    >>> A.gram
    Toeplitz((32, 32) -> (32, 32), hermitian)
    """

    points: torch.Tensor
    has_fast_gram = True

    def __init__(
        self,
        points: torch.Tensor,
        in_shape: Shape,
        tolerance: float = 1e-6,
        norm: str = "ortho",
        density: str = "pipe_menon",
    ) -> None:
        shape = check_points(points, in_shape, self.name)
        super().__init__(shape, points.shape[:-1])
        _warn_of_other_units(points.detach(), shape, self.name)
        if not 1e-14 <= check_number(tolerance, self.name, "tolerance") < 1:
            raise ValueError(f"{self.name}: tolerance must be at least 1e-14 and below 1, got {tolerance}")
        size = math.prod(shape)
        scales = {"ortho": size**-0.5, "backward": 1.0, "forward": 1 / size}
        self.norm_name = check_choice(norm, scales, self.name, "norm")
        self.scale = scales[norm]
        self.density_method = check_choice(density, ("pipe_menon", "voronoi"), self.name, "density")
        self.tolerance = float(tolerance)
        self._register("points", points)
        self.plans = PlanStore()
        # What is made of the points: the gram's kernel, and the weights of the direct inverse.
        self._kernel: KernelCache[torch.Tensor] = KernelCache()
        self._density: KernelCache[torch.Tensor] = KernelCache()

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        y = self._transformed(x, adjoint=False)
        return y.reshape((*x.shape[: x.ndim - len(self.in_shape)], *self.out_shape))

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        x = self._transformed(y, adjoint=True)
        return x.reshape(*y.shape[: y.ndim - len(self.out_shape)], *self.in_shape)

    def _transformed(self, data: torch.Tensor, adjoint: bool) -> torch.Tensor:
        taken = (math.prod(self.out_shape),) if adjoint else self.in_shape
        batch = data.shape[: data.ndim - len(self.out_shape if adjoint else self.in_shape)]
        flat = data.to(torch.promote_types(data.dtype, torch.complex64)).reshape(math.prod(batch), *taken)
        points = self.points.reshape(-1, len(self.in_shape))
        return nufft(points, flat, self.in_shape, self.scale, self.tolerance, adjoint, self.plans.handle)

    # ---------------------------------------------------------------- structure

    def _gram(self) -> LinearOperator:
        def kernel(points: torch.Tensor) -> torch.Tensor:
            return self._toeplitz_kernel(points, torch.ones_like(points[..., 0]))

        return Toeplitz(self._kernel.get(self.points, self.points.dtype, kernel), hermitian=True)

    def _weighted_gram(self, weight: LinearOperator) -> LinearOperator | None:
        weights = diagonal_of(weight)
        if weights is None:
            return None
        weights = weights * torch.ones_like(self.points[..., 0])  # also of a number
        return Toeplitz(self._toeplitz_kernel(self.points, weights), hermitian=not weights.is_complex())

    def _toeplitz_kernel(self, points: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """That of ``A.H @ Diagonal(weights) @ A``: the adjoint of the weights, on a grid of all differences."""
        grid = [2 * n - 1 for n in self.in_shape]
        ratio = torch.tensor([m / n for m, n in zip(grid, self.in_shape, strict=True)], dtype=torch.float64)
        fine = points.reshape(-1, len(grid)).double() * ratio.to(points.device)
        samples = weights.reshape(1, -1).to(torch.complex128)
        kernel = nufft(fine, samples, grid, self.scale**2, _KERNEL_TOLERANCE, adjoint=True)[0]
        return kernel.to(torch.promote_types(points.dtype, torch.complex64))

    def density(self) -> torch.Tensor:
        """The weights by which `direct_inverse` compensates for the density of the samples.

        Returns
        -------
        torch.Tensor, shape ``(*out_shape)``
            Real and positive: the area of k-space for which each sample stands, in cells of the Cartesian grid.
        """

        @torch.no_grad()
        def compute(points: torch.Tensor) -> torch.Tensor:
            is_geometric = self.density_method == "voronoi"
            return voronoi_density(points) if is_geometric else pipe_menon(points, self.in_shape)

        return self._density.get(self.points, self.points.dtype, compute)

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        # With the unitary scale, the adjoint of the weighted samples is at the scale of the image.
        unitary = 1 / (self.scale**2 * math.prod(self.in_shape))
        return self._adjoint((unitary * self.density()).to(y.real.dtype) * y)

    def extra_repr(self) -> str:
        """The tolerance, and what is not default."""
        norm = "" if self.norm_name == "ortho" else f", norm={self.norm_name!r}"
        return f"tolerance={self.tolerance:.3g}{norm}"


def check_points(points: torch.Tensor, in_shape: Shape, owner: str, name: str = "points") -> tuple[int, ...]:
    """Return the shape of images whose k-space has the given points, in cycles per field of view.

    Raises
    ------
    TypeError, ValueError
        If the points are not a real floating-point tensor, not finite, beyond the band, or do not fit the shape.
    """
    shape = as_shape(in_shape, owner)
    check_finite(points, owner, name)
    if points.is_complex():
        raise TypeError(f"{owner}: {name} takes real coordinates, got {points.dtype}")
    if not 1 <= len(shape) <= 3 or points.ndim == 0 or points.shape[-1] != len(shape):
        raise ValueError(
            f"{owner}: takes {name} of shape (..., d) for an in_shape of d = 1, 2 or 3 dimensions, "
            f"got {name} {tuple(points.shape)} for in_shape {shape}"
        )
    if points.numel() == 0:
        raise ValueError(f"{owner}: takes at least one of {name}, got shape {tuple(points.shape)}")
    for dim, n in enumerate(shape):
        farthest = points.detach()[..., dim].abs().max().item()
        if farthest > n / 2 * (1 + _EDGE):
            raise ValueError(
                f"{owner}: takes {name} in cycles per field of view, from {-n / 2:g} to {n / 2:g} along dimension "
                f"{dim} of in_shape {shape}, got {farthest:g}"
            )
    return shape


def _warn_of_other_units(points: torch.Tensor, shape: tuple[int, ...], owner: str) -> None:
    """Warn of points that fill the band of another convention, and only the middle of ours."""
    farthest = points.abs().max().item()
    for unit, edge, factor in (("radians", math.pi, "in_shape / (2 pi)"), ("cycles", 0.5, "in_shape")):
        is_there = abs(farthest / edge - 1) < _NEAR and min(shape) / 2 > 2 * edge
        if is_there and points.shape[:-1].numel() >= _MANY:  # a few may happen to lie there
            warnings.warn(
                f"{owner}: takes points in cycles per field of view; the largest of {farthest:g} looks like {unit} per "
                f"pixel (times {factor} converts them)",
                stacklevel=3,
            )
