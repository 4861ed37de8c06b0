"""Wrong input, copies, moves and conversions, subsets, memory."""

import copy
import io
import math
import pickle
import tracemalloc

import numpy as np
import pytest
import torch

import operators.kernels.vector
from operators import FanBeam, ParallelBeam, ParallelBeam3D
from tests.operators.ct.geometries import full_turn, gaussian, quietly

ANGLES = full_turn(6)


def parallel(**changed):
    return ParallelBeam(**({"in_shape": (12, 10), "angles": ANGLES} | changed))


def fan(**changed):
    known = {"in_shape": (12, 10), "angles": ANGLES, "detectors": 24, "source_distance": 30.0, "detector_distance": 6.0}
    return FanBeam(**(known | changed))


NAN, INF = math.nan, math.inf
WRONG = [
    ({"in_shape": (12,)}, ValueError, "two dimensions"),
    ({"in_shape": (3, 12, 10)}, ValueError, "two dimensions"),
    ({"in_shape": (12, 0)}, ValueError, "in_shape takes positive"),
    ({"in_shape": (12.0, 10)}, TypeError, "in_shape takes integers"),
    ({"angles": []}, ValueError, "at least one angle"),
    ({"angles": 0.3}, ValueError, "at least one angle"),
    ({"angles": torch.ones(2, 2)}, ValueError, "at least one angle"),
    ({"angles": [0.0, NAN]}, ValueError, "angles must be finite"),
    ({"angles": torch.nn.Parameter(torch.tensor([0.0, INF]))}, ValueError, "angles must be finite"),
    ({"angles": "all"}, TypeError, "angles takes numbers"),
    ({"angles": [1j]}, TypeError, "angles takes real"),
    ({"angles": torch.nn.Parameter(torch.ones(2) * 1j)}, TypeError, "angles takes real"),
    ({"detectors": 0}, ValueError, "detectors must be at least 1"),
    ({"detectors": -3}, ValueError, "detectors must be at least 1"),
    ({"detectors": 4.5}, TypeError, "detectors takes an integer"),
    ({"detectors": True}, TypeError, "detectors takes an integer"),
    ({"pixel_size": 0.0}, ValueError, "pixel_size takes a positive"),
    ({"pixel_size": (1.0, -1.0)}, ValueError, "pixel_size takes a positive"),
    ({"pixel_size": (1.0, 1.0, 1.0)}, ValueError, "pixel_size takes a positive"),
    ({"pixel_size": NAN}, ValueError, "pixel_size must be finite"),
    ({"pixel_size": "big"}, TypeError, "pixel_size takes numbers"),
    ({"detector_spacing": 0.0}, ValueError, "detector_spacing takes a positive"),
    ({"detector_spacing": INF}, ValueError, "detector_spacing must be finite"),
    ({"detector_spacing": torch.ones(6)}, ValueError, "detector_spacing takes"),
    ({"detector_offset": NAN}, ValueError, "detector_offset must be finite"),
    ({"detector_offset": torch.ones(5)}, ValueError, r"detector_offset takes shape \(\) or \(6,\), got \(5,\)"),
    ({"center": (0.0, NAN)}, ValueError, "center must be finite"),
    ({"center": (0.0, 0.0, 0.0)}, ValueError, r"center takes shape \(2,\), got \(3,\)"),
    ({"center": 0.0}, ValueError, r"center takes shape \(2,\), got \(\)"),
]
WRONG_FAN = [
    ({"detector": "round"}, ValueError, "detector takes one of flat, curved"),
    ({"source_distance": -30.0}, ValueError, "positive source_distance"),
    ({"source_distance": 0.0}, ValueError, "positive source_distance"),
    ({"source_distance": NAN}, ValueError, "source_distance must be finite"),
    ({"source_distance": torch.full((5,), 30.0)}, ValueError, "source_distance takes shape"),
    ({"detector_distance": -1.0}, ValueError, "positive source_distance"),
    ({"source_distance": 5.9}, ValueError, "enters the image of 12 x 10 pixels in 2 of 6 views"),
    ({"source_distance": 7.0, "center": (4.0, 0.0)}, ValueError, "enters the image"),
    ({"detector": "curved", "detector_spacing": 6.0}, ValueError, "spans 3.83333 rad"),
    ({"detector": "curved", "source_distance": torch.full((6,), 30.0)}, ValueError, "one radius for all views"),
]


@pytest.mark.parametrize(("changed", "error", "says"), WRONG)
@pytest.mark.parametrize("make", [parallel, fan])
def test_wrong_geometries_raise(make, changed, error, says):
    with pytest.raises(error, match=f"^{'ParallelBeam' if make is parallel else 'FanBeam'}: .*{says}"):
        quietly(make, **changed)


@pytest.mark.parametrize(("changed", "error", "says"), WRONG_FAN)
def test_wrong_fans_raise(changed, error, says):
    with pytest.raises(error, match=f"^FanBeam: .*{says}"):
        quietly(fan, **changed)


