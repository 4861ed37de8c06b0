"""Training: one loop for every model, data and loss."""

from invnet.train.loop import train
from invnet.train.options import TrainOptions
from invnet.train.result import TrainResult
from invnet.train.trained import load_trained

__all__ = ["TrainOptions", "TrainResult", "load_trained", "train"]
