"""The training loop: what it learns, how it computes, when it ends."""

import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import invnet
from invnet import Physics, PostProcess, Reconstructor, TrainOptions, Unrolled, train
from invnet.data import GaussianLevels, Pairs, Patches
from invnet.losses import Loss
from invnet.nets import DnCNN, OnImages, UNet
from invnet.noise import Gaussian
from operators import AveragePool, Identity, from_function
from tests.invnet.train.models import Scale, options, random, same, small_net, weights

WIENER = 1 / (1 + 0.5**2)  # the best weight for images of variance 1 and noise of standard deviation 0.5


# ---------------------------------------------------------------- the regimes


def test_a_denoiser_of_one_weight_learns_wieners():
    net = Scale()
    result = train(net, random(4000, 8), physics=Physics(Identity(8), Gaussian(0.5)), options=options(steps=400))
    assert net.weight.item() == pytest.approx(WIENER, abs=0.01)
    assert sum(result.losses[-50:]) / 50 == pytest.approx(WIENER * 0.5**2, abs=0.01)  # the error of Wiener's filter
    assert not net.training


def test_pairs_need_no_physics():
    x = random(4000, 8)
    net = Scale()
    train(net, Pairs(x, x + 0.5 * random(4000, 8, seed=1)), options=options(steps=400))
    assert net.weight.item() == pytest.approx(WIENER, abs=0.01)


def test_a_reconstructor_learns_through_its_operator():
    """Of an image that is measured doubled, half the measurement, shrunk as Wiener does."""
    method = PostProcess(OnImages(Scale()))
    train(method, random(4000, 8), physics=Physics(2 * Identity(8), Gaussian(1.0)), options=options(steps=400))
    assert method.net.net.weight.item() == pytest.approx(WIENER, abs=0.01)


def test_the_noise_level_reaches_the_denoiser():
    """Told the level, one weight for each is learned: here, the least error is that of Wiener's for every level."""

    class Shrink(nn.Module):
        def __init__(self):
            super().__init__()
            self.power = nn.Parameter(torch.tensor(0.5))

        def forward(self, x, sigma):
            return x / (1 + sigma[:, None] ** (4 * self.power))

    net = Shrink()
    train(net, random(4000, 8), physics=GaussianLevels(0.2, 1.5), options=options(steps=600))
    assert net.power.item() == pytest.approx(0.5, abs=0.02)


def test_a_network_from_measurements_to_images():
    data = random(200, 1, 8, 8)
    net = nn.ConvTranspose2d(1, 1, 2, stride=2)
    result = train(net, data, physics=Physics(AveragePool((8, 8), 2)), options=options(steps=100))
    assert sum(result.losses[-10:]) < sum(result.losses[:10])


@pytest.mark.parametrize("shape", [(9, 8, 8), (9, 1, 8, 8), (9, 3, 8, 8)])
def test_images_of_any_shape(shape):
    train(small_net(), random(*shape), physics=GaussianLevels(0.1, 0.2), options=options(steps=2, batch_size=4))


def test_complex_images():
    net = small_net(in_channels=2)
    data = random(9, 8, 8, dtype=torch.complex64)
    result = train(net, data, physics=Physics(Identity((8, 8)), Gaussian(0.3)), options=options(steps=30))
    assert result.losses[-1] < result.losses[0]


# ---------------------------------------------------------------- how it computes


def test_the_same_whatever_the_number_of_workers_and_torchs_own_seed():
    data, physics = Patches(random(6, 16, 16), 8), GaussianLevels(0.1, 0.3)
    runs = []
    for workers in (0, 2):
        torch.manual_seed(workers)
        before = torch.get_rng_state()
        net = small_net()
        result = train(net, data, physics=physics, options=options(steps=6, batch_size=4, workers=workers))
        assert torch.equal(torch.get_rng_state(), before)  # torch's own is left alone
        runs.append((result.losses, weights(net)))
    assert runs[0][0] == runs[1][0]
    assert same(runs[0][1], runs[1][1])


