"""``python -m invnet_cli``, where the command's script is not on the path."""

from invnet_cli.app import main

main(prog_name="invnet")
