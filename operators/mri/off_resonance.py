"""A main field that is not the same everywhere: what it does to the signal during a long readout."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

from operators.checks import check_finite, check_number
from operators.core import LinearOperator
from operators.kernel_cache import KernelCache

__all__ = ["OffResonance"]

_MOST = 200  # segments


class OffResonance(LinearOperator):
    r"""A scan in an inhomogeneous field: ``y[m] = sum_j A[m, j] exp(-2 pi i field_map[j] times[m]) x[j]``.

    By time segmentation [1]_: the phase is a sum of products, ``sum_l b_l(times[m]) exp(-2 pi i field_map[j] t_l)``,
    with t_l at equal distances and the interpolators b_l that fit best, in the least-squares sense, over all
    frequencies of the field map. So the operator is ``sum_l Diagonal(b_l) @ A @ Diagonal(c_l)``, and its adjoint is
    exact.

    Parameters
    ----------
    operator : LinearOperator
        The scan without it, `NonCartesianMRI` or `CartesianMRI` say.
    field_map : torch.Tensor, shape ``(*spatial)``
        The trailing dimensions of the operator's input; real, in Hz. Learnable if an `nn.Parameter`; the interpolators
        remain those of its first frequencies.
    times : torch.Tensor, shape ``(*samples)``
        When each sample is taken, in seconds after the excitation or the echo: any number of the trailing dimensions of
        the operator's output, so that one readout's may stand for all.
    tolerance : float
        The largest error of the phase factor, whose magnitude is one, at any frequency and time. There are as few
        segments as it allows. At least 1e-6.

    Raises
    ------
    TypeError, ValueError
        If the field map or the times are not real tensors, not finite or of another shape; if the tolerance is out of
        range, or would take more than 200 segments.

    Notes
    -----
    `direct_inverse` is the conjugate-phase image [2]_: that of the operator, with each sample's phase undone.

    References
    ----------
    .. [1] B. P. Sutton, D. C. Noll and J. A. Fessler, "Fast, iterative image reconstruction for MRI in the presence of
       field inhomogeneities", IEEE Trans. Med. Imaging 22, 2003.
    .. [2] D. C. Noll et al., "A homogeneity correction method for magnetic resonance imaging with time-varying
       gradients", IEEE Trans. Med. Imaging 10, 1991.

    Examples
    --------
    >>> from operators.mri import NonCartesianMRI, spiral_trajectory
    >>> A = NonCartesianMRI(spiral_trajectory((32, 32), arms=4, samples=400), (32, 32))
    >>> field_map = torch.linspace(-50, 50, 32).expand(32, 32)  # in Hz
    >>> times = torch.linspace(0, 0.02, 400)  # a readout of 20 ms
    >>> OffResonance(A, field_map, times)
    OffResonance((32, 32) -> (4, 400), 7 segments, NonCartesianMRI((32, 32) -> (4, 400), tolerance=1e-06))
    """

    field_map: torch.Tensor
    interpolators: torch.Tensor
    segment_times: torch.Tensor

    def __init__(
        self, operator: LinearOperator, field_map: torch.Tensor, times: torch.Tensor, tolerance: float = 1e-3
    ) -> None:
        _check(field_map, operator.in_shape, self.name, "field_map")
        _check(times, operator.out_shape, self.name, "times")
        if not 1e-6 <= check_number(tolerance, self.name, "tolerance") < 1:
            raise ValueError(f"{self.name}: tolerance must be at least 1e-6 and below 1, got {tolerance}")
        super().__init__(operator.in_shape, operator.out_shape)
        self.operator = operator
        self._register("field_map", field_map)
        segment_times, interpolators = _segmented(field_map.detach(), times.detach(), tolerance, self.name)
        self._register("segment_times", segment_times)
        self._register("interpolators", interpolators)
        self._phase_cache: KernelCache[torch.Tensor] = KernelCache()

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        x, phases, interpolators = self._factors(x)
        terms = (b * self.operator(c * x) for b, c in zip(interpolators, phases, strict=True))
        return functools.reduce(torch.add, terms)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._transposed(self.operator.adjoint, y)

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._transposed(self.operator.direct_inverse, y)

    def _transposed(self, back: Callable[[torch.Tensor], torch.Tensor], y: torch.Tensor) -> torch.Tensor:
        y, phases, interpolators = self._factors(y)
        terms = (c.conj() * back(b.conj() * y) for b, c in zip(interpolators, phases, strict=True))
        return functools.reduce(torch.add, terms)

    def _factors(self, data: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        """The data as complex numbers, and the phases of the image and the interpolators in their precision."""
        dtype = torch.promote_types(data.dtype, torch.complex64)
        phases = self._phase_cache.get(self.field_map, torch.float64, self._phases).to(dtype)
        return data.to(dtype), list(phases.unbind()), list(self.interpolators.to(dtype).unbind())

    def _phases(self, field_map: torch.Tensor) -> torch.Tensor:
        times = self.segment_times.to(field_map).reshape(-1, *(1 for _ in field_map.shape))
        return torch.exp(-2j * torch.pi * (field_map * times))

    def extra_repr(self) -> str:
        """The number of segments, and the scan without the field."""
        return f"{len(self.segment_times)} segments, {self.operator}"


def _check(values: torch.Tensor, shape: tuple[int, ...], owner: str, name: str) -> None:
    check_finite(values, owner, name)
    if values.is_complex():
        raise TypeError(f"{owner}: {name} takes real numbers, got {values.dtype}")
    if values.ndim == 0 or tuple(values.shape) != shape[-values.ndim :]:
        raise ValueError(
            f"{owner}: takes {name} of the shape {shape}, or its last dimensions, got {tuple(values.shape)}"
        )


def _segmented(
    field_map: torch.Tensor, times: torch.Tensor, tolerance: float, owner: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """The times of as few segments as the tolerance allows, and the interpolators, ``(segments, *samples)``."""
    field, distinct = field_map.double(), times.double().unique()
    cycles = float((field.max() - field.min()) * (distinct[-1] - distinct[0]))
    if cycles > _MOST / 2:
        raise _too_wide(cycles, owner)
    frequencies = torch.linspace(0, 1, 64 + 8 * int(cycles), dtype=torch.float64, device=field.device)
    frequencies = field.min() + (field.max() - field.min()) * frequencies
    tried = distinct[torch.linspace(0, len(distinct) - 1, min(len(distinct), 500)).long().to(distinct.device)]
    for segments in range(int(cycles) + 1, _MOST + 1):
        centres = torch.linspace(0, 1, segments + 2, dtype=torch.float64, device=field.device)[1:-1]
        if segments > 1:
            centres = (centres - centres[0]) / (centres[-1] - centres[0])
        centres = distinct[0] + (distinct[-1] - distinct[0]) * centres
        basis = _wave(frequencies, centres)
        # What is cut off is below the tolerance, and keeps the interpolators from large numbers that cancel.
        inverse = torch.linalg.pinv(basis, rtol=tolerance / 10)
        error = (basis @ (inverse @ _wave(frequencies, tried)) - _wave(frequencies, tried)).abs().max()
        if error <= tolerance:
            flat = inverse @ _wave(frequencies, times.double().flatten())
            return centres, flat.reshape(segments, *times.shape)
    raise _too_wide(cycles, owner)


def _too_wide(cycles: float, owner: str) -> ValueError:
    return ValueError(
        f"{owner}: takes a field map and times for which {_MOST} segments are enough, "
        f"got a range of {cycles:.0f} cycles during the readout"
    )


def _wave(frequencies: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    return torch.exp(-2j * torch.pi * frequencies[:, None] * times)