def test_dropout_depends_on_the_seed():
    def losses(seed):
        net = nn.Sequential(small_net(), nn.Dropout(0.5))
        return train(net, Pairs(random(8, 1, 8, 8), random(8, 1, 8, 8)), options=options(steps=4, seed=seed)).losses

    assert losses(1) == losses(1) != losses(2)


class Spy(nn.Module):
    """A convolution that remembers the precision that its result had."""

    in_channels = out_channels = 1
    dims = 2

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 3, padding=1)
        self.seen = []

    def forward(self, x):
        result = self.layer(x)
        self.seen.append((self.training, result.dtype))
        return result


def test_networks_alone_compute_in_16_bits():
    seen = []

    def double(x):
        result = x @ (2 * torch.eye(8, dtype=x.dtype))  # autocast would round it
        seen.append(result.dtype)
        return result

    operator = from_function(double, (8, 8))
    spy = Spy()
    method = Unrolled(OnImages(spy), iterations=2, norm=2.0)
    data = random(8, 8, 8)
    chosen = options(steps=2, precision="bfloat16", batch_size=4)
    train(method, data, physics=Physics(operator, Gaussian(0.1)), validation=data[:1], options=chosen)
    assert set(seen) <= {torch.float32, torch.float64}
    assert set(spy.seen) == {(True, torch.bfloat16), (False, torch.float32)}
    assert spy.layer.weight.dtype == torch.float32
    assert "forward" not in vars(spy)  # as before
    spy.train()(data[:, None])
    assert spy.seen[-1] == (True, torch.float32)


def test_16_bits_learn_as_well():
    data = Patches(invnet.data.sample_image("camera", size=64)[None], 16, per_image=100)
    validation = invnet.data.sample_image("camera", size=64)[None]
    values = []
    for precision in ("float32", "bfloat16"):
        chosen = options(steps=150, batch_size=8, lr=1e-2, precision=precision)
        layer = nn.Conv2d(1, 1, 5, padding=2, bias=False)
        nn.init.zeros_(layer.weight)
        net = OnImages(layer, channels=1, dims=2)
        result = train(PostProcess(net), data, physics=GaussianLevels(0.1), validation=validation, options=chosen)
        values.append(result.best[1])
    assert values[0] == pytest.approx(values[1], abs=0.3)
    assert min(values) > 22  # the noisy image has 20 dB


def test_compiled_networks_learn_the_same(monkeypatch):
    """With a backend that compiles fast; only its graph differs from the default's."""
    compile_module = nn.Module.compile
    compiled = []

    def fast(self):
        compiled.append(self)
        compile_module(self, backend="aot_eager")

    monkeypatch.setattr(nn.Module, "compile", fast)
    runs = []
    for wanted in (False, True):
        net = small_net()
        chosen = options(steps=3, batch_size=4, precision="bfloat16", compile=wanted)
        result = train(PostProcess(net), random(4, 8, 8), physics=GaussianLevels(0.1), options=chosen)
        runs.append(result.losses)
    assert compiled == [net]
    assert net._compiled_call_impl is None  # as before
    assert runs[0] == pytest.approx(runs[1], rel=1e-2)


@pytest.mark.parametrize("dims", [2, 3])
def test_channels_last(dims):
    net = small_net(dims=dims)
    data = random(4, *[8] * dims)
    train(net, data, physics=GaussianLevels(0.1), options=options(steps=1, batch_size=2))
    layout = torch.channels_last if dims == 2 else torch.channels_last_3d
    assert net.layers[2].weight.is_contiguous(memory_format=layout)
    net = small_net(dims=dims)
    train(net, data, physics=GaussianLevels(0.1), options=options(steps=1, batch_size=2, channels_last=False))
    assert net.layers[2].weight.is_contiguous()


