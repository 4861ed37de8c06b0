"""The pretrained models: what they are, what they do, and what happens to damaged files."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

import invnet
import operators
from invnet import cards
from invnet.pretrained import card, names
from invnet.recipes import RECIPES
from invnet.reconstruct import Reconstructor

NAMES = names()
FIELDS = {"title", "recipe", "architecture", "parameters", "data", "command", "steps", "seed", "duration", "machine"}
FIELDS |= {"quality", "licence", "sha256"}


def test_there_are_some():
    assert "denoiser-gray" in NAMES


def test_all_together_are_small():
    files = Path(cards.FOLDER).glob("*.safetensors")
    assert sum(file.stat().st_size for file in files) < 20e6


@pytest.mark.parametrize("name", NAMES)
def test_has_a_card_and_loads(name):
    about = card(name)
    assert set(about) == FIELDS
    assert about["recipe"] in RECIPES
    assert about["quality"]
    model = invnet.pretrained(name)
    assert not model.training
    assert sum(parameter.numel() for parameter in model.parameters()) == about["parameters"]
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("denoiser")])
@pytest.mark.parametrize("sigma", [15 / 255, 50 / 255])
def test_denoisers_denoise_images_of_any_batch_and_size(name, sigma):
    denoiser = invnet.pretrained(name)
    assert not isinstance(denoiser, Reconstructor)
    gray = name.endswith("gray")
    x = invnet.data.sample_image("cat", size=128, gray=gray)[..., :101, :90]
    x = torch.stack([x, x.flip(-1)])
    y = x + sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    gain = invnet.metrics.psnr(denoiser(y, sigma), x) - invnet.metrics.psnr(y, x)
    assert (gain > 5).all()


@pytest.mark.parametrize("name", [name for name in NAMES if "-x" in name])
def test_super_resolution_is_better_than_interpolation_for_any_batch_and_size(name):
    factor, model = int(name[-1]), invnet.pretrained(name)
    x = invnet.data.sample_image("astronaut", size=160)[:156, :148]
    x = torch.stack([x, x.flip(-1)])
    physics = invnet.Physics(operators.Downsample(tuple(x.shape[-2:]), factor))
    y = physics(x)
    bicubic = invnet.metrics.psnr(physics.direct_inverse(y), x)
    assert (invnet.metrics.psnr(model(y, physics), x) > bicubic + 0.7).all()


def test_super_resolution_refuses_another_factor():
    physics = invnet.Physics(operators.Downsample((24, 24), 4))
    with pytest.raises(ValueError, match=r"must give an image of shape \(24, 24\), but gave \(12, 12\)"):
        invnet.pretrained("edsr-x2")(torch.zeros(6, 6), physics)


def test_loading_leaves_the_random_state_alone():
    state = torch.random.get_rng_state()
    invnet.pretrained("denoiser-gray")
    assert torch.equal(torch.random.get_rng_state(), state)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match=r"no model 'denoiser-grey'; did you mean 'denoiser-gray'\? There are"):
        invnet.pretrained("denoiser-grey")
    with pytest.raises(ValueError, match=r"no model 'x'\. There are .*denoiser-gray"):
        invnet.pretrained("x")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for path in Path(cards.FOLDER).glob("denoiser-gray.*"):
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(cards, "FOLDER", tmp_path)
    return tmp_path


def test_a_prior_is_given_as_such(tmp_path, monkeypatch):
    monkeypatch.setattr(cards, "FOLDER", tmp_path)
    trained = RECIPES["ridge"].model()
    content = save(trained.state_dict())
    (tmp_path / "ridge.safetensors").write_bytes(content)
    about = {"recipe": "ridge", "sha256": hashlib.sha256(content).hexdigest()}
    (tmp_path / "ridge.json").write_text(json.dumps(about))
    prior = invnet.pretrained("ridge")
    assert isinstance(prior, invnet.priors.ConvexRidge)
    x = invnet.data.sample_image("cat", size=32)
    assert torch.equal(prior(x), trained.prior(x))
    physics = invnet.Physics(operators.Identity((32, 32)), invnet.noise.Gaussian(0.1))
    assert invnet.MAP(prior, strength=1.0, tol=1e-2)(x, physics).shape == x.shape


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:-1], lambda content: b"", lambda content: content[:-1] + bytes([content[-1] ^ 1])],
    ids=["truncated", "empty", "a flipped bit"],
)
def test_damaged_weights_are_refused(folder, damage):
    path = folder / "denoiser-gray.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(OSError, match=r"denoiser-gray\.safetensors is damaged: its SHA-256 is"):
        invnet.pretrained("denoiser-gray")


@pytest.mark.parametrize("name", NAMES)
def test_the_page_tells_the_measured_quality(name):
    page = (Path(__file__).parents[2] / "docs/quality/index.rst").read_text()
    assert f"``{name}``" in page
    for value in card(name)["quality"].values():
        assert f"- {value:.2f}\n" in page


def test_the_page_names_the_recipes_without_weights():
    page = (Path(__file__).parents[2] / "docs/quality/index.rst").read_text()
    assert all(f"``{name}``" in page for name in RECIPES)
