"""Training: one loop for every model, data and loss."""

from invnet.train.loop import train
from invnet.train.options import TrainOptions
from invnet.train.result import TrainResult

__all__ = ["TrainOptions", "TrainResult", "train"]
