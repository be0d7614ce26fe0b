"""The command ``gateway``, of this tree."""

from gateway_assets.cli.main import main

main()
