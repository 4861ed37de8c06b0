"""Toeplitz operators in two dimensions on the CPU: hands images to the compiled code, over the threads that suit it."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from operators.kernel_spectrum import kernel_spectrum
from operators.kernels import toeplitz as kernels
from operators.kernels.instructions import RAYS
from operators.kernels.threads import run_in_ranges
from operators.kernels.transforms import LAST, RADICES, Axis

__all__ = ["CompiledToeplitz"]

_SERIAL = 2**16  # pixels of an image that one thread finishes before others have taken over a part


class CompiledToeplitz:
    """A Toeplitz operator of a fixed kernel, ready to be applied.

    Parameters
    ----------
    kernel : torch.Tensor, shape (2 height - 1, 2 width - 1)
        Real for operators between real images, else complex; of 32 or 64 bits for a real number.
    hermitian : bool
        Whether the operator is its own adjoint, so that its spectrum is real.
    """

    def __init__(self, kernel: torch.Tensor, hermitian: bool) -> None:
        self.down, self.along = (_axis((m + 1) // 2, kernel.real.dtype) for m in kernel.shape)
        self.spectrum = _ordered_spectrum(kernel, hermitian, self.down, self.along).numpy()
        self.tiles = -(-self.along.size // RAYS)  # of columns
        # Room for one image in each thread, kept: asked for anew, the system would clear it each time, which takes as
        # long as the transforms. Lists are safe to pop from by several threads.
        self._room: list[np.ndarray] = []

    def __call__(self, images: torch.Tensor, adjoint: bool) -> torch.Tensor:
        """Apply the operator, or its adjoint.

        Parameters
        ----------
        images : torch.Tensor, shape (*batch, height, width)
            Of the kernel's type.
        adjoint : bool
        """
        images = images.detach().contiguous()
        results = torch.empty_like(images)
        count, is_complex = math.prod(images.shape[:-2]), images.is_complex()
        pixels = self.down.size * self.along.size
        taken, given = (_numbers(t).reshape(count, pixels * (1 + is_complex)) for t in (images, results))
        sign = taken.dtype.type(-1 if adjoint else 1)
        problem = kernels.Problem(self.down, self.along, self.spectrum, sign, int(is_complex))
        threads = 1 if count == 1 and pixels <= _SERIAL else torch.get_num_threads()
        whole = count - count % threads  # images that are left to a single thread each
        run = partial(self._run_whole, taken[:whole].ravel(), given[:whole].ravel(), problem)
        if threads == 1:
            run(0, whole)
        else:
            run_in_ranges(run, whole)
        for image, result in zip(taken[whole:], given[whole:], strict=True):
            self._run_stages(image, result, problem)
        return results

    def _run_whole(
        self, images: np.ndarray, results: np.ndarray, problem: kernels.Problem, start: int, stop: int
    ) -> None:
        room = self._take_room()
        kernels.filter_images(images, results, room, problem, 0, kernels.ALL, start, stop)
        self._room.append(room)

    def _run_stages(self, image: np.ndarray, result: np.ndarray, problem: kernels.Problem) -> None:
        """An image by all threads."""
        room, frequencies = self._take_room(), self.down.period // RAYS
        for half in range(1 + problem.is_complex):
            for stage, tasks in (
                (kernels.SPLIT, self.tiles),
                (kernels.FILTER, frequencies),
                (kernels.JOIN, self.tiles),
            ):
                run_in_ranges(partial(kernels.filter_images, image, result, room, problem, half, stage), tasks)
        self._room.append(room)

    def _take_room(self) -> np.ndarray:
        try:
            return self._room.pop()
        except IndexError:
            dtype = torch.from_numpy(self.spectrum).dtype
            return torch.empty(2 * RAYS * self.tiles * self.down.period, dtype=dtype).numpy()  # from 64 bytes on


def _numbers(images: torch.Tensor) -> np.ndarray:
    return (torch.view_as_real(images) if images.is_complex() else images).numpy()


def _ordered_spectrum(kernel: torch.Tensor, hermitian: bool, down: Axis, along: Axis) -> torch.Tensor:
    """The spectrum at the frequencies, and in the order, in which the transforms find them: see `kernels.Problem`."""
    axes = (down, along)
    spectrum = kernel.to(torch.promote_types(kernel.dtype, torch.complex64))
    for dim, axis in enumerate(axes):
        lags = torch.arange(1 - axis.size, axis.size, dtype=torch.float64) / (2 * axis.period)
        phases = torch.polar(torch.ones_like(lags), -torch.pi * lags).to(spectrum.dtype)
        spectrum = spectrum * (phases[:, None] if dim == 0 else phases)
    spectrum = kernel_spectrum(spectrum, [2 * axis.period for axis in axes], [1 - axis.size for axis in axes], True)
    for dim, axis in enumerate(axes):
        # Entry n is of frequency (n + 1/2) / 2m, so that (k + 1/4) / m has entry 2k, and (k - 1/4) / m the one before.
        entries = 2 * torch.from_numpy(_order((*axis.radices, LAST)))
        spectrum = spectrum.index_select(dim, torch.cat([entries, (entries - 1) % (2 * axis.period)]))
    spectrum = spectrum.reshape(2, down.period // RAYS, RAYS, 2, along.period).permute(0, 1, 3, 4, 2)
    spectrum = spectrum / (4 * down.period * along.period)
    spectrum = spectrum if kernel.is_complex() else 2 * spectrum[:1]  # of which the real part is taken
    return torch.stack([spectrum.real] if hermitian else [spectrum.real, spectrum.imag], -2)


@functools.lru_cache(maxsize=64)
def _axis(size: int, dtype: torch.dtype) -> Axis:
    period = size + -size % RAYS
    while (radices := _radices(period)) is None:
        period += RAYS
    twiddles, places, length = [np.empty(0, complex)], [], period
    for radix in radices:
        places.append(2 * sum(map(len, twiddles)))
        powers = np.outer(np.arange(length // radix), np.arange(1, radix))
        twiddles.append(np.exp(-2j * np.pi * powers.ravel() / length))
        length //= radix
    phases = np.exp(-0.5j * np.pi * np.arange(size) / period)
    real = torch.empty(0, dtype=dtype).numpy().dtype
    pairs = (np.concatenate(parts).view(float).astype(real) for parts in (twiddles, [phases]))
    return Axis(size, period, np.array(radices), np.array(places), *pairs)


def _radices(period: int) -> list[int] | None:
    """Of all steps but the last; none if the period has other prime factors than 2, 3 and 5."""
    left, radices = period // LAST, []
    for radix in reversed(RADICES):
        while left % radix == 0:
            radices.append(radix)
            left //= radix
    return sorted(radices) if left == 1 else None


def _order(radices: Sequence[int]) -> np.ndarray:
    """The frequencies that a transform by such steps leaves, from the first place to the last."""
    if not radices:
        return np.zeros(1, np.int64)
    radix, *others = radices
    return np.concatenate([first + radix * _order(others) for first in range(radix)])
