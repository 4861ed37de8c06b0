"""Several processes train as one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from invnet import train
from invnet.data import Pairs
from tests.invnet.train.models import Scale, options, random

ROOT = Path(__file__).parents[3]


def test_two_processes_give_the_gradients_of_one(tmp_path):
    """Six steps of momentum in double precision: weights, average, losses and validations agree."""
    pytest.importorskip("lightning_fabric")
    from tests.invnet.train import two_processes

    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, two_processes.__file__, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for kind in two_processes.KINDS:
        two_processes.run(kind, tmp_path)
        one, two = (torch.load(tmp_path / f"{kind}, {name}.pt", weights_only=True) for name in ("one", "two"))
        assert one["losses"] == pytest.approx(two["losses"], rel=1e-10)
        assert [step for step, _ in one["validations"]] == [step for step, _ in two["validations"]] == [2, 4, 6]
        assert [v for _, v in one["validations"]] == pytest.approx([v for _, v in two["validations"]], rel=1e-5)
        for name, tensor in one["weights"].items():
            torch.testing.assert_close(two["weights"][name], tensor, rtol=1e-10, atol=1e-12)


def test_the_script_of_the_how_to_runs_in_two_processes():
    pytest.importorskip("lightning_fabric")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "docs/how_to/several_devices.py"), "--steps", "2"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 processes: TrainResult(2 steps")  # the first process's lines, once
    assert done.stdout.count("\n") == 2


def test_processes_share_a_batch_evenly():
    class Three:
        device, global_rank, world_size = torch.device("cpu"), 0, 3

    with pytest.raises(ValueError, match="train: 3 processes can't share batches of 64 samples"):
        train(Scale(), Pairs(random(4, 2), random(4, 2)), options=options(), fabric=Three())
