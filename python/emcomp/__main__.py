"""``python -m emcomp``: the command line."""

from emcomp.cli import main

main()
