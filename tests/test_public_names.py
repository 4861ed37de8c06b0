"""Every public name is documented: in its docstring, with an example, and in the reference."""

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import invnet
import operators

REFERENCE = "\n".join(page.read_text() for page in (Path(__file__).parent.parent / "docs/reference").glob("*.rst"))
MODULES = [
    "operators",
    "operators.mri",
    "operators.interop",
    "operators.interop.torch_radon",
    "operators.interop.torch_radon.solvers",
    "operators.solve",
    "operators.testing",
    "invnet",
    "invnet.noise",
    "invnet.sensor",
]
MODULES += ["invnet.interop", "invnet.priors", "invnet.metrics", "invnet.plot", "invnet.data", "invnet.nets"]
MODULES += ["invnet.losses"]


def public_objects():
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                yield pytest.param(name, value, id=f"{module_name}.{name}")


@pytest.mark.parametrize(("name", "value"), list(public_objects()))
def test_is_in_the_reference(name, value):
    lines = {line.strip().rpartition(".")[2] for line in REFERENCE.splitlines()}
    assert name in lines, f"docs/reference lists no {name}"


@pytest.mark.parametrize(("name", "value"), list(public_objects()))
def test_has_a_docstring_with_an_example(name, value):
    text = inspect.getdoc(value) or ""
    assert text, f"{name} has no docstring"
    if not issubclass(value, Exception | Warning) if inspect.isclass(value) else True:
        assert ">>>" in text, f"{name}'s docstring has no example"


@pytest.mark.parametrize("package", [operators, invnet], ids=lambda package: package.__name__)
def test_every_module_has_a_docstring(package):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        assert importlib.import_module(found.name).__doc__, f"{found.name} has no docstring"
