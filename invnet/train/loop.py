"""The training loop."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from invnet.data.seeds import seeded_generator, seeded_number
from invnet.losses import Loss, Supervised
from invnet.train.average import WeightAverage
from invnet.train.batches import Data, PhysicsOf, Tensors, make_batch, make_batches
from invnet.train.checkpoint import load_checkpoint, save_checkpoint
from invnet.train.checks import check_data, check_kinds, check_loss
from invnet.train.networks import Objective, channels_last, compiled, mixed_precision
from invnet.train.options import TrainOptions
from invnet.train.processes import Fabric, Processes
from invnet.train.progress import Display
from invnet.train.result import TrainResult
from invnet.train.state import check_same_run, identity_of, restore_optimizer
from invnet.train.validation import has_images, validate

__all__ = ["train"]

OptimizerOf = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]

_STEP, _GLOBAL = 2, 3  # what a seed is for
_CHECK_EVERY = 20  # steps between two looks at the losses on a device that works ahead


def train(
    model: nn.Module,
    data: Data,
    loss: Loss | None = None,
    *,
    physics: PhysicsOf | None = None,
    validation: Data | None = None,
    options: TrainOptions | None = None,
    optimizer: OptimizerOf | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    log: str | os.PathLike[str] | None = None,
    fabric: Fabric | None = None,
) -> TrainResult:
    """Train a model, in place.

    What the data are decides what is learned from:

    - images and a physics: the measurements are simulated, on the model's device, anew at each step;
    - images and their measurements (`invnet.data.Pairs`), the physics known or not;
    - measurements (`invnet.data.Measurements`) and their physics alone, with a self-supervised loss.

    Everything random depends on the seed and the step alone: not on the number of workers, nor on whether a run was
    interrupted. After a run the model is in evaluation mode. It has the weights of the best validation if there were
    validation data, else the last ones (with ``options.ema`` their running mean).

    Parameters
    ----------
    model : torch.nn.Module
        A `Reconstructor`; or a network, which is called as the denoiser ``model(y, sigma)`` if the physics is Gaussian
        noise on the image itself, and else as ``model(y)``.
    data : dataset, list or tensor
        Images, or mappings from names to tensors: x the image, y the measurement; see `invnet.data`. With a method
        ``draw(index, generator)`` a sample is drawn by that.
    loss : invnet.losses.Loss, optional
        By default the mean square distance from the images.
    physics : Physics or callable, optional
        Of all measurements; or ``physics(tensors, generator)``, which makes one for each batch of named tensors, as
        `invnet.data.GaussianLevels` does.
    validation : dataset, list or tensor, optional
        Data as above, of any sizes.
    options : TrainOptions, optional
    optimizer : callable, optional
        From the parameters to an optimiser; by default Adam with ``options.lr``. Learning rates are scaled as the
        options say.
    checkpoint : path-like, optional
        The file that the state of the run is kept in. It is replaced as a whole, and holds a whole state at any time.
    resume : bool
        Whether to go on from the checkpoint if there is one already. A run that was killed and goes on ends with the
        same weights as one that was not: on a CPU, bit for bit. Only `options.steps` may be larger than before.
    log : path-like, optional
        A folder for TensorBoard.
    fabric : lightning_fabric.Fabric, optional
        For several devices: launched, with every process calling this function alike.

    Returns
    -------
    TrainResult

    Raises
    ------
    TypeError, ValueError
        If something does not fit: data that the loss can't use, a checkpoint of another run or damaged, ...
    FloatingPointError
        If the loss or the weights are not finite at a step. The checkpoint then stays what it was before.
    FileExistsError
        If there is a checkpoint and the run is not to go on from it.

    Examples
    --------
    >>> import invnet
    >>> images = [invnet.data.sample_image(name, size=64) for name in ("camera", "coins")]
    >>> net = invnet.nets.DnCNN(depth=3, width=8)
    >>> options = invnet.TrainOptions(steps=20, batch_size=4, progress=False)
    >>> result = invnet.train(
    ...     net, invnet.data.Patches(images, 16), physics=invnet.data.GaussianLevels(0.1), options=options
    ... )
    >>> result.losses[-1] < result.losses[0]
    True
    """
    run = _Run(model, data, loss, physics, validation, options, optimizer, checkpoint, fabric)
    run.prepare(resume)
    run.go(log)
    return run.result


class _Run:
    """The state of a run, and what changes it."""

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        loss: Loss | None,
        physics: PhysicsOf | None,
        validation: Data | None,
        options: TrainOptions | None,
        optimizer: OptimizerOf | None,
        checkpoint: str | os.PathLike[str] | None,
        fabric: Fabric | None,
    ) -> None:
        check_kinds(model, loss, physics, options, optimizer, fabric)
        self.options = options or TrainOptions()
        self.model, self.data, self.physics, self.validation = model, data, physics, validation
        self.processes = Processes(model, fabric)
        self.loss = (Supervised() if loss is None else loss).to(self.processes.device)
        check_data(data, "data")
        if validation is not None:
            check_data(validation, "validation")
        if self.options.batch_size % self.processes.count:
            raise ValueError(
                f"train: {self.processes.count} processes can't share batches of {self.options.batch_size} samples"
            )
        if self.options.channels_last:
            channels_last(model)
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if not self.parameters:
            raise ValueError(f"train: {type(model).__name__} has no parameters to train")
        self.optimizer = optimizer(self.parameters) if optimizer else _adam(self.parameters, self.options.lr)
        self.highest = [group["lr"] for group in self.optimizer.param_groups]
        self.average = None if self.options.ema is None else WeightAverage(model, self.options.ema)
        self.objective = Objective(model, self.loss)
        self.best: dict[str, torch.Tensor] | None = None
        self.result = TrainResult()
        if validation is not None and not has_images(validation):
            self.result.metric = "loss"
        self.path = None if checkpoint is None else Path(checkpoint)
        self.pending: list[torch.Tensor] = []

    # ---------------------------------------------------------------- the run

    def prepare(self, resume: bool) -> None:
        """Begin, or go on from the checkpoint."""
        if resume and self.path is None:
            raise ValueError("train: resume=True takes the checkpoint to go on from; give it as checkpoint=...")
        if self.path is None or not self.path.exists():
            return
        if not resume:
            raise FileExistsError(f"train: there is a checkpoint {self.path}; resume=True goes on from it")
        self._restore(load_checkpoint(self.path), self.path)

    def go(self, log: str | os.PathLike[str] | None) -> None:
        """Do the steps that are left."""
        options, device = self.options, self.processes.device
        show = self.processes.rank == 0
        steps = range(self.result.steps, options.steps)
        images = options.batch_size * options.steps
        with contextlib.ExitStack() as around:
            devices = [device] if device.type == "cuda" else []
            around.enter_context(torch.random.fork_rng(devices))
            around.enter_context(mixed_precision(self.model, options.precision, device))
            around.enter_context(compiled(self.model, options.compile))
            display = around.enter_context(
                Display(images, steps.start * options.batch_size, options.progress and show, log if show else None)
            )
            self.processes.begin_alike(self.loss)
            objective = self.processes.joined(self.objective)
            self.model.train()
            batches = make_batches(
                self.data,
                steps,
                options.batch_size,
                options.seed,
                self.processes.rank,
                self.processes.count,
                options.workers,
                device,
            )
            for step, tensors in zip(steps, batches, strict=False):
                if self.result.stopped:
                    break
                self._step(step, tensors, objective)
                self._after(step + 1, display)
        if self.best is not None:
            self.model.load_state_dict(self.best)
        elif self.average is not None:
            self.average.copy_to_model()
        self.model.eval()

    def _step(self, step: int, tensors: Tensors, objective: Callable[..., torch.Tensor]) -> None:
        options, place = self.options, (step, self.processes.rank)
        torch.manual_seed(seeded_number(options.seed, _GLOBAL, *place))  # dropout
        generator = seeded_generator(options.seed, _STEP, *place, device=self.processes.device)
        batch = make_batch(tensors, self.physics, generator)
        for group, highest in zip(self.optimizer.param_groups, self.highest, strict=True):
            group["lr"] = highest * options.learning_rate_factor(step)
        self.optimizer.zero_grad(set_to_none=True)
        value = objective(batch, generator)
        check_loss(value, self.loss.name)
        self.processes.backward(value)
        if options.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, options.clip)
        self.pending.append(value.detach())
        if self.processes.device.type == "cpu" or len(self.pending) == _CHECK_EVERY:
            self._look()
        self.optimizer.step()
        if self.average is not None:
            self.average.update()

    def _after(self, done: int, display: Display) -> None:
        """What is due when so many steps are done."""
        options, last = self.options, done == self.options.steps
        display.advance(options.batch_size)
        if self.validation is not None and (last or done % options.validate_every == 0):
            self._look()
            self._validate(done)
            display.show(done, **{self.result.metric: self.result.validations[-1][1]})
        if not self.pending and self.result.losses:
            rate = self.optimizer.param_groups[0]["lr"]
            display.show(done, loss=self.result.losses[-1], lr=rate)
        if self.path is not None and (last or self.result.stopped or done % options.checkpoint_every == 0):
            self._look()
            self._save(done)

    def _look(self) -> None:
        """Take note of the losses; the first that is not finite ends the run."""
        if not self.pending:
            return
        losses = self.processes.total(torch.stack(self.pending).double()) / self.processes.count
        self.pending.clear()
        for value in losses.tolist():
            if not math.isfinite(value):
                step = self.result.steps + 1
                # Before the first step nothing has been learned that could have diverged.
                advice = "are the data finite?" if step == 1 else "a lower lr or clip=1.0 may help."
                raise FloatingPointError(f"train: the loss is {value} at step {step}; {advice} {self._kept()}")
            self.result.losses.append(value)

    def _kept(self) -> str:
        if self.path is None or not self.path.exists():
            return "There is no checkpoint"
        return f"The checkpoint {self.path} is that of an earlier step"

    def _validate(self, done: int) -> None:
        options, result = self.options, self.result
        with contextlib.nullcontext() if self.average is None else self.average.in_place():
            assert self.validation is not None
            value = validate(
                self.objective, self.validation, self.physics, options.seed, options.data_range, self.processes
            )
            result.validations.append((done, value))
            assert result.best is not None
            if result.best[0] == done:
                self.best = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        since = sum(step > result.best[0] for step, _ in result.validations)
        result.stopped = options.patience is not None and since >= options.patience

    # ---------------------------------------------------------------- checkpoints

    def _save(self, done: int) -> None:
        for name, tensor in self.model.state_dict().items():
            if not bool(torch.isfinite(tensor).all()):
                raise FloatingPointError(f"train: {name} is not finite after step {done}. {self._kept()}")
        if self.processes.rank == 0:
            assert self.path is not None
            save_checkpoint(self.path, self._state())
        self.processes.wait()

    def _state(self) -> dict[str, Any]:
        result = self.result
        return {
            "run": identity_of(self.model, self.data, self.loss, self.options),
            "steps": result.steps,
            "losses": torch.tensor(result.losses, dtype=torch.float64),
            "validations": result.validations,
            "stopped": result.stopped,
            "model": dict(self.model.state_dict()),
            "loss": dict(self.loss.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state(),
            "best": self.best,
        }

    def _restore(self, state: dict[str, Any], path: Path) -> None:
        check_same_run(state["run"], identity_of(self.model, self.data, self.loss, self.options), path)
        self.model.load_state_dict(state["model"])
        self.loss.load_state_dict(state["loss"])
        restore_optimizer(self.optimizer, state["optimizer"])
        if self.average is not None:
            self.average.restore(state["average"])
        self.best = state["best"]
        self.result = dataclasses.replace(
            self.result,
            losses=state["losses"].tolist(),
            validations=[(step, value) for step, value in state["validations"]],
            stopped=state["stopped"],
        )


def _adam(parameters: list[nn.Parameter], lr: float) -> torch.optim.Optimizer:
    """Adam, in one pass over the weights where there is a kernel for that."""
    fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)
    return torch.optim.Adam(parameters, lr, fused=fused)
