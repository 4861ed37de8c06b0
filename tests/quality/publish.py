"""Put a run's weights into the library, with their card: ``python -m tests.quality.publish NAME CHECKPOINT --...``.

The weights are those that the run would leave in the model if it ended there; the card tells how many of its steps were
done by then.
"""

import argparse
import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import save

import invnet
from invnet.recipes import RECIPES
from invnet.train.checkpoint import load_checkpoint
from invnet.train.networks import networks
from tests.quality.models import QUALITY, add_folders, given_folders

FOLDER = Path(invnet.__file__).parent / "pretrained"


def half(tensor):
    """In 16 bits, which is half the room and costs no accuracy that can be seen."""
    return (tensor.to(torch.float16) if tensor.is_floating_point() else tensor).contiguous()


def architecture(model):
    """The model's class, with the classes of the networks within it."""
    within = dict.fromkeys(type(net).__name__ for net in networks(model) if net is not model)
    return f"{type(model).__name__} with {', '.join(within)}" if within else type(model).__name__


def parsed():
    """The command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(QUALITY))
    parser.add_argument("checkpoint")
    parser.add_argument("--data", required=True, help="what it was trained with")
    parser.add_argument("--duration", required=True)
    parser.add_argument("--machine", required=True)
    parser.add_argument(
        "--before",
        type=int,
        nargs="*",
        default=[],
        metavar="STEPS",
        help="of the runs before, each of which the next began with",
    )
    add_folders(parser)
    return parser.parse_args()


def training(name, state, before):
    """The commands that give a checkpoint's weights, and how many steps they take, as the card tells them."""
    options = "--images DIR" if state["best"] is None else "--images DIR --validation DIR"
    files = [f"{name}-{k}" for k in range(1, 1 + len(before))] + [name]
    runs = [f"invnet train {name} {options} --out {file}.safetensors" for file in files]
    if not before:
        return runs[0], f"{state['steps']} of {RECIPES[name].options.steps}"
    lengths = [*before, state["steps"]]
    begins = ["", *(f" --start {file}.safetensors" for file in files[:-1])]
    runs = [f"{run}{start} --steps {n}" for run, start, n in zip(runs, begins, lengths, strict=True)]
    return "; ".join(runs), " and ".join(map(str, lengths))


def main():
    """Write the weights, measure them, and write the card."""
    arguments = parsed()
    recipe = RECIPES[arguments.name]
    model = recipe.model()
    invnet.load_trained(model, arguments.checkpoint)
    command, steps = training(arguments.name, load_checkpoint(Path(arguments.checkpoint)), arguments.before)
    content = save({key: half(tensor) for key, tensor in model.state_dict().items()})
    (FOLDER / f"{arguments.name}.safetensors").write_bytes(content)
    card = {
        "title": recipe.title,
        "recipe": arguments.name,
        "architecture": architecture(model),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "data": arguments.data,
        "command": command,
        "steps": steps,
        "seed": recipe.options.seed,
        "duration": arguments.duration,
        "machine": arguments.machine,
        "quality": {},
        "licence": "MIT",
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    path = FOLDER / f"{arguments.name}.json"
    path.write_text(json.dumps(card, indent=2) + "\n")
    measured = QUALITY[arguments.name].measure(arguments.name, given_folders(arguments))
    card["quality"] = {test: round(value, 2) for test, value in measured.items()}
    path.write_text(json.dumps(card, indent=2) + "\n")
    print(path.read_text())


if __name__ == "__main__":
    main()
