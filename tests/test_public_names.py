"""Every public name is documented: what it takes and gives, with shapes and units, its errors, source and example."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import invnet
import operators

REFERENCE = "\n".join(page.read_text() for page in (Path(__file__).parent.parent / "docs/reference").glob("*.rst"))
MODULES = [
    "operators",
    "operators.ct",
    "operators.mri",
    "operators.interop",
    "operators.interop.torch_radon",
    "operators.interop.torch_radon.solvers",
    "operators.solve",
    "operators.testing",
    "invnet",
    "invnet.data",
    "invnet.interop",
    "invnet.losses",
    "invnet.metrics",
    "invnet.nets",
    "invnet.noise",
    "invnet.plot",
    "invnet.priors",
    "invnet.recipes",
    "invnet.sensor",
]
# What is its own definition: containers, bookkeeping, the algebra, what only renames. All else has a source.
NEEDS_NO_SOURCE = {
    "adjoint_error", "AnalysisPrior", "AveragePool", "Batch", "block_diag", "cg", "cgne", "ChannelMix",
    "check_operator", "compare", "ct_slice", "denoiser_from_deepinv", "Diagonal", "DirectInverse", "FanBeam",
    "follow", "FourierTransform", "from_astra", "from_deepinv", "from_function", "from_pylops", "from_scipy",
    "from_sigpy", "gaussian_kernel", "GaussianLevels", "hstack", "Identity", "ImageFolder", "Info", "Landweber",
    "LinearOperator", "load_trained", "Loss", "lstsq", "Mask", "Matrix", "MeasurementConsistency", "Measurements",
    "MRIScan", "Noise", "normalize", "OnImages", "Pairs", "ParallelBeam", "Patches", "Physics", "PosteriorInfo",
    "pretrained", "Prior", "psnr", "RadonFanbeam", "read", "RealToComplex", "Recipe", "Reconstructor", "Report",
    "sample_image", "sample_names", "SmoothPrior", "SolverInfo", "Subsample", "to_deepinv", "to_pylops", "to_scipy",
    "to_sigpy", "TomographyScan", "train", "TrainResult", "TransposedConvolution", "Uniform", "Volume", "Volume2D",
    "mr_slice", "vstack", "write", "write_cfl", "write_nifti", "write_numpy", "write_png", "write_tiff", "Zero",
}  # fmt: skip
RAISES_NOTHING = ["AnalysisPrior", "Landweber", "Volume2D", "cg", "cgne"]  # but what they call does
# Where a quantity of such a name is documented, its unit is.
UNITS = {
    r"angles?": "radian",
    r"(source|detector|det)_distance|(detector|det)_spacing|pixel_size|pitch": "unit|pixel|detector",
    r"points|trajectory": "cycles",
    r"times": "second",
    r"voxel_size": "millimetre|mm|unit",
    r"sigma": "data|image|level|pixel|units|noise",
}
HEADING = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.MULTILINE)


def public_objects():
    seen = set()
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            if (inspect.isclass(value) or inspect.isfunction(value)) and id(value) not in seen:
                seen.add(id(value))
                yield pytest.param(name, value, id=f"{module_name}.{name}")


OBJECTS = list(public_objects())
every_name = pytest.mark.parametrize(("name", "value"), OBJECTS)
every_callable = pytest.mark.parametrize(
    ("name", "value"), [p for p in OBJECTS if not (inspect.isclass(p.values[1]) and issubclass(p.values[1], Exception))]
)


def sections(value):
    """The parts of a docstring by their headings."""
    _, *rest = HEADING.split(inspect.getdoc(value) or "")
    return dict(zip(rest[::2], rest[1::2], strict=True))


def entries(section):
    """Each entry of a section: the names that it documents, and its text."""
    for text in re.split(r"^(?=\S)", section, flags=re.MULTILINE):
        if text.strip():
            yield [name.strip().lstrip("*") for name in text.splitlines()[0].split(" : ")[0].split(",")], text


def documented(value):
    """The names of all parameters that a function, or a class and those that it extends, documents."""
    bases = value.__mro__ if inspect.isclass(value) else [value]
    texts = [sections(base).get(part, "") for base in bases for part in ("Parameters", "Attributes")]
    return {name for text in texts for names, _ in entries(text) for name in names}


def test_the_public_names_are_counted():
    assert len(OBJECTS) > 160  # the list above still finds them


@every_name
def test_is_in_the_reference(name, value):
    lines = {line.strip().rpartition(".")[2] for line in REFERENCE.splitlines()}
    assert name in lines, f"docs/reference lists no {name}"


@every_callable
def test_has_a_docstring_with_an_example(name, value):
    assert ">>>" in (inspect.getdoc(value) or ""), f"{name}'s docstring has no example"


@every_callable
def test_parameters_and_results_are_documented(name, value):
    parameters = set(inspect.signature(value).parameters)
    assert parameters <= documented(value), f"{name} does not document {parameters - documented(value)}"
    unknown = {n for names, _ in entries(sections(value).get("Parameters", "")) for n in names} - parameters
    assert not unknown, f"{name} documents {unknown}, which it does not take"
    if inspect.isfunction(value) and inspect.signature(value).return_annotation not in (None, "None"):
        assert "Returns" in sections(value), f"{name} does not say what it returns"


@every_callable
def test_tensors_have_shapes(name, value):
    for part in ("Parameters", "Returns"):
        for names, text in entries(sections(value).get(part, "")):
            if "Tensor" in text.splitlines()[0]:
                assert "shape" in text or re.search(r"``\(.*,", text), f"{name}: no shape of {names}"


@every_callable
def test_quantities_have_units(name, value):
    everywhere = inspect.getdoc(value)
    for part in ("Parameters", "Attributes"):
        for names, text in entries(sections(value).get(part, "")):
            for pattern, unit in UNITS.items():
                if any(re.fullmatch(pattern, n) for n in names):
                    assert re.search(unit, text) or re.search(unit, everywhere), f"{name}: no unit of {names}"


@every_callable
def test_errors_are_documented(name, value):
    takes_something = set(inspect.signature(value).parameters) - {"args", "kwargs"}
    if not dataclasses.is_dataclass(value) and takes_something and name not in RAISES_NOTHING:
        assert "Raises" in sections(value), f"{name} does not say what it raises"


@every_callable
def test_has_its_source(name, value):
    text = inspect.getdoc(value)
    has_source = "References" in sections(value) or re.search(r"\b(19|20)\d\d\b", text) or "ITU-R" in text
    assert has_source or name in NEEDS_NO_SOURCE, f"{name} names no source"


@every_name
def test_public_methods_have_docstrings(name, value):
    for key, member in vars(value).items() if inspect.isclass(value) else ():
        if not key.startswith("_") and (callable(member) or isinstance(member, property)):
            assert inspect.getdoc(getattr(value, key)), f"{name}.{key} has no docstring"


@pytest.mark.parametrize("package", [operators, invnet], ids=lambda package: package.__name__)
def test_every_module_has_a_docstring(package):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        assert importlib.import_module(found.name).__doc__, f"{found.name} has no docstring"
