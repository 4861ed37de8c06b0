"""Volumes in threads, in the workers of a data loader, and in memory."""

import math
import multiprocessing

import pytest
import torch

from operators import ConeBeam, VectorBeam
from operators.kernels.joseph import BORDER
from operators.kernels.vector import LANES
from tests.operators.ct.geometries import full_turn
from tests.operators.ct.test_handling import check_memory
from tests.operators.ct.test_threads import Sinograms, same
from tests.operators.ct.test_volumes import TILTED
from tests.operators.threads import at_once

OPERATORS = {
    "cone": ConeBeam((14, 13, 15), full_turn(9), (26, 28), 60.0, 20.0),
    "tilted": VectorBeam((11, 12, 13), TILTED.expand(4, 12), (20, 24), "cone"),
}
every_operator = pytest.mark.parametrize("A", OPERATORS.values(), ids=OPERATORS.keys())


@pytest.fixture(autouse=True)
def _three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def results(A, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1 + seed % 2, *A.in_shape, generator=generator)
    y = torch.randn(1 + seed % 2, *A.out_shape, generator=generator)
    return A(x), A.adjoint(y), A.direct_inverse(y)


@every_operator
def test_several_threads_at_once(A):
    expected = [results(A, n) for n in range(4)]
    wrong = []

    def work(n):
        wrong.extend(n for _ in range(3) if not same(results(A, n), expected[n]))

    at_once(work, 4)
    assert wrong == []


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # which is the point here
def test_in_the_workers_of_a_data_loader(start):
    if start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system does not {start}")
    dataset = Sinograms(OPERATORS["cone"])
    expected = [dataset[n] for n in range(4)]  # our threads are running when the workers are forked
    loader = torch.utils.data.DataLoader(
        dataset, num_workers=2, batch_size=None, multiprocessing_context=start, timeout=120
    )
    assert all(same(got, wanted) for got, wanted in zip(loader, expected, strict=True))


@pytest.mark.parametrize("batch", [1, 2, 9])
@pytest.mark.parametrize("tilt", [0.0, 0.02])
def test_memory_is_what_goes_in_and_out_and_a_copy(batch, tilt):
    # The system matrix would have four entries for each ray and slab: 15 million of them, 61 MB.
    torch.set_num_threads(1)  # another thread may drop its reference to a copy a little late
    cone = ConeBeam((40, 40, 40), full_turn(45, 2 * math.pi), (44, 48), 160.0, 40.0, detector_spacing=1.3)
    vectors = cone.to_vectors()
    vectors[:, 9:] += tilt * vectors[:, 6:9]
    A = VectorBeam(cone.in_shape, vectors, cone.out_shape[1:], "cone")
    x = torch.rand(batch, *A.in_shape)
    y = A(x)
    lanes = 1 if batch == 1 else LANES
    copy = 4 * lanes * 40 * (40 + 2 * BORDER) ** 2
    together = 0 if batch == 1 else 4 * lanes * math.prod(A.out_shape)  # the measurements of those volumes
    for call, result in ((lambda: A(x), y), (lambda: A.adjoint(y), x)):
        check_memory(call, result.nbytes + copy + together + 2**18)
