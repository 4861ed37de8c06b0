"""Runs compiled loops over ranges of tasks, on as many threads as torch may use."""

from __future__ import annotations

import collections
import functools
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

__all__ = ["run_in_ranges"]

_Tasks = collections.deque[Callable[[], object]]

_RANGES_PER_THREAD = 4  # so that a thread which is held up leaves work to the others


def run_in_ranges(kernel: Callable[[int, int], object], count: int) -> None:
    """Call ``kernel(start, stop)`` for ranges that make up ``range(count)``.

    The threads are ours rather than numba's: its pools are either unsafe when several Python threads call, or broken by
    a fork. The calling thread works with them, so that little is lost where they come late; where torch has one thread,
    as in the workers of a data loader, it is the only one. The kernel must release the interpreter's lock, and ranges
    must not write to the same memory.

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
    edges = itertools.pairwise(count * part // parts for part in range(parts + 1))
    # These alone hold the kernel and so its data: what a thread that comes late finds is an empty list.
    tasks: _Tasks = collections.deque(functools.partial(kernel, start, stop) for start, stop in edges)
    pool = _pool(os.getpid(), threads - 1)
    others = [pool.submit(_work_off, tasks) for _ in range(threads - 1)]
    try:
        _work_off(tasks)
    finally:
        tasks.clear()  # after an error
        for other in others:
            if not other.cancel():  # what has not begun by now would find nothing left to do
                other.result()


def _work_off(tasks: _Tasks) -> None:
    while True:
        try:
            task = tasks.popleft()
        except IndexError:
            return
        task()


@functools.lru_cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    # Of this process: threads do not survive a fork.
    return ThreadPoolExecutor(threads, thread_name_prefix=f"operators-{process}")
