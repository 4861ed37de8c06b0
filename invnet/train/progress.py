"""What a run shows of itself."""

from __future__ import annotations

import math
import os
from types import TracebackType

from tqdm import tqdm

from operators.extras import require

__all__ = ["Display"]


class Display:
    """A progress bar with images per second, and curves for TensorBoard.

    Parameters
    ----------
    images, done : int
        How many images the run takes in all, and how many of them were before.
    bar : bool
        Whether there is a bar.
    log : path-like, optional
        The folder of TensorBoard's files; without, there are none.

    Raises
    ------
    ImportError
        If curves are asked for and TensorBoard is not installed.
    """

    def __init__(self, images: int, done: int, bar: bool, log: str | os.PathLike[str] | None) -> None:
        self._bar = tqdm(total=images, initial=done, desc="train", unit=" images", unit_scale=True, disable=not bar)
        self._writer = None
        if log is not None:
            require("tensorboard", extra="train")
            self._writer = require("torch.utils.tensorboard", extra="train").SummaryWriter(os.fspath(log))
        self._shown: dict[str, str] = {}

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        if self._writer is not None:
            self._writer.close()

    def advance(self, images: int) -> None:
        """So many images more are done."""
        self._bar.update(images)

    def show(self, step: int, **values: float) -> None:
        """The values of some quantities after a step."""
        self._shown |= {name: f"{value:.4g}" for name, value in values.items() if math.isfinite(value)}
        self._bar.set_postfix(self._shown, refresh=False)
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)
