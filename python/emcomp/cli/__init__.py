"""The command line: ``emcomp COMMAND ...``, the same as ``python -m emcomp``."""

from emcomp.cli.root import main, program

__all__ = ["main", "program"]
