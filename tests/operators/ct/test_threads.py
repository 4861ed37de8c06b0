"""From any thread or process: the same numbers, bit for bit."""

import functools
import multiprocessing
import time
import weakref

import numpy as np
import pytest
import torch

from operators import FanBeam, ParallelBeam
from operators.kernels.threads import run_in_ranges
from tests.operators.ct.geometries import full_turn
from tests.operators.threads import at_once

OPERATORS = [
    ParallelBeam((70, 50), full_turn(23)),
    FanBeam((70, 50), full_turn(23), 90, 80.0, 40.0, "curved", detector_spacing=1.5),
]
every_operator = pytest.mark.parametrize("A", OPERATORS, ids=["parallel", "fan"])


@pytest.fixture(autouse=True)
def _threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def inputs(A, batch):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, *A.in_shape, generator=generator), torch.randn(batch, *A.out_shape, generator=generator)


def results(A, x, y):
    return A(x), A.adjoint(y), A.direct_inverse(y)


def same(some, others):
    return all(torch.equal(a, b) for a, b in zip(some, others, strict=True))


@every_operator
@pytest.mark.parametrize("batch", [1, 11])
def test_repeated_runs_and_any_number_of_threads_agree(A, batch):
    x, y = inputs(A, batch)
    torch.set_num_threads(1)
    expected = results(A, x, y)
    for threads in (1, 2, 4, 7):
        torch.set_num_threads(threads)
        for _ in range(3):
            assert same(results(A, x, y), expected)


@every_operator
def test_gradients_in_the_geometry_agree_too(A):
    x, y = inputs(A, 3)
    B = ParallelBeam(A.in_shape, torch.nn.Parameter(full_turn(23)), A.out_shape[1])
    gradients = []
    for threads in (1, 2, 5, 5):
        torch.set_num_threads(threads)
        gradients.append(torch.autograd.grad((B(x) * y).sum(), B.angles)[0])
    assert all(torch.equal(gradients[0], each) for each in gradients[1:])


@every_operator
def test_several_threads_at_once(A):
    torch.set_num_threads(3)
    batches = [inputs(A, 1 + n % 3) for n in range(6)]
    expected = [results(A, *batch) for batch in batches]
    wrong = []

    def work(n):
        wrong.extend(n for _ in range(5) if not same(results(A, *batches[n]), expected[n]))

    at_once(work, 6)
    assert wrong == []


def test_what_is_done_holds_no_data():
    torch.set_num_threads(4)
    for _ in range(200):
        data = np.ones(100)
        alive = weakref.ref(data)
        run_in_ranges(functools.partial(lambda data, start, stop: time.sleep(1e-4), data), 7)  # lets other threads in
        del data
        assert alive() is None


class Sinograms(torch.utils.data.Dataset):
    """Projects in the worker that loads."""

    def __init__(self, A):
        self.A = A

    def __len__(self):
        return 4

    def __getitem__(self, n):
        x = torch.randn(self.A.in_shape, generator=torch.Generator().manual_seed(n))
        sinogram = self.A(x)
        return x, sinogram, self.A.adjoint(sinogram)


@every_operator
@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # which is the point here
def test_in_the_workers_of_a_data_loader(A, start):
    if start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system does not {start}")
    torch.set_num_threads(3)
    dataset = Sinograms(A)
    expected = [dataset[n] for n in range(4)]  # our threads are running when the workers are forked
    loader = torch.utils.data.DataLoader(
        dataset, num_workers=2, batch_size=None, multiprocessing_context=start, timeout=120
    )
    assert all(same(got, wanted) for got, wanted in zip(loader, expected, strict=True))


def _project_with_threads(A, x, queue):
    torch.set_num_threads(2)
    queue.put(A(x).numpy())


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own():
    A, (x, _) = OPERATORS[0], inputs(OPERATORS[0], 2)
    torch.set_num_threads(2)
    expected = A(x)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_project_with_threads, args=(A, x, queue))
    child.start()
    got = queue.get(timeout=120)
    child.join(30)
    assert child.exitcode == 0
    assert torch.equal(torch.from_numpy(got), expected)