def test_an_image_behind_the_source_raises():
    # Seen askew from a near source, the far end of a tall image lies behind it, where the lines of the rays go on.
    geometry = {"in_shape": (200, 4), "angles": [-math.pi / 4], "detectors": 64, "source_distance": 9.8}
    with pytest.raises(ValueError, match="in 1 of 1 views the lines of some rays meet the image behind the source"):
        quietly(fan, **geometry, detector_spacing=4.0)
    quietly(fan, **geometry, detector_spacing=0.1)  # no line of these reaches it


@pytest.mark.parametrize("changed", [{"detector_spacing": 1e-6}, {"detector_offset": 1e6}, {"center": (0.0, 1e7)}])
def test_mixed_up_units_raise_where_the_detectors_are_counted(changed):
    with pytest.raises(
        ValueError, match=r"^ParallelBeam: it would take .* detectors to cover the image; are .* in the unit"
    ):
        parallel(**changed)
    with pytest.raises(ValueError, match=r"^ParallelBeam3D: it would take 1.41e\+06 detectors"):
        ParallelBeam3D((4, 4, 4), ANGLES, detector_spacing=4e-6)


@pytest.mark.parametrize("make", [parallel, fan])
def test_shapes_of_all_directions_on_the_meta_device(make):
    A = make().to("meta")
    y = torch.empty(3, *A.out_shape, device="meta")
    assert A(A.adjoint(y)).shape == y.shape
    assert A.direct_inverse(y).shape == (3, *A.in_shape)


def test_other_wrong_options_raise():
    with pytest.raises(ValueError, match="ParallelBeam: model takes one of joseph, fourier, got 'siddon'"):
        parallel(model="siddon")
    with pytest.raises(ValueError, match="a learnable geometry takes the model joseph"):
        parallel(model="fourier", angles=torch.nn.Parameter(ANGLES.clone()))
    with pytest.raises(ValueError, match="tolerance"):
        parallel(model="fourier", tolerance=0.0)
    A = parallel()
    with pytest.raises(ValueError, match=r"window takes one of ram-lak, .*, got 'ramp'"):
        A.filtered_backprojection(torch.ones(A.out_shape), "ramp")
    with pytest.raises(ValueError, match="ParallelBeam: takes a sinogram of shape"):
        A.filtered_backprojection(torch.ones(6, 3))
    with pytest.raises(TypeError, match=r"ParallelBeam: takes a torch\.Tensor"):
        A.filtered_backprojection(np.ones(A.out_shape))


@pytest.mark.parametrize("make", [parallel, fan])
def test_degrees_warn_where_they_were_passed(make):
    with pytest.warns(UserWarning, match="takes angles in radians; the largest of 150 looks like degrees") as caught:
        make(angles=torch.rad2deg(ANGLES) / 2)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("make", "changed", "missing"),
    [
        (parallel, {"detectors": 4}, 3.0),
        (parallel, {"angles": [0.0, 1.0], "detectors": 12, "detector_offset": 3.0}, 2.0),
        (parallel, {"in_shape": (40, 40), "angles": full_turn(40), "detectors": 16, "detector_offset": 12.0}, 4.0),
        (fan, {"detectors": 4, "detector_distance": 0.0}, 3.00443),
    ],
    ids=["centred", "shifted over a half turn", "not reaching the axis", "fan"],
)
def test_a_narrow_detector_warns_and_says_by_how_much(make, changed, missing):
    with pytest.warns(UserWarning, match=f"too narrow for the object.*; {missing:g} are missing") as caught:
        make(**changed)
    assert caught[0].filename == __file__


def test_a_detector_that_suffices_does_not_warn():
    parallel(detectors=10)
    parallel(detectors=10, detector_offset=0.25)  # a quarter-detector shift
    parallel(angles=full_turn(40), detectors=8, detector_offset=2.0)  # a half-fan over a full turn
    fan(detectors=12)


def test_no_number_in_the_image_stays_where_it_is():
    A = parallel()
    x = torch.ones(12, 10)
    x[3, 4] = NAN
    y = A(x)
    assert y.isnan().any()
    assert not y.isnan().all()


# ---------------------------------------------------------------- subsets


@pytest.mark.parametrize("views", [2, 6])
@pytest.mark.parametrize("model", ["joseph", "fourier"])
def test_a_subset_is_some_of_the_views(views, model):
    # Two views: as many as the axis has coordinates.
    A = parallel(angles=ANGLES[:views] + 0.1, center=(2.0, -1.0), detectors=18, model=model)
    x = gaussian((12, 10), 1.0, 1.0, 2.0)
    for indices in ([1], [1, 0], slice(None, None, 2), torch.tensor([True] + [False] * (views - 1)), np.array([0]), -1):
        part = A.subset(indices)
        expected = A(x)[indices].reshape(part.out_shape)
        torch.testing.assert_close(part(x), expected, rtol=0, atol=1e-9)
        torch.testing.assert_close(part.subset([0])(x), part(x)[:1], rtol=0, atol=1e-9)


