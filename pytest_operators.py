"""A plugin of pytest: the fixture `check_operator`, which runs the conformance suite on an operator in one line.

It is found by itself once the distribution is installed, and is a module of its own so that pytest starts without
torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

__all__ = ["check_operator"]


@pytest.fixture
def check_operator() -> Callable[..., Any]:
    """`operators.testing.check_operator`, also where a test-suite turns warnings into errors.

    Examples
    --------
    >>> def test_blur(check_operator):
    ...     check_operator(MyBlur(sigma=2.0))
    """
    from operators.testing import check_operator as check

    def checked(operator: Any, *, seed: int = 0) -> Any:
        with warnings.catch_warnings():
            # torch's own: by its forward mode, and by compressed sparse tensors.
            warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
            return check(operator, seed=seed)

    return checked
