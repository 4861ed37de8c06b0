"""To and from other libraries: scipy, SigPy, PyLops; `operators.interop.torch_radon` is torch-radon's interface."""

from operators.interop.pylops import from_pylops, to_pylops
from operators.interop.scipy import from_scipy, to_scipy
from operators.interop.sigpy import from_sigpy, to_sigpy

__all__ = ["from_pylops", "from_scipy", "from_sigpy", "to_pylops", "to_scipy", "to_sigpy"]