def test_the_average_of_the_weights():
    seen = []

    class Follow(Loss):
        def forward(self, model, batch, generator):
            seen.append(net.weight.item())
            return model(batch.y, batch.physics).mean()

    net = Scale(1.0)
    train(net, Pairs(torch.ones(4, 2), torch.ones(4, 2)), Follow(), options=options(steps=30, ema=0.9))
    mean = seen[0]
    final = Scale(1.0)
    train(final, Pairs(torch.ones(4, 2), torch.ones(4, 2)), Follow(), options=options(steps=30))
    for n, weight in enumerate([*seen[1:30], final.weight.item()], start=1):
        past = min(0.9, (1 + n) / (10 + n))
        mean = past * mean + (1 - past) * weight
    assert net.weight.item() == pytest.approx(mean, rel=1e-5)


def test_the_schedule_is_torchs():
    chosen = TrainOptions(steps=50, warmup=10, lr_end=0.1, lr=1.0)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(()))], lr=1.0)
    schedules = torch.optim.lr_scheduler
    rise = schedules.LinearLR(optimizer, start_factor=0.1, total_iters=9)
    fall = schedules.CosineAnnealingLR(optimizer, T_max=40, eta_min=0.1)
    schedule = schedules.SequentialLR(optimizer, [rise, fall], milestones=[10])
    for step in range(50):
        assert chosen.learning_rate_factor(step) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9)
        optimizer.step()
        schedule.step()
    assert TrainOptions(steps=50, warmup=5, schedule="constant").learning_rate_factor(40) == 1


