"""The iterative algorithms that reconstructors share: FISTA and a primal-dual method."""

from invnet.optimize.fista import fista
from invnet.optimize.primal_dual import DualTerm, primal_dual
from invnet.optimize.progress import Progress

__all__ = ["DualTerm", "Progress", "fista", "primal_dual"]
