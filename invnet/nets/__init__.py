"""Networks: plain modules that take images ``(batch, channels, *spatial)`` and know no physics."""

from invnet.nets.dncnn import DnCNN
from invnet.nets.drunet import DRUNet
from invnet.nets.edsr import EDSR
from invnet.nets.hourglass import Hourglass
from invnet.nets.on_images import OnImages
from invnet.nets.srcnn import SRCNN
from invnet.nets.srresnet import SRGANDiscriminator, SRResNet
from invnet.nets.unet import UNet
from invnet.nets.vae import VAE
from invnet.nets.vdsr import VDSR

__all__ = [
    "EDSR",
    "SRCNN",
    "VAE",
    "VDSR",
    "DRUNet",
    "DnCNN",
    "Hourglass",
    "OnImages",
    "SRGANDiscriminator",
    "SRResNet",
    "UNet",
]
