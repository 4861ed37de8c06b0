"""Train a network in several processes, then let them share a stack of images.

python several_devices.py                                    two processes on the CPU
python several_devices.py --accelerator cuda --devices 4     four GPUs of one machine
torchrun --nproc-per-node 2 several_devices.py               as a cluster starts it
"""

import argparse

import torch
from lightning_fabric import Fabric

import invnet
import operators

parser = argparse.ArgumentParser()
parser.add_argument("--accelerator", default="cpu")
parser.add_argument("--devices", type=int, default=2)
parser.add_argument("--steps", type=int, default=60)
arguments = parser.parse_args()

fabric = Fabric(accelerator=arguments.accelerator, devices=arguments.devices, strategy="ddp")
fabric.launch()  # from here on, all processes run these lines


def blurred(size):
    """A camera out of focus, for images of a size."""
    A = operators.Convolution(invnet.data.gaussian_kernel(9, 1.5), (size, size), padding="circular")
    return invnet.Physics(A, noise=invnet.noise.Gaussian(0.02)).to(fabric.device)


# Training: every process calls `train` alike, and gets its share of each batch.
torch.manual_seed(0)
sharpen = invnet.PostProcess(invnet.nets.DnCNN(depth=5, width=16, norm=None))
photographs = [invnet.data.sample_image(name, size=192) for name in ("astronaut", "coffee", "cat", "rocket")]
result = invnet.train(
    sharpen,
    invnet.data.Patches(photographs, 32),
    physics=blurred(32),
    options=invnet.TrainOptions(steps=arguments.steps, batch_size=16, lr=2e-3, progress=False),
    fabric=fabric,
)

# Reconstruction: nothing is exchanged, each process takes every so many-th image, on its own device.
rank, count = fabric.global_rank, fabric.world_size
stack = torch.stack([invnet.data.sample_image(name, size=96) for name in ("camera", "coins", "moon", "brick")])
mine, physics = stack[rank::count].to(fabric.device), blurred(96)
measured = physics(mine, generator=torch.Generator(fabric.device).manual_seed(rank))
with torch.no_grad():
    before, after = (method(measured, physics) for method in (invnet.DirectInverse(), sharpen))
gain = (invnet.metrics.psnr(after, mine) - invnet.metrics.psnr(before, mine)).mean()
gain = fabric.all_reduce(gain, reduce_op="mean")

if rank == 0:  # one process speaks for all
    print(f"{count} processes: {result}")
    print(f"the network raises the PSNR by {gain:.1f} dB")
