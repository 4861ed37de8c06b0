"""``invnet train`` on photographs."""

import dataclasses

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from invnet.data import sample_image, write_png
from invnet.recipes import RECIPES
from invnet_cli.app import main


@pytest.fixture
def train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photographs").mkdir()
    for name in ("astronaut", "coffee"):
        write_png(f"photographs/{name}.png", sample_image(name, size=128, gray=False))
    recipe = RECIPES["denoiser-gray"]
    monkeypatch.setitem(
        RECIPES, "denoiser-gray", dataclasses.replace(recipe, options=dataclasses.replace(recipe.options, batch_size=1))
    )
    return lambda *arguments: CliRunner().invoke(main, ["train", *map(str, arguments), "--out", "net.safetensors"])


def test_weights_that_load(train, tmp_path):
    result = train("denoiser-gray", "--images", "photographs", "--validation", "photographs", "--steps", 1)
    assert result.exit_code == 0, result.output
    assert "net.safetensors: TrainResult(1 steps" in result.output
    model = RECIPES["denoiser-gray"].model()
    model.load_state_dict(load_file("net.safetensors"))
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert {path.name for path in tmp_path.iterdir()} == {"photographs", "net.safetensors", "net.checkpoint"}
    again = train("denoiser-gray", "--images", "photographs", "--steps", 1)
    assert again.exit_code == 1
    assert again.output == "Error: net.safetensors exists; --force replaces it\n"


def test_mistakes(train):
    unknown = train("denoiser-grey", "--images", "photographs")
    assert unknown.exit_code == 2
    assert "there is no recipe 'denoiser-grey'; did you mean denoiser-gray" in unknown.output
    assert train("denoiser-gray", "--images", "nowhere").exit_code == 2


def test_recipes_are_listed():
    output = CliRunner().invoke(main, ["list", "recipes"]).output
    assert all(name in output and recipe.title in output for name, recipe in RECIPES.items())
