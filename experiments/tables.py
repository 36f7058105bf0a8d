"""Markdown tables of figures."""

from __future__ import annotations

from collections.abc import Sequence


def figure(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits, without an exponent or a leading zero."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    text = f"{value:.{digits}g}"
    if "e" in text or abs(value) >= 10 ** (digits - 1):
        text = f"{value:.0f}" if abs(value) >= 1 else f"{value:.2g}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first column is text, the rest are numbers."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
