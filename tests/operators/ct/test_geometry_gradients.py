"""Gradients in every part of the geometry, against finite differences; and what learning does with them."""

import copy
import math

import pytest
import torch

from operators import FanBeam, ParallelBeam
from tests.operators.ct.geometries import full_turn, gaussian, quietly

SHAPE = (13, 11)
# Away from angles at which a ray changes its driving axis, and with it the interpolation.
ANGLES = torch.tensor([0.13, 0.61, 1.07, 1.43, 2.7], dtype=torch.float64)
IMAGE = gaussian(SHAPE, 1.0, -1.5, 2.5)


def tensor(value):
    return torch.tensor(value, dtype=torch.float64)


PARALLEL = {
    "angles": ANGLES,
    "detector_spacing": tensor(0.83),
    "detector_offset": tensor(0.21),
    "center": tensor([0.37, -0.53]),
}
FAN = PARALLEL | {"source_distance": tensor(17.3), "detector_distance": tensor(9.1), "detector_spacing": tensor(1.37)}
OFFSETS = {"detector_offset": torch.linspace(-0.3, 0.4, 5, dtype=torch.float64)}
DISTANCES = {
    "source_distance": torch.linspace(17, 18, 5, dtype=torch.float64),
    "detector_distance": torch.linspace(9, 10, 5, dtype=torch.float64),
}


def parallel(**parts):
    return quietly(ParallelBeam, SHAPE, detectors=9, pixel_size=(1.1, 0.9), **parts)


def flat(**parts):
    return quietly(FanBeam, SHAPE, detectors=9, pixel_size=(1.1, 0.9), **parts)


def curved(**parts):
    return flat(detector="curved", **parts)


CASES = [
    *(pytest.param(parallel, PARALLEL, name, id=f"parallel-{name}") for name in PARALLEL),
    *(pytest.param(make, FAN, name, id=f"{make.__name__}-{name}") for make in (flat, curved) for name in FAN),
    pytest.param(parallel, PARALLEL | OFFSETS, "detector_offset", id="parallel-offsets"),
    pytest.param(curved, FAN | OFFSETS, "detector_offset", id="curved-offsets"),
    *(pytest.param(flat, FAN | OFFSETS | DISTANCES, name, id=f"flat-{name}s") for name in (*OFFSETS, *DISTANCES)),
]
every_part = pytest.mark.parametrize(("make", "parts", "name"), CASES)


def check(function, value):
    """Compare with finite differences, along random directions of the output."""
    assert torch.autograd.gradcheck(function, value.clone().requires_grad_(), eps=1e-6, atol=1e-5, rtol=1e-5)


@every_part
def test_of_the_projection(make, parts, name):
    check(lambda value: make(**(parts | {name: value}))(IMAGE), parts[name])


@every_part
def test_of_the_adjoint(make, parts, name):
    sinogram = make(**parts)(IMAGE)
    check(lambda value: make(**(parts | {name: value})).H(sinogram), parts[name])


@every_part
def test_of_a_subset_of_the_views(make, parts, name):
    check(lambda value: make(**(parts | {name: value})).subset([3, 1])(IMAGE), parts[name])


@every_part
def test_a_parameter_that_was_changed_gives_what_a_new_operator_does(make, parts, name):
    A = make(**(parts | {name: torch.nn.Parameter(parts[name].clone())}))
    with torch.no_grad():
        getattr(A, name).mul_(1.05)
    new = make(**(parts | {name: parts[name] * 1.05}))
    torch.testing.assert_close(A(IMAGE), new(IMAGE), rtol=0, atol=1e-12)
    torch.testing.assert_close(A.subset([0, 4])(IMAGE), new(IMAGE)[[0, 4]], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("make", "parts"), [(parallel, PARALLEL), (flat, FAN), (curved, FAN)])
def test_of_several_parts_and_the_image_at_once(make, parts):
    names = tuple(parts)
    values = [parts[name].clone().requires_grad_() for name in names]
    image = torch.stack([IMAGE, IMAGE.flip(0)]).requires_grad_()

    def misfit(image, *values):
        return make(**dict(zip(names, values, strict=True)))(image).square().sum((-1, -2))

    assert torch.autograd.gradcheck(misfit, (image, *values), eps=1e-6, atol=1e-4, rtol=1e-5)


