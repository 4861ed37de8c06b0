"""What a loss is, and what it is given."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable

import torch

from invnet.physics import Physics
from operators.checks import check_number

__all__ = ["Batch", "Loss", "Model"]

Model = Callable[[torch.Tensor, Physics | None], torch.Tensor]  # from measurements and their physics to images


@dataclasses.dataclass(frozen=True)
class Batch:
    """Some samples to train with; the first dimension of every tensor counts them.

    Attributes
    ----------
    y : torch.Tensor, shape ``(batch, *out_shape)``
        The measurements.
    physics : Physics or None
        What they were measured with, if that is known.
    x : torch.Tensor or None, shape ``(batch, *in_shape)``
        The images, if they are known.
    second : torch.Tensor or None, shape ``(batch, *out_shape)``
        Second, independent measurements of the same images, if there are.

    Examples
    --------
    >>> Batch(y=torch.zeros(5, 8, 8)).known
    ['y']
    """

    y: torch.Tensor
    physics: Physics | None = None
    x: torch.Tensor | None = None
    second: torch.Tensor | None = None

    @property
    def known(self) -> list[str]:
        """The names of what is known."""
        return [field.name for field in dataclasses.fields(self) if getattr(self, field.name) is not None]


class Loss(torch.nn.Module, abc.ABC):
    """What training makes small: a number for a model on a batch.

    A subclass writes `forward`. What it keeps between the steps (parameters, buffers) goes into the checkpoints.

    Examples
    --------
    >>> class Darkness(Loss):
    ...     def forward(self, model, batch, generator):
    ...         return model(batch.y, batch.physics).mean()
    >>> loss, batch = Darkness(), Batch(y=torch.ones(5, 8, 8))
    >>> loss(lambda y, physics: 2 * y, batch, torch.Generator())
    tensor(2.)
    >>> (loss + 0.5 * loss)(lambda y, physics: 2 * y, batch, torch.Generator())
    tensor(3.)
    """

    def __init__(self) -> None:  # written out for its signature, which torch's lacks
        super().__init__()

    @abc.abstractmethod
    def forward(self, model: Model, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        """The loss of a model on a batch.

        Parameters
        ----------
        model : callable
            ``model(y, physics)``, the images.
        batch : Batch
        generator : torch.Generator
            The only source of randomness, on the device of the batch.

        Returns
        -------
        torch.Tensor, shape ``()``
            The mean over the samples.

        Raises
        ------
        ValueError
            If the batch lacks what the loss needs.
        """

    @property
    def name(self) -> str:
        """The loss's name in messages."""
        return type(self).__name__

    def __add__(self, other: Loss) -> Loss:
        """The sum of two losses."""
        return Sum([*_terms(self), *_terms(other)]) if isinstance(other, Loss) else NotImplemented

    def __rmul__(self, factor: float) -> Loss:
        """A number times the loss."""
        weight = check_number(factor, self.name, "a factor")
        return Sum([(weight * own, term) for own, term in _terms(self)])

    __mul__ = __rmul__

    def _images(self, batch: Batch) -> torch.Tensor:
        if batch.x is None:
            raise ValueError(
                f"{self.name}: needs the images x, but the batch has {', '.join(batch.known)} alone; for measurements "
                "without images there are the self-supervised losses, such as invnet.losses.SURE"
            )
        return batch.x

    def _physics(self, batch: Batch) -> Physics:
        if batch.physics is None:
            raise ValueError(f"{self.name}: needs the physics of the measurements; give it as train(..., physics=...)")
        return batch.physics


class Sum(Loss):
    """A sum of losses with weights, as ``a + 0.1 * b`` makes it."""

    def __init__(self, terms: list[tuple[float, Loss]]) -> None:
        super().__init__()
        self.weights = [weight for weight, _ in terms]
        self.terms = torch.nn.ModuleList(term for _, term in terms)

    @property
    def name(self) -> str:
        """The terms with their weights."""
        return " + ".join(f"{weight:g} {term.name}" for weight, term in _terms(self))

    def forward(self, model: Model, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        """The loss of a model on a batch."""
        once = _once(model)
        return torch.stack([weight * term(once, batch, generator) for weight, term in _terms(self)]).sum()


def _terms(loss: Loss) -> list[tuple[float, Loss]]:
    if not isinstance(loss, Sum):
        return [(1.0, loss)]
    return list(zip(loss.weights, loss.terms, strict=True))  # type: ignore[arg-type]


def _once(model: Model) -> Model:
    """The model, which remembers its result for the very same tensor: terms of a sum share the reconstruction."""
    results: dict[tuple[int, int], tuple] = {}

    def remembered(y: torch.Tensor, physics: Physics | None) -> torch.Tensor:
        key = id(y), id(physics)
        if key not in results:
            results[key] = (model(y, physics), y, physics)  # with both, whose identities are not given to others so
        return results[key][0]

    return remembered
