"""The reconstructor interface and its simplest kind."""

import inspect

import numpy as np
import pytest
import torch

import operators
from invnet import DirectInverse, Info, Physics, Reconstructor
from invnet.noise import Gaussian
from operators.solve import ConvergenceWarning


class Constant(Reconstructor):
    """Returns what it was made with."""

    def __init__(self, image):
        super().__init__()
        self.image = image

    def _reconstruct(self, y, physics):
        return self.image, Info(iterations=3, converged=False, objective=[3.0, 2.0, 1.5])


@pytest.mark.parametrize("batch", [(), (2,), (2, 3), (0,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64])
def test_it_is_the_physics_direct_inverse(batch, dtype):
    weights = torch.tensor([1.0, 4.0, 0.5])
    physics = Physics(operators.Diagonal(weights), Gaussian(0.1))
    y = torch.randn(*batch, 3, dtype=dtype, generator=torch.Generator().manual_seed(0))
    image = DirectInverse()(y, physics)
    assert image.dtype == dtype
    torch.testing.assert_close(image, (y / weights).to(dtype))


def test_information_on_request():
    physics = Physics(operators.Identity(3))
    image, info = DirectInverse()(torch.ones(3), physics, return_info=True)
    assert torch.equal(image, torch.ones(3))
    assert info == Info(iterations=0, converged=True, objective=[], residual=[])
    assert repr(info) == "Info(direct)"
    _, info = Constant(torch.zeros(3))(torch.ones(3), physics, return_info=True)
    assert repr(info) == "Info(not converged after 3 iterations, objective 1.5)"


def test_gradients_flow_to_measurement_and_operator():
    weights = torch.nn.Parameter(torch.tensor([2.0, 4.0]))
    y = torch.tensor([1.0, 1.0], requires_grad=True)
    DirectInverse()(y, Physics(operators.Diagonal(weights))).sum().backward()
    torch.testing.assert_close(y.grad, torch.tensor([0.5, 0.25]))
    torch.testing.assert_close(weights.grad, torch.tensor([-0.25, -0.0625]))


def test_a_reconstructor_must_say_how():
    with pytest.raises(TypeError, match="_reconstruct"):
        Reconstructor()


@pytest.mark.parametrize(
    ("y", "error", "words"),
    [
        (torch.tensor([1.0, torch.nan, torch.inf]), ValueError, "must be finite, got 2 NaN or infinite of 3 entries"),
        (torch.ones(4), ValueError, r"takes a measurement of shape \(\.\.\., 3\), as Identity gives it, got \(4,\)"),
        (torch.ones(3, dtype=torch.int32), TypeError, "floating-point or complex tensor, got torch.int32"),
        (np.ones(3), TypeError, "takes a torch.Tensor as a measurement, got ndarray"),
    ],
)
def test_bad_measurements(y, error, words):
    with pytest.raises(error, match=words):
        DirectInverse()(y, Physics(operators.Identity(3)))


def test_an_operator_is_no_physics():
    with pytest.raises(
        TypeError, match=r"DirectInverse: takes an invnet.Physics, got Identity; make one by Physics\(A"
    ):
        DirectInverse()(torch.ones(3), operators.Identity(3))


def test_a_non_finite_result_is_never_returned():
    image = torch.tensor([1.0, torch.nan, torch.inf])
    with pytest.raises(FloatingPointError, match="Constant: the reconstruction has 2 NaN or infinite of 3 entries"):
        Constant(image)(torch.ones(3), Physics(operators.Identity(3)))


def test_an_overflow_is_noticed():
    tiny = torch.tensor([1e-30, 1.0])
    with pytest.raises(
        FloatingPointError, match="DirectInverse: the reconstruction has 1 NaN or infinite of 2 entries"
    ):
        DirectInverse()(torch.tensor([1e30, 1.0]), Physics(operators.Diagonal(tiny)))


def test_a_result_of_another_shape_is_never_returned():
    with pytest.raises(ValueError, match=r"Constant: must give an image of shape \(2, 3\), but gave \(3,\)"):
        Constant(torch.ones(3))(torch.ones(2, 3), Physics(operators.Identity(3)))


def test_a_call_has_a_signature_and_is_torchs():
    method = DirectInverse()
    assert list(inspect.signature(method).parameters) == ["y", "physics", "return_info"]
    seen = []
    method.register_forward_hook(lambda module, inputs, image: seen.append(image))
    y = torch.rand(2, 3)
    image = method(y, physics=Physics(2 * operators.Identity(3)))
    assert seen[0] is image
    compiled = torch.compile(method, backend="eager")
    torch.testing.assert_close(compiled(y, Physics(2 * operators.Identity(3))), image)


def test_a_warning_points_to_the_call():
    with pytest.warns(ConvergenceWarning, match="not converged") as warned:
        Constant(torch.zeros(3))(torch.ones(3), Physics(operators.Identity(3)))
    assert warned[0].filename == __file__