def test_through_a_batch_is_the_sum_over_its_images():
    A = parallel(**(PARALLEL | {"angles": torch.nn.Parameter(ANGLES.clone())}))
    images = torch.randn(3, 2, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(3, 2, *A.out_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (together,) = torch.autograd.grad((A(images) * weights).sum(), A.angles)
    each = [
        torch.autograd.grad((A(x) * w).sum(), A.angles)[0]
        for x, w in zip(images.flatten(0, 1), weights.flatten(0, 1), strict=True)
    ]
    torch.testing.assert_close(together, sum(each), rtol=0, atol=1e-10)


def test_is_of_first_order_and_says_so():
    A = parallel(**(PARALLEL | {"angles": torch.nn.Parameter(ANGLES.clone())}))
    (first,) = torch.autograd.grad(A(IMAGE).square().sum(), A.angles, create_graph=True)
    with pytest.raises(RuntimeError):
        torch.autograd.grad(first.sum(), A.angles)


def test_the_gradient_in_the_image_is_differentiable_in_the_geometry():
    sinogram = parallel(**PARALLEL)(IMAGE)

    def gradient(angles):
        A = parallel(**(PARALLEL | {"angles": angles}))
        image = (0.5 * IMAGE).requires_grad_()
        misfit = (A(image) - sinogram).square().sum()
        return torch.autograd.grad(misfit, image, create_graph=True)[0]

    assert torch.autograd.gradcheck(gradient, ANGLES.clone().requires_grad_(), eps=1e-6, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_in_other_types_of_the_image(dtype):
    gradients = []
    for x in (IMAGE.to(dtype), IMAGE):
        A = flat(**(FAN | {"center": torch.nn.Parameter(FAN["center"].clone())}))
        A(x).abs().square().sum().backward()
        gradients.append(A.center.grad)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


def test_a_wrong_axis_is_recovered_by_descent():
    angles = full_turn(24)
    image = gaussian((24, 24), 3.0, 2.0, 3.0) + 0.6 * gaussian((24, 24), -4.0, -3.0, 2.5)
    data = FanBeam((24, 24), angles, 60, 60.0, 30.0, center=(0.8, -0.6))(image)
    center = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    A = FanBeam((24, 24), angles, 60, 60.0, 30.0, center=center)
    optimizer = torch.optim.LBFGS([center], max_iter=30, line_search_fn="strong_wolfe")

    def misfit():
        optimizer.zero_grad()
        loss = (A(image) - data).square().sum()
        loss.backward()
        return loss

    optimizer.step(misfit)
    torch.testing.assert_close(center.detach(), tensor([0.8, -0.6]), rtol=0, atol=1e-4)


def test_only_what_is_learnable_is_a_parameter():
    A = parallel(**(PARALLEL | {"center": torch.nn.Parameter(tensor([0.1, 0.2]))}))
    assert [name for name, _ in A.named_parameters()] == ["center"]
    assert [name for name, _ in A.subset([1]).named_parameters()] == ["center"]
    assert A.subset([1]).center is A.center


def test_a_learnable_geometry_that_became_no_number_raises():
    A = parallel(**(PARALLEL | {"angles": torch.nn.Parameter(ANGLES.clone())}))
    with torch.no_grad():
        A.angles[2] = math.nan
    for call in (lambda: A(IMAGE), lambda: A.H(torch.ones(A.out_shape, dtype=torch.float64))):
        with pytest.raises(ValueError, match="finite geometry"):
            call()


def test_a_copy_learns_for_itself():
    A = parallel(**(PARALLEL | {"angles": torch.nn.Parameter(ANGLES.clone())}))
    B = copy.deepcopy(A)
    with torch.no_grad():
        B.angles += 0.1
    assert not torch.allclose(A(IMAGE), B(IMAGE))
    assert torch.equal(A.angles, ANGLES)
