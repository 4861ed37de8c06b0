"""The iterative algorithms that reconstructors and priors share."""

from invnet.optimize.dual_prox import dual_prox
from invnet.optimize.fista import fista
from invnet.optimize.primal_dual import DualTerm, primal_dual
from invnet.optimize.progress import Progress

__all__ = ["DualTerm", "Progress", "dual_prox", "fista", "primal_dual"]
