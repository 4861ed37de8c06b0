"""``invnet train`` on photographs."""

import dataclasses

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from invnet.data import sample_image, write_png
from invnet.pretrained import weights
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


def test_a_run_begins_with_given_weights(train, tmp_path):
    arguments = ["denoiser-gray", "--images", "photographs", "--steps", 1]
    assert train(*arguments, "--start", "denoiser-gray").exit_code == 0
    by_name = load_file("net.safetensors")
    first, trained = weights("denoiser-gray"), by_name["first.weight"]
    assert 0 < (trained - first["first.weight"]).abs().max() < 0.01
    save_file(first, tmp_path / "start.safetensors")
    (tmp_path / "net.checkpoint").unlink()
    assert train(*arguments, "--start", "start.safetensors", "--force").exit_code == 0
    assert torch.equal(load_file("net.safetensors")["first.weight"], trained)


def test_mistakes(train, tmp_path):
    unknown = train("denoiser-grey", "--images", "photographs")
    assert unknown.exit_code == 2
    assert "there is no recipe 'denoiser-grey'; did you mean denoiser-gray" in unknown.output
    assert train("denoiser-gray", "--images", "nowhere").exit_code == 2
    (tmp_path / "none.safetensors").write_bytes(b"nothing")
    for start, words in {
        "nothing": "nothing: there is no such file, and no pretrained model; there are ct-itnet",
        "none.safetensors": "none.safetensors: no weights in safetensors",
        "srcnn-x2": "start takes weights of the model for 'denoiser of grey photographs",
    }.items():
        result = train("denoiser-gray", "--images", "photographs", "--start", start)
        assert result.exit_code == 1
        assert words in result.output


def test_recipes_are_listed():
    output = CliRunner().invoke(main, ["list", "recipes"]).output
    assert all(name in output and recipe.title in output for name, recipe in RECIPES.items())
