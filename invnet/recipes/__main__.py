"""Follow a recipe: ``python -m invnet.recipes denoiser-gray --images DIR --validation DIR --out FILE``."""

import argparse
from pathlib import Path

from safetensors.torch import save_file

from invnet.recipes import RECIPES, follow


def main() -> None:
    """Train, and write the weights."""
    parser = argparse.ArgumentParser(prog="python -m invnet.recipes", description=__doc__)
    parser.add_argument("recipe", choices=sorted(RECIPES))
    parser.add_argument("--images", required=True, help="a folder of photographs to train with")
    parser.add_argument("--validation", help="a folder of photographs to choose the best weights with")
    parser.add_argument("--out", required=True, help="the file of the weights; the run's state is kept beside it")
    parser.add_argument("--device", default="cpu", help="where to train (default: cpu)")
    parser.add_argument("--steps", type=int, help="other than the recipe's, to try it")
    arguments = parser.parse_args()

    out = Path(arguments.out)
    model, result = follow(
        RECIPES[arguments.recipe],
        arguments.images,
        arguments.validation,
        checkpoint=out.with_suffix(".checkpoint"),
        device=arguments.device,
        steps=arguments.steps,
    )
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, out)
    print(result)


if __name__ == "__main__":
    main()
