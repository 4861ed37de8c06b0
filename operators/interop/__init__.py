"""To and from other libraries: arrays, scipy, SigPy, PyLops; and `torch_radon`, which is torch-radon's interface."""

from operators.interop.array_api import from_array, to_array
from operators.interop.pylops import from_pylops, to_pylops
from operators.interop.scipy import from_scipy, to_scipy
from operators.interop.sigpy import from_sigpy, to_sigpy

__all__ = [
    "from_array",
    "from_pylops",
    "from_scipy",
    "from_sigpy",
    "to_array",
    "to_pylops",
    "to_scipy",
    "to_sigpy",
]
