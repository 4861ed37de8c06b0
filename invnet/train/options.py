"""How to train."""

from __future__ import annotations

import dataclasses
import math

from operators.checks import check_choice, check_number, check_positive, check_positive_int

__all__ = ["TrainOptions"]


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """How `invnet.train` trains, whatever the model, the data and the loss.

    Attributes
    ----------
    steps : int
        Steps of the optimiser in all.
    batch_size : int
        Samples of a step, over all processes.
    lr : float
        The learning rate at its highest, of Adam.
    warmup : int
        Steps over which the learning rate rises to that.
    schedule : {"cosine", "constant"}
        Whether it then falls along half a cosine [1]_, or stays.
    lr_end : float
        The share of it that is left at the end of a cosine, in [0, 1].
    clip : float, optional
        The largest norm of the gradient, which is scaled down to that.
    ema : float, optional
        The weight of the past in a running mean of the weights, in [0, 1), such as 0.999. That mean is then validated,
        and is what the model has in the end. In its first steps, the weight of the past is smaller.
    precision : {"float32", "bfloat16"}
        What networks compute in; their weights are kept as they are, and operators and losses are not touched. In
        16 bits, networks are several times as fast on processors that have arithmetic for it. Validation is always
        in the precision of the weights.
    channels_last : bool
        Whether the weights of two- and three-dimensional convolutions are laid out with the channels last, which is
        faster nearly everywhere.
    compile : bool
        Whether networks are compiled, which takes a minute at first.
    validate_every : int
        Steps between two validations, if there are data for it; there is always one after the last step.
    patience : int, optional
        Training ends early when so many validations in a row were no better than the best.
    data_range : float
        The range of the images' values, for the PSNR of validations.
    checkpoint_every : int
        Steps between two checkpoints, if there is a path for them; there is always one after the last step.
    workers : int
        Processes that prepare data beside the one that trains. The data do not depend on it.
    seed : int
        Of all randomness, at least zero.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    TypeError, ValueError
        If one is out of its range.

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Examples
    --------
    >>> TrainOptions(steps=1000, lr=2e-4, ema=0.999).learning_rate_factor(999) < 1e-5
    True
    """

    steps: int = 10_000
    batch_size: int = 32
    lr: float = 1e-3
    warmup: int = 0
    schedule: str = "cosine"
    lr_end: float = 0.0
    clip: float | None = None
    ema: float | None = None
    precision: str = "float32"
    channels_last: bool = True
    compile: bool = False
    validate_every: int = 1000
    patience: int | None = None
    data_range: float = 1.0
    checkpoint_every: int = 1000
    workers: int = 0
    seed: int = 0
    progress: bool = True

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "validate_every", "checkpoint_every"):
            check_positive_int(getattr(self, name), "TrainOptions", name)
        for name in ("warmup", "workers", "seed"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"TrainOptions: {name} takes an integer, got {value!r}")
            if value < 0:
                raise ValueError(f"TrainOptions: {name} must be at least 0, got {value}")
        for name in ("lr", "data_range", "clip"):
            value = getattr(self, name)
            if value is not None:
                check_positive(value, "TrainOptions", name)
        if not 0 <= check_number(self.lr_end, "TrainOptions", "lr_end") <= 1:
            raise ValueError(f"TrainOptions: lr_end must be in [0, 1], got {self.lr_end}")
        if self.ema is not None and not 0 <= check_number(self.ema, "TrainOptions", "ema") < 1:
            raise ValueError(f"TrainOptions: ema must be in [0, 1), got {self.ema}")
        if self.patience is not None:
            check_positive_int(self.patience, "TrainOptions", "patience")
        check_choice(self.schedule, ("cosine", "constant"), "TrainOptions", "schedule")
        check_choice(self.precision, ("float32", "bfloat16"), "TrainOptions", "precision")

    def learning_rate_factor(self, step: int) -> float:
        """The share of the highest learning rate at a step, counted from zero."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.schedule == "constant":
            return 1.0
        done = (step - self.warmup) / max(self.steps - self.warmup, 1)
        return self.lr_end + (1 - self.lr_end) * 0.5 * (1 + math.cos(math.pi * done))
