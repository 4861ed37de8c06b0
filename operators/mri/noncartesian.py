"""Non-Cartesian MRI: samples of k-space along any trajectory, by one or several coils."""

from __future__ import annotations

import torch

from operators.algebra import Adjoint, Compose
from operators.basic import Identity
from operators.batched import Batched
from operators.checks import Shape
from operators.core import LinearOperator
from operators.mri.maps import SensitivityMaps, check_maps
from operators.nufft import NUFFT, check_points

__all__ = ["NonCartesianMRI"]


class NonCartesianMRI(Compose):
    r"""Sampling of k-space along a trajectory: ``y[c] = NUFFT (maps[c] x)``.

    Parameters
    ----------
    trajectory : torch.Tensor, shape ``(*samples, d)``
        Points of k-space in cycles per field of view, the d-th coordinate from ``-n_d / 2`` to ``n_d / 2``; see
        `operators.mri.radial_trajectory` and its like. Learnable if an `nn.Parameter`.
    in_shape : int or sequence of int
        Of the image, d of 1, 2 or 3 dimensions.
    maps : torch.Tensor, shape ``(coils, *in_shape)`` or ``(sets, coils, *in_shape)``, optional
        Coil sensitivities, complex; without them one coil sees all. With sets the operator takes
        ``(sets, *in_shape)``. Learnable if an `nn.Parameter`.
    tolerance : float
        Of the transform, as in `operators.NUFFT`.
    density : {"pipe_menon", "voronoi"}
        How `direct_inverse` weights the samples, as in `operators.NUFFT`.

    Raises
    ------
    TypeError, ValueError
        If the trajectory is not a real tensor, not finite, beyond the band or of another number of coordinates than
        `in_shape`; if the maps are not finite, zero everywhere or of another shape.
    ImportError
        At the first use, if finufft is not installed: ``pip install "invnet[mri]"``.

    Notes
    -----
    The data are of shape ``(coils, *samples)``, without maps ``(*samples)``. `gram` is a Toeplitz operator between the
    maps. `direct_inverse` weights each sample by the area of k-space that it stands for, transforms back, and combines
    the coils by least squares.

    References
    ----------
    .. [1] K. P. Pruessmann et al., "Advances in sensitivity encoding with arbitrary k-space trajectories",
       Magn. Reson. Med. 46, 2001.

    Examples
    --------
    >>> from operators.mri import radial_trajectory
    >>> trajectory = radial_trajectory((32, 32), spokes=20, samples=64)
    >>> NonCartesianMRI(trajectory, (32, 32), maps=torch.ones(4, 32, 32) + 0j)
    NonCartesianMRI((32, 32) -> (4, 20, 64), 4 coils, tolerance=1e-06)
    """

    def __init__(
        self,
        trajectory: torch.Tensor,
        in_shape: Shape,
        maps: torch.Tensor | None = None,
        tolerance: float = 1e-6,
        density: str = "pipe_menon",
    ) -> None:
        spatial = check_points(trajectory, in_shape, self.name, "trajectory")
        nufft: LinearOperator = NUFFT(trajectory, spatial, tolerance, density=density)
        coils: LinearOperator = Identity(spatial)
        if maps is not None:
            check_maps(maps, self.name)
            coils = SensitivityMaps(maps, len(spatial))
            if coils.out_shape[1:] != spatial:
                raise ValueError(f"{self.name}: takes maps of the image's shape {spatial}, got {tuple(maps.shape)}")
            nufft = Batched(nufft, coils.out_shape[:1])
        super().__init__(nufft, coils)

    def _adjoint_operator(self) -> LinearOperator:
        return Adjoint(self)  # so that messages name it

    def _cogram(self) -> LinearOperator:
        return super()._adjoint_operator().gram

    @property
    def nufft(self) -> NUFFT:
        """The transform of each coil's image."""
        outer = self.outer.operator if isinstance(self.outer, Batched) else self.outer
        assert isinstance(outer, NUFFT)
        return outer

    @property
    def maps(self) -> torch.Tensor | None:
        """The coil sensitivities."""
        return self.inner.maps if isinstance(self.inner, SensitivityMaps) else None

    def extra_repr(self) -> str:
        """The coils, and the transform's tolerance."""
        coils = f"{self.inner.extra_repr()}, " if self.maps is not None else ""
        return coils + self.nufft.extra_repr()

    __repr__ = LinearOperator.__repr__
