"""``invnet check`` on operators of users."""

import pytest
from click.testing import CliRunner

from invnet_cli.app import main

OPERATORS = '''
import operators

class Fold(operators.LinearOperator):
    """Fold a signal in half and add the halves."""
    def __init__(self, length=8):
        super().__init__(length, length // 2)
    def _forward(self, x):
        left, right = x.chunk(2, dim=-1)
        return left + right.flip(-1)

class Wrong(Fold):
    """The same with an adjoint of another scale."""
    def _adjoint(self, y):
        import torch
        return 1.01 * torch.cat([y, y.flip(-1)], dim=-1)

operator = operators.Subsample((5, 4), 2)
def make():
    return operators.Identity(3)
class Needs(Fold):
    def __init__(self, length):
        super().__init__(length)
number = 3
def none():
    return None
'''


@pytest.fixture
def check(tmp_path, monkeypatch):
    (tmp_path / "users_own.py").write_text(OPERATORS)
    monkeypatch.chdir(tmp_path)
    return lambda target: CliRunner().invoke(main, ["check", target])


@pytest.mark.parametrize("name", ["Fold", "operator", "make"])
@pytest.mark.parametrize("place", ["users_own", "users_own.py"])
def test_a_table_of_errors(check, name, place):
    result = check(f"{place}:{name}")
    assert result.exit_code == 0, result.output
    assert "properties hold" in result.output
    assert "adjoint  " in result.output


def test_an_operator_of_the_library(check):
    result = check("invnet_cli.pictures:nothing")
    assert result.exit_code == 1
    assert "invnet_cli.pictures has no 'nothing'" in result.output


def test_violations(check):
    result = check("users_own:Wrong")
    assert result.exit_code == 1
    assert "violates" in result.output
    assert "- adjoint:" in result.output


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("users_own:nothing", "users_own has no 'nothing'"),
        ("no_such_module:A", "there is no module 'no_such_module'"),
        ("nothing.py:A", "nothing.py: there is no such file"),
        ("users_own:Needs", "can't be called without arguments"),
        ("users_own:number", "is not a LinearOperator, but int"),
        ("users_own:none", "gives no LinearOperator, but NoneType"),
    ],
)
def test_what_is_no_operator(check, target, words):
    result = check(target)
    assert result.exit_code == 1
    assert words in result.output
    assert result.output.count("\n") == 1
