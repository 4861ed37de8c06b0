"""What a recipe is, and how it is followed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping

import torch
from torch import nn

from invnet.data import ImageFolder
from invnet.data.patches import Images
from invnet.losses import Loss
from invnet.train import TrainOptions, TrainResult, train
from invnet.train.batches import Data, PhysicsOf

__all__ = ["MODERN", "Recipe", "follow"]

# What serves all of them: Adam under a cosine, a running mean of the weights, networks in 16 bits.
MODERN = TrainOptions(
    steps=20_000,
    warmup=500,
    clip=1.0,
    ema=0.999,
    precision="bfloat16",
    validate_every=1000,
    checkpoint_every=500,
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a model of the library was trained, from its architecture to its last option.

    Attributes
    ----------
    title : str
        What is trained, in a few words.
    model : callable
        Makes the untrained model.
    samples : callable
        From the images of a folder to training samples.
    physics : Physics or callable
        Of the measurements, as `invnet.train` takes it.
    loss : callable
        Makes the loss.
    options : TrainOptions
    gray : bool
        Whether images are read as grey.
    prepare : callable, optional
        Gives the untrained model the weights to begin with, where they are not random.
    optimizer : callable, optional
        From the parameters to an optimiser, as `invnet.train` takes it.

    Examples
    --------
    >>> import invnet
    >>> recipe = invnet.recipes.RECIPES["denoiser-gray"]
    >>> recipe.model().name
    'DRUNet'
    """

    title: str
    model: Callable[[], nn.Module]
    samples: Callable[[Images], Data]
    physics: PhysicsOf
    loss: Callable[[], Loss]
    options: TrainOptions
    gray: bool = True
    prepare: Callable[[nn.Module], None] | None = None
    optimizer: Callable[..., torch.optim.Optimizer] | None = None


def follow(
    recipe: Recipe,
    images: str | os.PathLike[str],
    validation: str | os.PathLike[str] | None = None,
    *,
    start: Mapping[str, torch.Tensor] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    steps: int | None = None,
    progress: bool = True,
) -> tuple[nn.Module, TrainResult]:
    """Train a model as a recipe says; a run that was interrupted goes on from its checkpoint.

    Parameters
    ----------
    recipe : Recipe
    images, validation : path-like
        Folders of photographs, to train and to choose the best weights with.
    start : mapping of str to torch.Tensor, optional
        The weights to begin with, the `state_dict` of such a model (its names and shapes), instead of random ones: to
        train a model longer, or to fit it to images of one's own.
    checkpoint : path-like, optional
        The file that the state of the run is kept in.
    device : str
        Where to train.
    steps : int, optional
        Other than the recipe's, to try it.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    model : torch.nn.Module
        On the CPU, in evaluation mode.
    result : TrainResult

    Raises
    ------
    FileNotFoundError, ValueError
        If a folder is not there or holds no image, or `start` is of another architecture.

    Examples
    --------
    >>> import invnet
    >>> recipe = invnet.recipes.RECIPES["denoiser-gray"]
    >>> net, result = invnet.recipes.follow(recipe, "BSDS500/train", "set12", checkpoint="run")  # doctest: +SKIP
    """
    options = dataclasses.replace(recipe.options, progress=progress)
    if steps is not None:
        options = dataclasses.replace(options, steps=steps, warmup=min(options.warmup, steps))
    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        model = recipe.model()
    if start is not None:
        _begin_with(model, start, recipe)
    elif recipe.prepare is not None:
        recipe.prepare(model)
    model.to(device)
    result = train(
        model,
        recipe.samples(ImageFolder(images, gray=recipe.gray)),
        recipe.loss(),
        physics=recipe.physics,
        validation=None if validation is None else ImageFolder(validation, gray=recipe.gray),
        options=options,
        optimizer=recipe.optimizer,
        checkpoint=checkpoint,
        resume=checkpoint is not None,
    )
    return model.cpu(), result


def _begin_with(model: nn.Module, start: Mapping[str, torch.Tensor], recipe: Recipe) -> None:
    shapes = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    given = {name: tuple(weight.shape) for name, weight in start.items()}
    if shapes != given:
        odd = next(name for name in {**shapes, **given} if shapes.get(name) != given.get(name))
        raise ValueError(
            f"follow: start takes weights of the model for {recipe.title!r}, in which {odd} is "
            f"{shapes.get(odd, 'not there')}; got one in which it is {given.get(odd, 'not there')}"
        )
    model.load_state_dict(start)  # in 32 bits, whatever they were kept in
