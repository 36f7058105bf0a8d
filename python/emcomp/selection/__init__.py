"""Choosing a table under a budget: candidates, trials, the answer; and how well measures choose."""

from __future__ import annotations

from emcomp.selection.error import Point, SelectionError, evaluate_selection
from emcomp.selection.result import Selection
from emcomp.selection.selecting import select

__all__ = ["Point", "Selection", "SelectionError", "evaluate_selection", "select"]
