"""What training makes small, with images or without."""

from invnet.losses.adversarial import Adversarial
from invnet.losses.base import Batch, Loss
from invnet.losses.equivariance import Equivariance
from invnet.losses.evidence import EvidenceBound
from invnet.losses.measured import MeasurementConsistency, Noise2Noise
from invnet.losses.splitting import DataSplitting
from invnet.losses.supervised import Supervised
from invnet.losses.sure import SURE

__all__ = [
    "SURE",
    "Adversarial",
    "Batch",
    "DataSplitting",
    "Equivariance",
    "EvidenceBound",
    "Loss",
    "MeasurementConsistency",
    "Noise2Noise",
    "Supervised",
]
