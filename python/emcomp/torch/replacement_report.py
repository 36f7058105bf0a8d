"""What shrank when the embeddings of a model were compressed."""

from __future__ import annotations

from dataclasses import dataclass

from emcomp._support.sizes import format_bytes
from emcomp._support.text_tables import aligned


@dataclass(frozen=True)
class Replacement:
    """One weight of a model that was compressed."""

    names: tuple[str, ...]
    """Modules that had it, the root as the empty string."""
    shape: tuple[int, int]
    codec: str
    before: int
    """Bytes of the float weight."""
    after: int
    """Bytes of the buffers, and of the float weight where other modules keep it."""
    kept_for: tuple[str, ...] = ()
    """Modules that keep the float weight."""
    shared_with: tuple[str, ...] = ()
    """Output layers that read the compressed table."""

    @property
    def ratio(self) -> float:
        """How many times smaller."""
        return self.before / self.after

    @property
    def note(self) -> str:
        """What became of other modules with the weight."""
        if self.kept_for:
            return f"float weight kept for {', '.join(self.kept_for)}"
        return f"shared with {', '.join(self.shared_with)}" if self.shared_with else ""


@dataclass(frozen=True)
class CompressionReport:
    """What shrank in a model; prints as a table."""

    replacements: tuple[Replacement, ...]
    before: int
    """Bytes of all parameters and buffers of the model."""
    after: int

    @property
    def ratio(self) -> float:
        """How many times smaller the whole model is."""
        return self.before / self.after

    def __str__(self) -> str:
        lines = [("module", "shape", "codec", "before", "after", "ratio", "")]
        for table in self.replacements:
            names = ", ".join(name or "(root)" for name in table.names)
            shape = "{:,} x {:,}".format(*table.shape)
            lines.append(
                (names, shape, table.codec, *_sizes(table.before, table.after), table.note)
            )
        lines.append(("whole model", "", "", *_sizes(self.before, self.after), ""))
        return "\n".join(aligned(lines, left=3))


def _sizes(before: int, after: int) -> tuple[str, str, str]:
    return format_bytes(before), format_bytes(after), f"{before / after:.2f}x"
