"""Compiled code: when it is used, and where it is kept."""

import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import operators
from operators import Convolution
from operators.plain import is_plain

RUN = """
import torch
from operators import Convolution
A, x = Convolution(torch.tensor([1.0, 2.0, 4.0]), 4, padding="same"), torch.tensor([0.0, 1.0, 0.0, 0.0])
assert A(x).tolist() == [1, 2, 4, 0], A(x)
from operators.kernels import interpolate, interpolate3d, joseph, joseph3d, stencil, toeplitz
kernels = interpolate.gather_views, interpolate3d.gather_views, joseph.project_one, joseph3d.project_volume
print(*{type(kernel._cache).__name__ for kernel in (*kernels, stencil.correlate, toeplitz.filter_images)})
"""


def run(folder, **environment):
    """The standard output of a fresh interpreter that runs `RUN` on the package in a folder."""
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder), **environment}
    done = subprocess.run([sys.executable, "-c", RUN], cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_nowhere_to_keep_compiled_code(tmp_path):
    """Beside the sources, in the user's directory and where the user said: none of them can be written."""
    shutil.copytree(
        Path(operators.__file__).parent, tmp_path / "operators", ignore=shutil.ignore_patterns("__pycache__")
    )
    (tmp_path / "operators" / "kernels" / "__pycache__").write_text("not a directory: also root can't write into it")
    nowhere = "/dev/null/nowhere"
    assert run(tmp_path, HOME=nowhere, XDG_CACHE_HOME=nowhere, NUMBA_CACHE_DIR=nowhere) == ["NullCache"]
    kept = tmp_path / "kept"
    assert run(tmp_path, HOME=nowhere, XDG_CACHE_HOME=nowhere, NUMBA_CACHE_DIR=str(kept)) == ["FunctionCache"]
    assert any(kept.rglob("*.nbi"))


# ---------------------------------------------------------------- when torch looks on


class Seen(TorchDispatchMode):
    """Notes the names of all that torch computes."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(function.name())
        return function(*args, **(kwargs or {}))


def test_plain_is_what_torch_only_computes():
    x, learnable = torch.ones(3), torch.nn.Parameter(torch.ones(3))
    assert is_plain(x, torch.ones(2, dtype=torch.float64))
    assert not is_plain(x, learnable)
    with torch.no_grad():
        assert is_plain(x, learnable)
    assert not is_plain(torch.ones(3, device="meta"))
    assert not is_plain(torch.ones(3, dtype=torch.complex64).conj())
    assert not is_plain(torch.ones(3, dtype=torch.complex64).conj().imag), "it is lazily negated"
    seen = []
    torch.func.vmap(lambda row: (seen.append(is_plain(row)), row)[1])(torch.ones(2, 3))
    torch.func.grad(lambda row: (seen.append(is_plain(row)), row.sum())[1])(x)
    torch.func.jvp(lambda row: (seen.append(is_plain(row)), row)[1], (x,), (x,))
    with Seen():
        seen.append(is_plain(x))
    assert seen == [False] * 4
    assert is_plain(x)


def test_modes_of_torch_see_the_operator():
    A, x = Convolution(torch.ones(3), 8), torch.arange(8.0)
    with Seen() as seen:
        A.adjoint(A(x))
    assert "operators::stencil" in seen.names
    assert "operators::stencil_transpose" in seen.names
    with torch.device("meta"):  # where new tensors go is no matter of the operator's
        assert A(x).device.type == "cpu"
    shapes_alone = torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True)
    with shapes_alone:
        assert A(torch.ones(4, 8)).shape == (4, 6)


@pytest.mark.filterwarnings("ignore")  # tracing warns of all that Python decides, and that it is deprecated
def test_a_traced_operator_is_no_constant():
    A = Convolution(torch.ones(3), 8)
    traced = torch.jit.trace(A, torch.zeros(8), check_trace=False)
    assert torch.equal(traced(torch.arange(8.0)), A(torch.arange(8.0)))


@pytest.mark.parametrize("layout", ["strided", "expanded", "negated"])
def test_any_memory_layout(layout):
    kernel, x = torch.rand(3, 5), torch.rand(4, 9, 7)
    if layout == "strided":
        x, kernel = x.mT.contiguous().mT, kernel.T.contiguous().T
    elif layout == "expanded":
        x, kernel = x[:1].expand(4, 9, 7), kernel[:, :1].expand(3, 5)
    else:
        x, kernel = (torch.complex(t, -t).conj().imag for t in (x, kernel))
    A = Convolution(kernel, (9, 7), mode="correlation")
    expected = F.conv2d(x[:, None], kernel[None, None])[:, 0]
    assert torch.allclose(A(x), expected, atol=1e-6)


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_training_a_kernel_equals_torch(dtype, dims):
    """Value and gradients of image and kernel, of a size at which several threads are at work."""
    shape, size = ((40_000,), (11,)) if dims == 1 else ((150, 190), (5, 7))
    generator = torch.Generator().manual_seed(0)
    kernel = torch.nn.Parameter(torch.rand(size, dtype=dtype, generator=generator))
    x = torch.rand(3, *shape, dtype=dtype, generator=generator).requires_grad_()
    A = Convolution(kernel, shape, mode="correlation", method="direct")
    torch_conv = F.conv1d if dims == 1 else F.conv2d
    y = torch.rand(3, *A.out_shape, dtype=dtype, generator=generator)
    got = torch.autograd.grad((A(x) * y).sum(), (x, kernel))
    other = copy.deepcopy(kernel).double().requires_grad_(), x.detach().double().requires_grad_()
    expected = torch_conv(other[1][:, None], other[0][None, None])[:, 0]
    assert torch.allclose(A(x).double(), expected, rtol=1e-5 if dtype == torch.float32 else 1e-12)
    gradients = torch.autograd.grad((expected * y).sum(), other[::-1])
    for mine, theirs in zip(got, gradients, strict=True):
        assert torch.allclose(mine.double(), theirs, rtol=1e-5 if dtype == torch.float32 else 1e-11)


def test_numbers_that_are_none_stay_where_they_are():
    """A kernel's entries meet those of the image that they belong to, and no others."""
    x = torch.zeros(9, 9)
    x[4, 4] = torch.nan
    for size in range(1, 8):
        y = Convolution(torch.ones(size, size), (9, 9), padding="full", method="direct")(x)
        assert torch.equal(y.isnan().nonzero().amin(0), torch.tensor([4, 4]))
        assert int(y.isnan().sum()) == size**2
