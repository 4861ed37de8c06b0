"""The plugin of pytest, in test-suites as users have them."""

import tomllib
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parent.parent

OPERATORS = """
    import torch
    from operators import LinearOperator

    class Roll(LinearOperator):
        def _forward(self, x):
            return x.roll(1, -1)

    class Wrong(Roll):
        def _adjoint(self, y):
            return y.roll(1, -1)

        def extra_repr(self):
            return "with a wrong adjoint"
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    """Another test-suite, with the plugin as if it were found by its entry point."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(code, *options):
        pytester.makepyfile(mine=OPERATORS, test_mine=code)
        return pytester.runpytest_subprocess("-p", "pytest_operators", "-p", "no:cacheprovider", *options)

    return run


def test_one_line_checks_an_operator(suite):
    result = suite(
        """
        import pytest
        from mine import Roll, Wrong

        def test_right(check_operator):
            report = check_operator(Roll(4, 4))
            assert "adjoint" in report.passed

        @pytest.mark.parametrize("kind", [Roll, Wrong])
        def test_each(check_operator, kind):
            check_operator(kind(4, 4), seed=1)
        """
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*AssertionError: Wrong((4,) -> (4,), with a wrong adjoint) violates*"])
    result.stdout.fnmatch_lines(["*adjoint: in torch.float32, <A x, y> / (|A x| |y|) differs from*"])


def test_a_suite_that_turns_warnings_into_errors(suite):
    code = "from mine import Roll\n\n\ndef test_it(check_operator):\n    check_operator(Roll(3, 3))\n"
    suite(code, "-W", "error").assert_outcomes(passed=1)


def test_pytest_starts_without_torch(suite):
    result = suite(
        """
        import sys

        def test_it():
            assert "torch" not in sys.modules and "operators" not in sys.modules
        """
    )
    result.assert_outcomes(passed=1)


def test_the_fixture_is_listed_with_its_words(suite):
    result = suite("", "--fixtures")
    result.stdout.fnmatch_lines(["check_operator*", "*operators.testing.check_operator*"])


def test_it_is_declared_to_pytest():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert declared["project"]["entry-points"]["pytest11"] == {"pytest_operators": "pytest_operators"}
    assert declared["tool"]["setuptools"]["py-modules"] == ["pytest_operators"]
