"""Total variation."""

from __future__ import annotations

import torch

from invnet.optimize import tv_prox
from invnet.priors.base import AnalysisPrior
from operators import FiniteDifference, LinearOperator
from operators.kernel_cache import is_traced

__all__ = ["TotalVariation"]

_COMPILED = (torch.float32, torch.float64, torch.complex64, torch.complex128)


class TotalVariation(AnalysisPrior):
    """The sum over pixels of the image gradient's length: images of few edges [1]_.

    The gradient is that of `operators.FiniteDifference` with Neumann boundary. Of complex images the magnitude of the
    complex gradient counts. The proximal map is found by fast gradient projection [2]_.

    Parameters
    ----------
    dims : int
        How many trailing dimensions the gradient is taken along: 1 for signals, 2 for images, 3 for volumes. All before
        them (channels, batch) are apart.
    isotropic : bool
        Whether a gradient's length is Euclidean (no direction preferred), rather than the sum of absolute differences.
    joint_channels : bool
        Whether the dimension before them holds an image's channels, whose gradients at a pixel then count as one vector
        [3]_: colours share their edges. The prior's own `dims` is then one more.
    tol : float
        Relative accuracy of `prox`: it stops when the duality gap proves it (see `invnet.optimize.dual_prox`).
    max_iter : int
        Iterations of `prox` at most.

    Raises
    ------
    TypeError, ValueError
        If `dims` or `max_iter` is not a positive integer, or `tol` is not positive.

    References
    ----------
    .. [1] L. Rudin, S. Osher and E. Fatemi, "Nonlinear total variation based noise removal algorithms", Physica D 60,
       1992.
    .. [2] A. Beck and M. Teboulle, "Fast gradient-based algorithms for constrained total variation image denoising and
       deblurring problems", IEEE Trans. Image Process. 18, 2009.
    .. [3] X. Bresson and T. Chan, "Fast dual minimization of the vectorial total variation norm and applications to
       color image processing", Inverse Probl. Imaging 2, 2008.

    Examples
    --------
    >>> step = torch.zeros(4, 4)
    >>> step[:, 2:] = 1.0
    >>> TotalVariation()(step)  # a jump of one along four pixels
    tensor(4.)
    >>> TotalVariation().prox(step, 0.5)[0].round(decimals=3)  # each side goes by 0.5 * 4 / 8 pixels
    tensor([0.2500, 0.2500, 0.7500, 0.7500])
    """

    def __init__(
        self,
        dims: int = 2,
        isotropic: bool = True,
        joint_channels: bool = False,
        tol: float = 1e-4,
        max_iter: int = 1000,
    ) -> None:
        super().__init__(dims, tol, max_iter)
        self.dims += joint_channels
        self.isotropic, self.joint_channels = isotropic, joint_channels

    def analysis(self, shape: tuple[int, ...]) -> LinearOperator:
        """Finite differences on images of this shape."""
        return FiniteDifference(shape[-self.spatial_dims :])

    def magnitudes(self, z: torch.Tensor) -> torch.Tensor:
        """The length of each pixel's gradient; each difference alone if anisotropic."""
        axes = [-1 - self.spatial_dims] * self.isotropic + [-2 - self.spatial_dims] * self.joint_channels
        if not axes:
            return z.abs()
        return _length(z, axes)

    def is_compiled_for(self, x: torch.Tensor) -> bool:
        """Whether the proximal map of such images runs as a compiled loop: those on the CPU."""
        kind = type(self)  # a subclass may have another analysis operator
        is_own = kind.analysis is TotalVariation.analysis and kind.magnitudes is TotalVariation.magnitudes
        return is_own and self.spatial_dims == 2 and x.device.type == "cpu" and x.dtype in _COMPILED

    def iterate_prox(
        self,
        x: torch.Tensor,
        step: torch.Tensor,
        dual: torch.Tensor | None = None,
        bounds: tuple[float, float] | None = None,
        tol: float | torch.Tensor = 1e-4,
        max_iter: int = 500,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The proximal map within bounds, as `AnalysisPrior` has it; for images on the CPU, by a compiled loop."""
        if self.is_compiled_for(x) and not _is_differentiated(x, step):
            return tv_prox(x, step, self.isotropic, dual, bounds, tol, max_iter, self.joint_channels)
        return super().iterate_prox(x, step, dual, bounds, tol, max_iter)

    def check_image(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError if images of this shape are not what the prior takes."""
        if self.joint_channels and len(shape) == self.spatial_dims:
            raise ValueError(
                f"{self.name}: joint_channels takes images with a dimension of channels before the {self.spatial_dims} "
                f"of space, got shape {tuple(shape)}"
            )
        super().check_image(shape)

    def extra_repr(self) -> str:
        """The dimensions, and the kind if it is not the usual."""
        parts = [f"dims={self.spatial_dims}"]
        parts += [] if self.isotropic else ["isotropic=False"]
        return ", ".join([*parts, "joint_channels=True"] if self.joint_channels else parts)


def _is_differentiated(*tensors: torch.Tensor) -> bool:
    """Whether torch differentiates or transforms what is computed from the tensors."""
    return is_traced(*(t if torch.is_grad_enabled() else t.detach() for t in tensors))


def _length(z: torch.Tensor, axes: list[int]) -> torch.Tensor:
    """The Euclidean length along axes, kept as dimensions of size one."""
    # torch.linalg.vector_norm takes several times as long along so short an axis.
    squares = z.real.square() + z.imag.square() if z.is_complex() else z.square()
    return squares.sum(dim=axes, keepdim=True).sqrt()
