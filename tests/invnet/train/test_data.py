"""What there is to train with: folders, patches, noise levels, pairs."""

import numpy as np
import pytest
import skimage
import torch
from scipy import stats

from invnet.data import GaussianLevels, ImageFolder, Measurements, Pairs, Patches
from invnet.train.batches import make_batches
from tests.invnet.train.models import random


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "more").mkdir()
    skimage.io.imsave(tmp_path / "b.png", skimage.data.astronaut()[:40, :30], check_contrast=False)
    skimage.io.imsave(tmp_path / "a.tif", skimage.data.camera()[:20, :25], check_contrast=False)
    alpha = np.full((12, 14, 1), 255, np.uint8)
    skimage.io.imsave(
        tmp_path / "more/c.png", np.concatenate([skimage.data.cat()[:12, :14], alpha], 2), check_contrast=False
    )
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_folder_of_images(folder, in_memory):
    grey, colour = ImageFolder(folder, in_memory=in_memory), ImageFolder(folder, gray=False, in_memory=in_memory)
    assert [image.shape for image in grey] == [(20, 25), (40, 30), (12, 14)]
    assert [image.shape for image in colour] == [(3, 20, 25), (3, 40, 30), (3, 12, 14)]
    np.testing.assert_allclose(grey[0].numpy(), skimage.data.camera()[:20, :25] / 255, atol=1e-6)
    np.testing.assert_allclose(grey[1].numpy(), skimage.color.rgb2gray(skimage.data.astronaut())[:40, :30], atol=1e-6)
    np.testing.assert_allclose(colour[2].numpy(), skimage.data.cat()[:12, :14].transpose(2, 0, 1) / 255, atol=1e-6)
    assert torch.equal(colour[0], grey[0].expand(3, -1, -1))


def test_a_damaged_image_is_named(folder):
    (folder / "a.tif").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"ImageFolder: .*a\.tif can't be read as an image"):
        ImageFolder(folder)


def test_patches_are_parts_of_their_image():
    image = torch.arange(7 * 9.0).reshape(7, 9)
    patches = Patches([image], (3, 4), augment=False, per_image=50)
    assert len(patches) == 50
    corners = set()
    for patch in (patches[i] for i in range(50)):
        top, left = divmod(int(patch[0, 0]), 9)
        assert torch.equal(patch, image[top : top + 3, left : left + 4])
        corners.add((top, left))
    assert len(corners) > 20  # of 30


def test_all_orientations_are_as_likely():
    image = torch.arange(16.0).reshape(4, 4)
    patches = Patches(image[None], 4, per_image=4000)
    orientations = {
        tuple(torch.rot90(flipped, k).flatten().tolist()): 0 for flipped in (image, image.T) for k in range(4)
    }
    for i in range(4000):
        orientations[tuple(patches[i].flatten().tolist())] += 1
    assert stats.chisquare(list(orientations.values())).pvalue > 1e-3


def test_patches_that_are_not_square_are_not_turned():
    assert {patch.shape for patch in Patches(torch.zeros(2, 3, 8, 9), (4, 6))} == {(3, 4, 6)}


def test_noise_levels_fill_their_range():
    x = torch.zeros(500, 8, 8)
    physics = GaussianLevels(0.1, 0.3)({"x": x}, torch.Generator().manual_seed(0))
    sigma = physics.noise.sigma.flatten().numpy()
    assert stats.kstest(sigma, "uniform", args=(0.1, 0.2)).pvalue > 1e-3
    y = physics(x, generator=torch.Generator().manual_seed(1))
    ratio = y.square().sum((1, 2)).numpy() / sigma**2
    assert stats.kstest(ratio, "chi2", args=(64,)).pvalue > 1e-3
    assert (GaussianLevels(0, 1)({"x": x}, torch.Generator()).noise.sigma > 0).all()
    assert (GaussianLevels(0.2)({"x": x}, torch.Generator()).noise.sigma == 0.2).all()


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_do_not_depend_on_the_number_of_workers(workers):
    data = Patches(random(7, 12, 12), 5)
    alone, shared = (list(make_batches(data, range(6), batch_size=4, seed=3, workers=count)) for count in (0, workers))
    assert all(torch.equal(a["x"], b["x"]) for a, b in zip(alone, shared, strict=True))
    later = list(make_batches(data, range(4, 6), batch_size=4, seed=3))
    assert all(torch.equal(a["x"], b["x"]) for a, b in zip(alone[4:], later, strict=True))
    other = next(make_batches(data, range(6), batch_size=4, seed=4))
    assert not torch.equal(other["x"], alone[0]["x"])


def test_each_pass_takes_every_sample_once_in_an_order_of_its_own():
    data = torch.arange(10.0)[:, None]
    batches = list(make_batches(data, range(10), batch_size=4, seed=0))
    passes = torch.cat([batch["x"].flatten() for batch in batches]).reshape(4, 10)
    assert all(torch.equal(order.sort().values, torch.arange(10.0)) for order in passes)
    assert len({tuple(order.tolist()) for order in passes}) == 4


def test_processes_share_a_batch():
    data = Patches(random(7, 12, 12), 5)
    whole = list(make_batches(data, range(3), batch_size=4, seed=0))
    shares = [list(make_batches(data, range(3), 4, 0, rank=rank, ranks=2)) for rank in (0, 1)]
    for batch, first, second in zip(whole, *shares, strict=True):
        assert torch.equal(batch["x"], torch.cat([first["x"], second["x"]]))


def test_pairs_and_measurements():
    x, y = random(3, 4), random(3, 2, seed=1)
    assert torch.equal(Pairs(x, y)[1]["x"], x[1])
    assert torch.equal(Pairs(x, y)[1]["y"], y[1])
    assert Measurements(y)[2].keys() == {"y"}
    assert torch.equal(Measurements(y, y + 1)[2]["second"], y[2] + 1)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda path: ImageFolder(path / "no"), FileNotFoundError, "ImageFolder: there is no folder .*no"),
        (lambda path: ImageFolder(path), ValueError, r"ImageFolder: .* holds no image \(\.png, "),
        (lambda path: Patches([], 4), ValueError, "Patches: there are no images"),
        (lambda path: Patches(torch.zeros(1, 4, 4), 0), ValueError, "Patches: size must be at least 1, got 0"),
        (
            lambda path: Patches(torch.zeros(1, 4, 6), 5)[0],
            ValueError,
            r"Patches: patches of 5x5 do not fit into image 0 of shape \(4, 6\)",
        ),
        (lambda path: Patches(torch.zeros(3, 4), 2)[0], ValueError, "do not fit into image 0"),
        (lambda path: Patches(["cat"], 2)[0], TypeError, "Patches: an image takes a torch.Tensor, got str"),
        (lambda path: GaussianLevels(-0.1), ValueError, "GaussianLevels: low must be at least 0, got -0.1"),
        (lambda path: GaussianLevels(0.2, 0.1), ValueError, "high must be positive and at least low, got 0.2 to 0.1"),
        (lambda path: GaussianLevels("0"), TypeError, "low takes a real number"),
        (lambda path: GaussianLevels(0.1)({"y": random(2)}, None), ValueError, "draws noise for images x, got y alone"),
        (lambda path: Pairs(random(3, 2), random(2, 2)), ValueError, "Pairs: takes as many .*, got 3 and 2"),
        (lambda path: Measurements([]), ValueError, "Measurements: there are no data"),
    ],
)
def test_mistakes_are_named(tmp_path, call, error, words):
    with pytest.raises(error, match=words):
        call(tmp_path)