def test_any_optimizer_with_the_schedule_on_top():
    rates = []

    class Watched(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    train(Scale(), Pairs(random(4, 2), random(4, 2)), optimizer=lambda p: Watched(p, lr=0.4), options=options(steps=4))
    assert rates == pytest.approx([0.2 * (1 + math.cos(math.pi * k / 4)) for k in range(4)])


def test_gradients_are_clipped():
    x = random(16, 4)
    nets = [Scale(), Scale()]
    for net, clip in zip(nets, (None, 1e-3), strict=True):
        chosen = options(steps=1, clip=clip, schedule="constant")
        train(net, Pairs(100 * x, x), optimizer=lambda p: torch.optim.SGD(p, lr=1.0), options=chosen)
    assert abs(nets[0].weight.item()) > 1
    assert nets[1].weight.item() == pytest.approx(1e-3, rel=1e-4)


# ---------------------------------------------------------------- validation and ends


def test_validation_is_the_psnr_and_the_best_weights_stay():
    """With a rate that grows the loss again, the model ends as it was at its best."""
    x = random(64, 1, 6, 6)
    validation = Pairs(x[:5], x[:5])
    net = Scale()
    chosen = options(steps=12, validate_every=1, schedule="constant", data_range=2.0)
    sgd = {"optimizer": lambda p: torch.optim.SGD(p, lr=1.4)}
    result = train(net, Pairs(x, x), validation=validation, options=chosen, **sgd)
    psnrs = [value for _, value in result.validations]
    assert result.best[1] == max(psnrs)
    images = net(x[:5])
    expected = 10 * torch.log10(4 / (images - x[:5]).square().mean((1, 2, 3))).mean().item()
    assert result.best[1] == pytest.approx(expected, abs=1e-4)


def test_training_ends_early():
    x = random(64, 6)
    result = train(
        Scale(1.0),
        Pairs(x, x),
        validation=Pairs(x, x),
        optimizer=lambda p: torch.optim.SGD(p, lr=0.1, momentum=0),
        options=options(steps=500, validate_every=2, patience=3),
    )
    assert result.stopped
    assert [step for step, _ in result.validations] == [2, 4, 6, 8]  # perfect from the first on
    assert result.steps == 8


def test_images_of_other_sizes_in_a_validation():
    sizes = [random(12, 9), random(7, 20)]
    result = train(
        small_net(), random(4, 8, 8), physics=GaussianLevels(0.1), validation=sizes, options=options(steps=1)
    )
    assert len(result.validations) == 1


def test_the_bar_shows_images_per_second(capsys):
    train(Scale(), Pairs(random(4, 2), random(4, 2)), options=options(steps=3, progress=True))
    bar = capsys.readouterr().err
    assert "192/192" in bar
    assert " images/s" in bar
    assert "loss=" in bar


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    data = Pairs(random(4, 2), random(4, 2))
    result = train(Scale(), data, validation=data, log=tmp_path, options=options(steps=3))
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert [event.value for event in events.Scalars("loss")] == pytest.approx(result.losses)
    assert events.Scalars("PSNR")[0].value == pytest.approx(result.best[1])


# ---------------------------------------------------------------- mistakes

PAIRS = Pairs(random(4, 8), random(4, 8))


class TwoNumbers(Loss):
    def forward(self, model, batch, generator):
        return model(batch.y, batch.physics)[0, :2]


class Constant(Loss):
    def forward(self, model, batch, generator):
        return 0.0


class OfData(Loss):
    def forward(self, model, batch, generator):
        return batch.y.square().mean()


class ImageAlone(Reconstructor):
    def __init__(self):
        super().__init__()
        self.net = Scale()

    def _reconstruct(self, y, physics):
        return self.net(y)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: train(lambda y: y, PAIRS), TypeError, "train: model takes a torch.nn.Module, got function"),
        (lambda: train(Scale(), PAIRS, "l2"), TypeError, r"loss takes a loss .* Supervised\('l1'\), got str 'l2'"),
        (lambda: train(Scale(), PAIRS, nn.MSELoss()), TypeError, "loss takes a loss of invnet.losses, .* got MSELoss"),
        (lambda: train(Scale(), PAIRS, options={"steps": 1}), TypeError, "takes an invnet.TrainOptions, got dict"),
        (lambda: train(Scale(), PAIRS, fabric="ddp"), TypeError, "takes a launched lightning_fabric.Fabric, got str"),
        (lambda: train(nn.Identity(), PAIRS), ValueError, "train: Identity has no parameters to train"),
        (lambda: train(Scale(), []), ValueError, "train: data has no samples"),
        (lambda: train(Scale(), PAIRS, validation=[]), ValueError, "train: validation has no samples"),
        (lambda: train(Scale(), random(4, 8)), ValueError, "images without measurements need the physics"),
        (lambda: train(Scale(), [1, 2, 3]), TypeError, "data give images, or mappings of names .*, got int"),
        (lambda: train(Scale(), "photographs"), TypeError, "data takes a dataset, .* got str; .*ImageFolder reads"),
        (lambda: train(Scale(), (random(4, 8), random(4, 8))), TypeError, "data takes .* got tuple; .*Pairs joins"),
        (lambda: train(Scale(), DataLoader(PAIRS)), TypeError, "data takes .* got DataLoader; give its dataset"),
        (lambda: train(Scale(), iter([random(8)])), TypeError, "data takes a dataset, a list or a tensor, got list_it"),
        (lambda: train(Scale(), PAIRS, validation="set12"), TypeError, "validation takes a dataset, .* got str"),
        (lambda: train(Scale(), random(4, 8).numpy()), TypeError, "got ndarray; operators.interop.from_array makes"),
        (lambda: train(Scale(), Pairs(random(4, 8), random(4, 8).numpy())), TypeError, "y of a sample .* got ndarray"),
        (lambda: train(Scale(), PAIRS, physics=Identity(8)), TypeError, r"got Identity; make one by Physics\(A\)"),
        (lambda: train(Scale(), PAIRS, physics="blur"), TypeError, "physics takes an invnet.Physics, .* got str"),
        (lambda: train(Scale(), PAIRS, optimizer="adam"), TypeError, "optimizer takes a function .* got str"),
        (
            lambda: train(Scale(), PAIRS, optimizer=torch.optim.SGD([torch.zeros(1)])),
            TypeError,
            "optimizer takes a function that makes one of the parameters, such as .* got SGD",
        ),
        (lambda: train(Scale(), PAIRS, resume=True), ValueError, "resume=True takes the checkpoint to go on from"),
        (
            lambda: train(nn.Linear(8, 8), Pairs(random(4, 8).double(), random(4, 8).double())),
            ValueError,
            r"train: the network does not take torch.float64 of shape \(32, 8\)",
        ),
        (
            lambda: train(Scale(), Pairs(random(4, 8) / 0, random(4, 8)), options=options(steps=1)),
            FloatingPointError,
            r"the loss is (inf|nan) at step 1; are the data finite\? There is no checkpoint",
        ),
        (lambda: train(Scale(), [{"z": random(2)}]), ValueError, "a sample has an image x or a measurement y, got z"),
        (
            lambda: train(Scale(), [random(2), random(3)], physics=GaussianLevels(0.1)),
            ValueError,
            r"samples of a batch have one shape, got x of \(2,\), \(3,\)",
        ),
        (
            lambda: train(Scale(), [{"y": random(8)}], physics=Physics(Identity(8))),
            ValueError,
            "Supervised: needs the images x, but the batch has y, physics alone",
        ),
        (
            lambda: train(PostProcess(UNet(width=2, depth=1)), PAIRS),
            ValueError,
            "PostProcess needs the physics of the measurements",
        ),
        (
            lambda: train(small_net(in_channels=3), random(4, 8, 8), physics=GaussianLevels(0.1)),
            ValueError,
            r"DnCNN of 3 channels takes real images of shape \(\.\.\., 3, H, W\)",
        ),
        (
            lambda: train(nn.Linear(8, 4), PAIRS),
            ValueError,
            r"Supervised: compares tensors of one shape, got \(32, 4\) and \(32, 8\)",
        ),
        (lambda: train(Scale(), PAIRS, Constant()), TypeError, "a loss is a tensor .*, Constant gives float"),
        (lambda: train(Scale(), PAIRS, OfData()), ValueError, "OfData does not depend on the model's parameters"),
        (
            lambda: train(ImageAlone(), PAIRS, physics=Physics(Identity(8)), options=options(batch_size=2, steps=1)),
            TypeError,
            r"ImageAlone: _reconstruct gives a pair such as \(image, Info\(\)\), but gave Tensor",
        ),
        (lambda: train(Scale(), PAIRS, TwoNumbers()), ValueError, "a loss is one real number, TwoNumbers gives"),
        (lambda: train(Scale(), random(4, 8), physics=lambda t, g: t), TypeError, "physics gives an invnet.Physics"),
        (lambda: TrainOptions(steps=0), ValueError, "TrainOptions: steps must be at least 1, got 0"),
        (lambda: TrainOptions(lr=-1), ValueError, "lr must be positive, got -1"),
        (lambda: TrainOptions(ema=1.0), ValueError, r"ema must be in \[0, 1\), got 1.0"),
        (lambda: TrainOptions(lr_end=2), ValueError, r"lr_end must be in \[0, 1\], got 2"),
        (lambda: TrainOptions(precision="float16"), ValueError, "precision takes one of float32, bfloat16"),
        (lambda: TrainOptions(schedule="step"), ValueError, "schedule takes one of cosine, constant, got 'step'"),
        (lambda: TrainOptions(seed=-1), ValueError, "seed must be at least 0, got -1"),
        (lambda: TrainOptions(workers=1.5), TypeError, "workers takes an integer, got 1.5"),
        (lambda: invnet.losses.Supervised("l3"), ValueError, "distance takes one of l1, l2, l1-l2, ssim, got 'l3'"),
    ],
)
def test_mistakes_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_the_networks_of_a_model():
    from invnet.train.networks import networks

    shared = DnCNN(depth=2, width=2)
    assert networks(shared) == [shared]
    assert networks(Unrolled(shared, iterations=3)) == [shared]
    assert networks(PostProcess(shared, first=PostProcess(shared))) == [shared]
    assert networks(invnet.DirectInverse()) == []
