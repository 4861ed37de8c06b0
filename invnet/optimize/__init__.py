"""The iterative algorithms that reconstructors and priors share."""

from invnet.optimize.admm import admm
from invnet.optimize.descent import descend
from invnet.optimize.dual_prox import dual_prox
from invnet.optimize.fista import fista
from invnet.optimize.primal_dual import DualTerm, primal_dual
from invnet.optimize.progress import Progress
from invnet.optimize.tv_prox import tv_prox

__all__ = ["DualTerm", "Progress", "admm", "descend", "dual_prox", "fista", "primal_dual", "tv_prox"]
