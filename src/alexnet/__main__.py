"""``python -m alexnet`` is the command ``alexnet``."""

from alexnet.cli import main

main()
