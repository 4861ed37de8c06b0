"""Kernels are launched on the GPU that holds the data, whichever is the current one."""

import contextlib
import types

import pytest
import torch

import operators
from operators.linear_pair import Fixed, linear_pair

two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there are no two GPUs")


def test_the_data_say_which_gpu_is_current(monkeypatch):
    """With stand-ins for the device and the data: there need be no GPU."""
    current = ["cuda:0"]

    @contextlib.contextmanager
    def device(wanted):
        current.append(str(wanted))
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "device", device)
    launched = []
    first, second = linear_pair(
        "test_device_guard",
        lambda x, fixed: launched.append(("forward", current[-1])),
        lambda y, fixed: launched.append(("transpose", current[-1])),
    )
    data = types.SimpleNamespace(is_cuda=True, device=torch.device("cuda:1"))
    fixed = Fixed([], [], [1], [1])
    first.kernel(data, fixed)
    second.kernel(data, fixed)
    first.kernel(torch.zeros(1), fixed)  # on the CPU nothing is switched
    assert launched == [("forward", "cuda:1"), ("transpose", "cuda:1"), ("forward", "cuda:0")]
    assert current == ["cuda:0"]


@pytest.mark.gpu
@two_gpus
@pytest.mark.parametrize(
    "operator",
    [
        operators.FanBeam((40, 36), torch.linspace(0, 6, 20), 60, 90.0, 60.0),
        operators.ConeBeam((6, 20, 18), torch.linspace(0, 6, 9), (12, 50), 60.0, 40.0),
    ],
    ids=lambda A: A.name,
)
def test_on_the_second_gpu_while_the_first_is_current(operator):
    x = torch.rand(3, *operator.in_shape, generator=torch.Generator().manual_seed(0))
    sinogram, back = operator(x), operator.adjoint(operator(x))
    second = torch.device("cuda:1")
    there = operator.to(second)
    with torch.cuda.device(0):
        measured = there(x.to(second))
        torch.testing.assert_close(measured.cpu(), sinogram, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(there.adjoint(measured).cpu(), back, atol=1e-2, rtol=1e-4)
        assert measured.device == second
        assert torch.cuda.current_device() == 0
