"""The quality of the pretrained models: ``python -m tests.quality --set12 DIR``."""

import argparse

from tests.quality import denoising


def main():
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set12", required=True, help="the folder of Set12's images")
    arguments = parser.parse_args()
    print("\n".join(denoising.table("denoiser-gray", arguments.set12)))


if __name__ == "__main__":
    main()
