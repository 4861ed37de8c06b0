"""One part of a measurement predicts the other."""

from __future__ import annotations

import torch

from invnet.losses.base import Batch, Loss, Model
from invnet.losses.distances import Distance, as_distance
from invnet.physics import Physics
from operators import LinearOperator, Mask
from operators.checks import check_number
from operators.mri import CartesianMRI

__all__ = ["DataSplitting"]


class DataSplitting(Loss):
    r"""The model sees one part of the measurement and is compared with the other.

    In each step, chance holds out a share of the entries, :math:`M_2`; with the rest, :math:`M_1`, the loss is

    .. math:: d\bigl(M_2 A f(M_1 y, M_1 A),\, M_2 y\bigr).

    Where the noise of the entries is independent, the square distance is in expectation that from the exact data, up to
    a constant: what the model learns is to predict them from the others, as `Supervised` would from the same input. For
    Cartesian magnetic resonance it is SSDU [1]_, and the parts are those of the sampled lines or points; for the
    identity it is Noise2Self [2]_, with zeros in the place of what is held out.

    What the model makes of the entries that it sees is not learned where A takes them apart, pixel by pixel (a mask,
    the identity): add `SURE` there, or reconstruct with some of them hidden, as in training.

    Parameters
    ----------
    held_out : float
        The share of the entries that the model does not see, between 0 and 1.
    distance : {"l2", "l1", "l1-l2"} or callable
        As of `Supervised`, of the held-out entries; "l1-l2" is SSDU's, the sum of both norms of the difference, each
        divided by that of the data.
    always : torch.Tensor, optional
        Boolean, of the entries that the model always sees, such as the centre of k-space; of the shape of the mask
        where the operator is a `operators.Mask` or `operators.mri.CartesianMRI`, else of the measurement's.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; in training, if there is no physics, or too few entries to hold any out.

    References
    ----------
    .. [1] B. Yaman, S. A. H. Hosseini, S. Moeller, J. Ellermann, K. Uğurbil and M. Akçakaya, "Self-supervised learning
       of physics-guided reconstruction neural networks without fully sampled reference data", Magn. Reson. Med. 84,
       2020.
    .. [2] J. Batson and L. Royer, "Noise2Self: blind denoising by self-supervision", ICML 2019.

    Examples
    --------
    >>> import invnet, operators
    >>> from invnet.losses import Batch
    >>> batch = Batch(y=torch.ones(5, 8), physics=invnet.Physics(operators.Identity(8)))
    >>> loss = DataSplitting(0.25)
    >>> loss(lambda y, physics: y, batch, torch.Generator())  # two of the eight entries are zero and should be one
    tensor(1.)
    """

    always: torch.Tensor | None

    def __init__(
        self, held_out: float = 0.4, distance: str | Distance = "l2", always: torch.Tensor | None = None
    ) -> None:
        super().__init__()
        if not 0 < check_number(held_out, self.name, "held_out") < 1:
            raise ValueError(f"{self.name}: held_out must be between 0 and 1, got {held_out}")
        if always is not None and (not isinstance(always, torch.Tensor) or always.dtype != torch.bool):
            kind = always.dtype if isinstance(always, torch.Tensor) else type(always).__name__
            raise TypeError(f"{self.name}: always takes a boolean tensor, got {kind}")
        self.held_out = held_out
        self.distance = as_distance(distance, self.name)
        self.register_buffer("always", always, persistent=False)

    def forward(self, model: Model, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        """The loss of a model on a batch."""
        physics = self._physics(batch)
        held = self._held(physics.operator, generator)
        seen = Physics(_thinned(physics.operator, ~held), physics.noise, physics.sensor)
        images = model(batch.y * ~held, seen)
        where = held.expand(physics.operator.out_shape)
        return self.distance(physics.clean(images)[..., where], batch.y[..., where])

    def _held(self, operator: LinearOperator, generator: torch.Generator) -> torch.Tensor:
        """The entries held out, of the shape of the operator's mask or of the measurement."""
        free = _sampled(operator, generator.device)
        if self.always is not None:
            if self.always.shape != free.shape:
                raise ValueError(
                    f"{self.name}: always has the shape {tuple(free.shape)} of the samples of {operator.name}, got "
                    f"{tuple(self.always.shape)}"
                )
            free = free & ~self.always
        places = free.flatten().nonzero()[:, 0]
        count = round(self.held_out * len(places))
        if not 0 < count < len(places):
            raise ValueError(f"{self.name}: can't hold out {self.held_out:g} of {len(places)} samples")
        chosen = places[torch.randperm(len(places), generator=generator, device=generator.device)[:count]]
        held = torch.zeros(free.numel(), dtype=torch.bool, device=free.device)
        held[chosen] = True
        return held.reshape(free.shape)


def _sampled(operator: LinearOperator, device: torch.device) -> torch.Tensor:
    """The entries of the data that carry something, where the operator tells; else all."""
    if isinstance(operator, Mask | CartesianMRI):
        return operator.mask.detach() != 0
    return torch.ones(operator.out_shape, dtype=torch.bool, device=device)


def _thinned(operator: LinearOperator, keep: torch.Tensor) -> LinearOperator:
    """The operator with fewer samples, in the form that keeps its structure."""
    if isinstance(operator, CartesianMRI):
        return CartesianMRI(operator.mask * keep, operator.maps, operator.spatial)
    if isinstance(operator, Mask):
        return Mask(operator.mask & keep)
    return Mask(keep) @ operator
