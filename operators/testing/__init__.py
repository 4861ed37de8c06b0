"""The conformance suite for operators, to aim at one's own: `check_operator` and `adjoint_error`."""

from operators.testing.check import Report, check_operator
from operators.testing.probe import adjoint_error

__all__ = ["Report", "adjoint_error", "check_operator"]
