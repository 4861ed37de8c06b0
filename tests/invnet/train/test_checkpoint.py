"""Checkpoints: a run that goes on from one ends as if nothing had happened, and a bad file is refused."""

import os
import random as lottery
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from invnet import load_trained, train
from invnet.data import GaussianLevels, Pairs, Patches
from invnet.losses import Loss
from invnet.train.checkpoint import load_checkpoint, save_checkpoint
from tests.invnet.train import killed_run
from tests.invnet.train.models import Scale, options, random, same, small_net, weights

ROOT = Path(__file__).parents[3]


class Stop(Exception):
    """Ends a run from within."""


class StopAt(Loss):
    """The mean square, until a step."""

    def __init__(self, step=None):
        super().__init__()
        self.step, self.calls = step, 0

    @property
    def name(self):
        return "StopAt"

    def forward(self, model, batch, generator):
        self.calls += 1
        if self.calls == self.step:
            raise Stop
        return (model(batch.y, batch.physics) - batch.x).square().mean()


def run(path=None, stop=None, resume=False, optimizer=None, **changed):
    net = small_net()
    chosen = options(
        **{"steps": 14, "batch_size": 4, "lr": 1e-2, "ema": 0.8, "validate_every": 3, "checkpoint_every": 4, **changed}
    )
    loss = StopAt(stop)
    data, kept = Patches(random(5, 12, 12), 8), random(2, 9, 9, seed=1)
    arguments = {"validation": kept, "options": chosen, "optimizer": optimizer}
    levels = GaussianLevels(0.1, 0.4)
    result = train(net, data, loss, physics=levels, checkpoint=path, resume=resume, **arguments)
    return result, weights(net)


def two_rates(parameters):
    first, *rest = parameters
    return torch.optim.Adam([{"params": [first], "lr": 1e-2}, {"params": rest}], lr=1e-3)


OPTIMIZERS = {
    "adam": None,
    "adam, fused": lambda p: torch.optim.Adam(p, lr=1e-2, fused=True),
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9),
    "two rates": two_rates,
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("stop", [2, 6, 9])
def test_a_run_that_goes_on_ends_the_same_bit_for_bit(tmp_path, optimizer, stop):
    path = tmp_path / "run/checkpoint.safetensors"
    whole = run(optimizer=OPTIMIZERS[optimizer])
    with pytest.raises(Stop):
        run(path, stop=stop, optimizer=OPTIMIZERS[optimizer])
    assert path.exists() == (stop > 4)
    resumed = run(path, resume=True, optimizer=OPTIMIZERS[optimizer])
    assert resumed[0] == whole[0]
    assert same(resumed[1], whole[1])
    again = run(path, resume=True, optimizer=OPTIMIZERS[optimizer])  # there is nothing left to do
    assert again[0] == whole[0]
    assert same(again[1], whole[1])


@pytest.fixture
def _threads():
    """What a run in this process sets for itself."""
    count = torch.get_num_threads()
    yield
    torch.set_num_threads(count)


@pytest.mark.usefixtures("_threads")
def test_a_killed_run_ends_the_same_bit_for_bit(tmp_path):
    """Killed with SIGKILL at moments that chance chooses, and started again until it is done."""
    killed_run.main(tmp_path / "whole", tmp_path / "whole.pt")
    checkpoint, result = tmp_path / "killed", tmp_path / "killed.pt"
    chance = lottery.Random(0)
    reached = [0]
    for _ in range(2):
        process = _start_run(checkpoint, result, 10)
        while process.poll() is None and _steps(checkpoint) == reached[-1]:
            time.sleep(0.005)  # until it has written a checkpoint of its own
        time.sleep(chance.uniform(0.0, 0.2))
        assert process.poll() is None, "the run was over before it was killed"
        os.killpg(process.pid, signal.SIGKILL)  # its worker too
        process.wait()
        reached.append(_steps(checkpoint))
        assert 0 < reached[-1] - reached[-2] <= 10
    assert _start_run(checkpoint, result).wait() == 0
    assert same(torch.load(tmp_path / "whole.pt", weights_only=True), torch.load(result, weights_only=True))


def _start_run(*arguments):
    command = [sys.executable, killed_run.__file__, *map(str, arguments)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True)


def _steps(path):
    """How many steps a checkpoint has behind it; zero if there is none."""
    return load_checkpoint(path)["steps"] if path.exists() else 0


def test_a_longer_run_goes_on_from_a_shorter(tmp_path):
    path = tmp_path / "c"
    run(path)
    assert run(path, resume=True, steps=20)[0].steps == 20


def test_a_checkpoint_is_not_overwritten_unasked(tmp_path):
    path = tmp_path / "c"
    run(path)
    with pytest.raises(FileExistsError, match=r"train: there is a checkpoint .*c; resume=True goes on from it"):
        run(path)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("ema", [None, 0.8])
