"""Runs compiled loops over ranges of tasks, on as many threads as torch may use."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

__all__ = ["run_in_ranges"]

_RANGES_PER_THREAD = 4  # so that a thread which is held up leaves work to the others


def run_in_ranges(kernel: Callable[[int, int], object], count: int) -> None:
    """Call ``kernel(start, stop)`` for ranges that make up ``range(count)``.

    The threads are ours rather than numba's: its pools are either unsafe when several Python threads call, or broken by
    a fork. The kernel must release the interpreter's lock, and ranges must not write to the same memory. Where torch
    has one thread, as in the workers of a data loader, the call runs where it is made.

    Parameters
    ----------
    kernel : callable
        Takes the start and the stop of a range.
    count : int
        Of tasks.
    """
    threads = min(torch.get_num_threads(), count)
    if threads <= 1:
        kernel(0, count)
        return
    parts = min(count, threads * _RANGES_PER_THREAD)
    edges = [count * part // parts for part in range(parts + 1)]
    pool = _pool(os.getpid(), threads)
    futures = [pool.submit(kernel, start, stop) for start, stop in itertools.pairwise(edges)]
    for future in futures:
        future.result()


@functools.lru_cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    # Of this process: threads do not survive a fork.
    return ThreadPoolExecutor(threads, thread_name_prefix=f"operators-{process}")