def test_a_subset_keeps_what_each_view_has():
    offsets, distances = torch.linspace(-1, 1, 6), torch.linspace(30, 35, 6)
    A = fan(detector_offset=offsets, source_distance=distances, detector_distance=distances / 5)
    x = gaussian((12, 10), 1.0, 1.0, 2.0)
    assert torch.equal(A.subset([4, 2])(x), A(x)[[4, 2]])
    assert torch.equal(A.subset([4, 2]).direct_inverse(A(x)[[4, 2]]).isfinite(), torch.ones(12, 10, dtype=torch.bool))


def test_wrong_subsets_raise():
    with pytest.raises(ValueError, match="ParallelBeam: a subset takes at least one of the 6 views"):
        parallel().subset([])
    with pytest.raises(ValueError, match="at least one"):
        parallel().subset(slice(3, 3))
    with pytest.raises(
        IndexError, match="ParallelBeam: a subset takes indices of the 6 views; index 6 is out of bounds"
    ):
        parallel().subset([6])
    with pytest.raises(IndexError):
        parallel().subset([0.5])


# ---------------------------------------------------------------- copies, moves, conversions

KINDS = {
    "parallel": parallel,
    "learnable": lambda: parallel(angles=torch.nn.Parameter(ANGLES.clone())),
    "fourier": lambda: parallel(model="fourier"),
    "flat": fan,
    "curved": lambda: fan(detector="curved", detector_offset=0.5),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
X = torch.rand(2, 12, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@every_kind
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bits_change_the_image_not_the_geometry(kind, dtype):
    A = KINDS[kind]()
    expected = A(X).detach()
    low = A.to(dtype)
    assert low.angles.dtype == torch.float64
    y = low(X.to(dtype))
    assert y.dtype == dtype
    epsilon = torch.finfo(dtype).eps
    torch.testing.assert_close(y.detach().double(), expected, rtol=0, atol=2 * epsilon * float(expected.max()))
    torch.testing.assert_close(low.float().double()(X).detach(), expected, rtol=0, atol=1e-5)


@every_kind
def test_moves_to_meta(kind):
    A = KINDS[kind]().to("meta")
    x = X.to("meta")
    assert A(x).shape == (2, *A.out_shape)
    assert A(x).device.type == "meta"
    assert A.adjoint(A(x)).shape == x.shape


@every_kind
def test_copies_and_pickles(kind):
    A = KINDS[kind]()
    B = copy.deepcopy(A)
    C = pickle.loads(pickle.dumps(A))
    buffer = io.BytesIO()
    torch.save(A, buffer)
    buffer.seek(0)
    D = torch.load(buffer, weights_only=False)
    for other in (B, C, D):
        assert torch.equal(other(X), A(X))
        assert repr(other) == repr(A)


@every_kind
def test_a_state_dict_carries_the_geometry(kind):
    A, B = KINDS[kind](), KINDS[kind]()
    with torch.no_grad():
        A.angles += 0.3
        A.center += 1.0
    A.load_state_dict(A.state_dict())  # what was computed from the old angles is computed anew
    B.load_state_dict(A.state_dict())
    assert torch.equal(B(X), A(X))
    fresh = KINDS[kind]()
    assert not torch.allclose(B(X), fresh(X))


def test_a_state_dict_moves_a_curved_detector():
    near, far = fan(detector="curved"), fan(detector="curved", source_distance=60.0, detector_spacing=1.7)
    near.load_state_dict(far.state_dict())
    assert torch.equal(near(X), far(X))


# ---------------------------------------------------------------- memory


def peak_extra(call):
    """The most memory in bytes that numpy and torch held at once during a call, beyond what they held before."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        call()
    held = highest = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            highest = max(highest, held)
    return highest


def check_memory(call, allowed):
    """A call holds less than so many bytes: of torch's, and of numpy's and Python's."""
    call()  # compiles
    assert peak_extra(call) < allowed
    tracemalloc.start()
    try:
        call()
        assert tracemalloc.get_traced_memory()[1] < allowed
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("batch", [1, 2, 8, 20])
@pytest.mark.parametrize("make", [ParallelBeam, lambda *args: FanBeam(*args, 200.0, 100.0)], ids=["parallel", "fan"])
def test_a_projection_needs_little_more_than_images_and_sinograms(make, batch):
    # The system matrix would have two entries for each ray and row of the image: 3.7 million of them, 14 MB.
    A = make((96, 96), full_turn(120, math.pi), 160)
    x = torch.rand(batch, 96, 96)
    y = A(x)
    lanes = 1 if batch == 1 else operators.kernels.vector.LANES
    group = lanes * (x[0].nbytes * 100 // 96 + y[0].nbytes)  # of images that are projected together, with borders
    courses = 20 * y[0].numel() if isinstance(A, FanBeam) else 0  # of the rays, in the adjoint of single images
    for call, result, traced in ((lambda: A(x), y, 0), (lambda: A.adjoint(y), x, courses)):
        check_memory(call, result.nbytes + 1.5 * group + traced + 2**18)


def test_nothing_is_kept_for_the_backward_pass_of_a_fixed_geometry():
    A = parallel()
    saved = []
    x = torch.rand(5, 12, 10, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t):
        A(x)
    assert max(saved, default=0) < x[0].numel()