def test_the_weights_of_a_checkpoint(tmp_path, kept, ema):
    """The best, else the mean, else the last: what the run left in its model."""
    net, other = small_net(), small_net(seed=1)
    levels, chosen = GaussianLevels(0.1), options(steps=7, batch_size=4, ema=ema, validate_every=2)
    data, validation = random(5, 12, 12), random(2, 9, 9) if kept else None
    train(net, data, physics=levels, validation=validation, options=chosen, checkpoint=tmp_path / "c")
    load_trained(other, tmp_path / "c")
    assert same(weights(net), weights(other))
    with pytest.raises(ValueError, match=r"^load_trained: .* another model: 2 of its weights .* layers\.0\.weight"):
        load_trained(small_net(in_channels=2), tmp_path / "c")
    with pytest.raises(FileNotFoundError, match="load_trained: there is no file"):
        load_trained(other, tmp_path / "d")
    with pytest.raises(TypeError, match=r"load_trained: model takes a torch\.nn\.Module, got str"):
        load_trained("c", other)
    (tmp_path / "d").write_bytes(b"none")
    with pytest.raises(ValueError, match=r"load_trained: .* is damaged or no checkpoint"):
        load_trained(other, tmp_path / "d")


# ---------------------------------------------------------------- what is not finite


class Breaks(Loss):
    """The mean, but NaN at a step."""

    def __init__(self, at):
        super().__init__()
        self.at, self.calls = at, 0

    def forward(self, model, batch, generator):
        self.calls += 1
        value = model(batch.y, batch.physics).mean()
        return value * float("nan") if self.calls == self.at else value


def test_a_nan_ends_the_run_and_the_checkpoint_stays(tmp_path):
    path, net = tmp_path / "c", Scale(1.0)
    data = Pairs(random(8, 2), random(8, 2))
    with pytest.raises(FloatingPointError, match=r"train: the loss is nan at step 7; .*The checkpoint .*c is that of"):
        train(net, data, Breaks(7), options=options(checkpoint_every=4), checkpoint=path)
    assert load_checkpoint(path)["steps"] == 4
    assert bool(torch.isfinite(net.weight))
    with pytest.raises(FloatingPointError, match="There is no checkpoint"):
        train(Scale(1.0), data, Breaks(1), options=options())


def test_weights_that_are_not_finite_are_never_kept(tmp_path):
    """A gradient may be infinite where the loss is not."""

    class Steep(Loss):
        def forward(self, model, batch, generator):
            return model(batch.y, batch.physics).mean().abs().sqrt()

    data = Pairs(torch.zeros(4, 2), torch.zeros(4, 2))
    with pytest.raises(FloatingPointError, match=r"train: weight is not finite after step 1\. There is no checkpoint"):
        train(Scale(), data, Steep(), options=options(checkpoint_every=1), checkpoint=tmp_path / "c")
    assert not (tmp_path / "c").exists()


# ---------------------------------------------------------------- files


def test_a_tree_comes_back_as_it_was(tmp_path):
    tied = random(3, 4)
    tree = {
        "tensors": [tied, tied.T, tied, random(2, dtype=torch.complex64), torch.tensor(3), torch.zeros(0, 2)],
        "sixteen": random(5).bfloat16(),
        "state": {0: {"step": 3, "betas": [0.9, 0.999]}, 1: None},
        "text": 'any "text"',
        "numbers": [0.1, float("inf"), True, -3],
    }
    save_checkpoint(tmp_path / "c", tree)
    loaded = load_checkpoint(tmp_path / "c")
    assert list(tmp_path.iterdir()) == [tmp_path / "c"]
    for ours, theirs in zip(tree.pop("tensors"), loaded.pop("tensors"), strict=True):
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)
    assert torch.equal(tree.pop("sixteen"), loaded.pop("sixteen"))
    assert tree == loaded
    with pytest.raises(TypeError, match="a checkpoint holds numbers, texts and tensors, got function at /f"):
        save_checkpoint(tmp_path / "c", {"f": _cut})


def _cut(path):
    path.write_bytes(path.read_bytes()[:-10])


def _flip(path):
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(bytes(content))


def _foreign(path):
    save_file(load_file(path), path)


def _pickle(path):
    torch.save({"weights": torch.zeros(2)}, path)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_cut, "is damaged or no checkpoint"),
        (_flip, "is damaged: its checksum does not match"),
        (_foreign, "is not a checkpoint of a training run, though a file of safetensors"),
        (_pickle, "is damaged or no checkpoint"),
        (lambda path: path.write_bytes(b""), "is damaged or no checkpoint"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(tmp_path, harm, words):
    path = tmp_path / "checkpoint"
    run(path, steps=2)
    harm(path)
    with pytest.raises(ValueError, match=f"train: .*checkpoint {words}"):
        run(path, steps=2, resume=True)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda path: run(path, resume=True, lr=0.3, ema=None), r"another run: lr 0.01, now 0.3; ema 0.8, now None"),
        (lambda path: run(path, resume=True, steps=1), "another run: steps 2, now 1"),
        (
            lambda path: train(
                nn.Conv2d(1, 1, 3), random(2, 1, 8, 8), physics=GaussianLevels(1), checkpoint=path, resume=True
            ),
            "another model: 11 of its weights differ, such as bias",
        ),
        (
            lambda path: run(path, resume=True, steps=2, optimizer=lambda p: torch.optim.SGD(p, lr=0.1)),
            "of another optimizer than SGD",
        ),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, other, words):
    path = tmp_path / "c"
    run(path, steps=2)
    with pytest.raises(ValueError, match=words):
        other(path)
