"""The interface of a reconstructor: a measurement and its physics to an image."""

from __future__ import annotations

import abc
import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import torch

from invnet.optimize import Progress
from invnet.physics import Physics
from invnet.reconstruct.history import draw_curves
from operators.checks import kind
from operators.solve import ConvergenceWarning

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Info", "Reconstructor"]


@dataclasses.dataclass(repr=False)
class Info:
    """How a reconstruction went.

    Attributes
    ----------
    iterations : int
        Iterations done; zero for a reconstruction that does not iterate.
    converged : bool
        Whether the reconstruction stopped because it was done, not because iterations ran out.
    objective : list of float
        The objective's value after each iteration, where there is one.
    residual : list of float
        The measure of convergence after each iteration.
    recorded : list of int
        The iterations after which objective and residual were recorded, where it was not after each.

    Examples
    --------
    >>> info = Info(iterations=2, converged=True, objective=[2.0, 1.5], residual=[0.1, 1e-4])
    >>> info
    Info(converged after 2 iterations, objective 1.5, residual 0.0001)
    >>> [axes.get_title() for axes in info.plot().axes]
    ['objective', 'residual']
    """

    iterations: int = 0
    converged: bool = True
    objective: list[float] = dataclasses.field(default_factory=list)
    residual: list[float] = dataclasses.field(default_factory=list)
    recorded: list[int] = dataclasses.field(default_factory=list)

    @classmethod
    def of(cls, progress: Progress) -> Info:
        """The account of an iteration: the objective summed and the residual the largest over the batch."""
        return cls(
            iterations=progress.iterations,
            converged=bool(progress.converged.all()),
            objective=[value.sum().item() for value in progress.objectives],
            residual=[residual.amax().item() for residual in progress.residuals if residual.numel()],
            recorded=progress.recorded,
        )

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw objective and residual over the iterations.

        Parameters
        ----------
        path : str or Path, optional
            Where to save the figure; the suffix tells the format.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            If there is no history: the reconstruction was direct, or its iterations are those of a trained network.
        ImportError
            If matplotlib is not installed.
        """
        curves = dict(self._histories())
        if not any(curves.values()):
            raise ValueError(f"{self}: has no history of an objective or a residual to plot")
        longest = max(map(len, curves.values()))
        figure = draw_curves(curves, self.recorded or list(range(1, longest + 1)), repr(self))
        if path is not None:
            figure.savefig(path)
        return figure

    @property
    def stop_reason(self) -> str:
        """Why it ended: "direct" (no iterations), "converged", or "max_iter" where the iterations ran out."""
        if not self.iterations:
            return "direct"
        return "converged" if self.converged else "max_iter"

    def __repr__(self) -> str:
        if not self.iterations:
            return "Info(direct)"
        end = "converged" if self.converged else "not converged"
        last = [f"{name} {history[-1]:.6g}" for name, history in self._histories() if history]
        return f"Info({', '.join([f'{end} after {self.iterations} iterations', *last])})"

    def _histories(self) -> list[tuple[str, list[float]]]:
        return [("objective", self.objective), ("residual", self.residual)]


class Reconstructor(torch.nn.Module, abc.ABC):
    """Maps a measurement and its physics to an image; every kind works with every physics.

    A subclass writes `_reconstruct`.

    Examples
    --------
    >>> import operators
    >>> class Backproject(Reconstructor):
    ...     def _reconstruct(self, y, physics):
    ...         return physics.adjoint(y), Info()
    >>> Backproject()(torch.ones(3), Physics(2 * operators.Identity(3)))
    tensor([2., 2., 2.])
    """

    def __init__(self) -> None:  # written out for its signature, which torch's module does not have
        super().__init__()

    @abc.abstractmethod
    def _reconstruct(self, y: torch.Tensor, physics: Physics) -> tuple[torch.Tensor, Info]:
        """The image of a measurement that is known to be valid, and how it was found."""

    @property
    def name(self) -> str:
        """The reconstructor's name in messages."""
        return type(self).__name__

    @overload
    def __call__(self, y: torch.Tensor, physics: Physics, return_info: Literal[False] = False) -> torch.Tensor: ...
    @overload
    def __call__(self, y: torch.Tensor, physics: Physics, return_info: Literal[True]) -> tuple[torch.Tensor, Info]: ...
    def __call__(self, y: torch.Tensor, physics: Physics, return_info: bool = False) -> Any:
        """Reconstruct an image, as `forward` says; the hooks of a `torch.nn.Module` are called, too."""
        return super().__call__(y, physics, return_info)  # written out for its signature, too

    def forward(
        self, y: torch.Tensor, physics: Physics, return_info: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, Info]:
        """Reconstruct an image.

        Parameters
        ----------
        y : torch.Tensor, shape ``(*batch, *out_shape)``
            The measurement: finite, on the physics' device.
        physics : Physics
            What it was measured with.
        return_info : bool
            Whether to return how it went beside the image.

        Returns
        -------
        image : torch.Tensor, shape ``(*batch, *in_shape)``
            Finite.
        info : Info
            If `return_info` is true. Without, iterations that ended too early give a `ConvergenceWarning`.

        Raises
        ------
        TypeError, ValueError
            If the measurement is not one of this physics: a wrong type or shape, or entries that are not finite.
        FloatingPointError
            If the result is not finite: a diverged reconstruction is never returned as an image.
        """
        if not isinstance(physics, Physics):
            raise TypeError(
                f"{self.name}: takes an invnet.Physics, got {type(physics).__name__}; make one by Physics(A)"
            )
        physics.check_measurement(y)
        image, info = self._image_and_info(y, physics)
        self._check_result(image, y, physics)
        if return_info:
            return image, info
        if not info.converged:
            warnings.warn(f"{self.name}: {info}; return_info tells more", ConvergenceWarning, stacklevel=5)
        return image

    def _image_and_info(self, y: torch.Tensor, physics: Physics) -> tuple[torch.Tensor, Info]:
        """What a subclass gives, without a look at its numbers, which takes time in training."""
        result = self._reconstruct(y, physics)
        if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], Info):
            given = f"({', '.join(map(kind, result))})" if isinstance(result, tuple) else kind(result)
            # A batch of two images alone could be taken for the pair.
            raise TypeError(f"{self.name}: _reconstruct gives a pair such as (image, Info()), but gave {given}")
        return result

    def _check_result(self, image: torch.Tensor, y: torch.Tensor, physics: Physics) -> None:
        batch = y.shape[: y.ndim - len(physics.operator.out_shape)]
        if not isinstance(image, torch.Tensor) or image.shape != (*batch, *physics.operator.in_shape):
            got = tuple(image.shape) if isinstance(image, torch.Tensor) else type(image).__name__
            raise ValueError(
                f"{self.name}: must give an image of shape {(*batch, *physics.operator.in_shape)}, but gave {got}"
            )
        bad = image.numel() - int(torch.isfinite(image.detach()).sum())
        if bad:
            raise FloatingPointError(
                f"{self.name}: the reconstruction has {bad} NaN or infinite of {image.numel()} entries; "
                "it diverged or overflowed (a step too large, or an operator of extreme scale)"
            )
