"""The quality of the pretrained models: ``python -m tests.quality [NAME ...] --set12 DIR --set5 DIR --scans DIR``."""

import argparse

from invnet.pretrained import names
from tests.quality.models import QUALITY, add_folders, given_folders


def main():
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=names(), help="pretrained models; without, all")
    add_folders(parser)
    arguments = parser.parse_args()
    folders = given_folders(arguments)
    for name in arguments.names:
        lines = QUALITY[name].table(name, folders) or [f"{name}: measured on a folder that was not given"]
        print("\n".join(lines), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
