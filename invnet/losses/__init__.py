"""What training makes small, with images or without."""

from invnet.losses.base import Batch, Loss
from invnet.losses.supervised import Supervised

__all__ = ["Batch", "Loss", "Supervised"]
