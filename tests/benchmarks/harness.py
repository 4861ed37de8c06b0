"""Timings side by side: rounds that alternate between the candidates, so that a busy machine disturbs all alike."""

import gc
import platform
import statistics
import time
from collections.abc import Callable, Mapping

import torch

__all__ = ["compare", "environment", "measure"]


def environment() -> str:
    """What the numbers depend on, in one line."""
    device = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return (
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, "
        f"Python {platform.python_version()}{device}"
    )


def measure(
    candidates: Mapping[str, Callable[[], object]], rounds: int = 15, seconds_per_round: float = 0.02
) -> dict[str, list[float]]:
    """The time of a call of each candidate in each round, in seconds.

    Parameters
    ----------
    candidates : mapping of str to callable
    rounds : int
        In each round every candidate is timed once, one after the other.
    seconds_per_round : float
        A candidate that is faster is called several times in a round.
    """
    calls = {name: max(1, int(seconds_per_round / max(_timed(f, 1), 1e-9))) for name, f in _warm(candidates).items()}
    times: dict[str, list[float]] = {name: [] for name in candidates}
    gc.disable()
    try:
        for _ in range(rounds):
            for name, function in candidates.items():
                times[name].append(_timed(function, calls[name]))
    finally:
        gc.enable()
    return times


def compare(
    candidates: Mapping[str, Callable[[], object]], reference: str, title: str = "", rounds: int = 15
) -> dict[str, float]:
    """Measure the candidates; print a table of their median times, and of the median ratios to `reference`.

    A ratio is taken within each round: what else the machine does then weighs on both its parts.

    Returns
    -------
    dict of str to float
        The ratios.
    """
    times = measure(candidates, rounds)
    ratios = {
        name: statistics.median(t / base for t, base in zip(values, times[reference], strict=True))
        for name, values in times.items()
    }
    width = max(map(len, [title, *candidates]))
    print(f"{title:{width}}  {'ms':>9}  {'ratio':>7}")
    for name, values in times.items():
        mark = "  (reference)" if name == reference else ""
        print(f"{name:{width}}  {statistics.median(values) * 1e3:9.3f}  {ratios[name]:7.2f}{mark}")
    print(flush=True)
    return ratios


def _warm(candidates: Mapping[str, Callable[[], object]]) -> Mapping[str, Callable[[], object]]:
    for function in candidates.values():
        _timed(function, 2)
    return candidates


def _timed(function: Callable[[], object], calls: int) -> float:
    _synchronize()
    start = time.perf_counter()
    for _ in range(calls):
        function()
    _synchronize()
    return (time.perf_counter() - start) / calls


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
