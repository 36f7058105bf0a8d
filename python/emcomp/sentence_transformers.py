"""Sentence encoders on compressed tables.

Needs the extra ``emcomp[sentence-transformers]``. `emcomp.torch.compress_` compresses encoders, and
makes their static embeddings those of this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from emcomp.errors import InputError
from emcomp.tables.opening import open as open_table
from emcomp.tables.table import CompressedEmbedding
from emcomp.torch.embedding_bag import EmbeddingBag
from emcomp.torch.hooks import after_compression

try:
    from sentence_transformers.sentence_transformer.modules import InputModule
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding as FloatEmbedding
    from tokenizers import Tokenizer
    from torch import nn
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "emcomp.sentence_transformers needs sentence-transformers: "
        "pip install 'emcomp[sentence-transformers]'",
        name=error.name,
    ) from error

if TYPE_CHECKING:
    from typing_extensions import Self

TABLE_FILE = "table.emcomp"
TOKENIZER_FILE = "tokenizer.json"


class StaticEmbedding(FloatEmbedding):  # type: ignore[misc]
    """The mean of the rows of a text's tokens, as sentence-transformers' module of this name.

    Saved as ``table.emcomp``, which `emcomp.open` reads too, beside ``tokenizer.json``. It is no
    part of sentence-transformers, so a folder that has it is loaded with
    ``SentenceTransformer(folder, trust_remote_code=True)``.

    Args:
        tokenizer: a fast tokenizer, of `tokenizers` or transformers.
        table: a row for each token; a table, or the path of its file.

    Raises:
        InputError: for a table with fewer rows than there are tokens.
        FormatError: if the path is no emcomp file.
    """

    def __init__(self, tokenizer: Tokenizer | Any, table: CompressedEmbedding | str | Path) -> None:
        InputModule.__init__(self)  # the class between would make a float table
        tokenizer = getattr(tokenizer, "_tokenizer", tokenizer)
        if not isinstance(tokenizer, Tokenizer):
            raise InputError(f"a fast tokenizer is needed, not {type(tokenizer).__name__}")
        if not isinstance(table, CompressedEmbedding):
            table = open_table(table)
        if tokenizer.get_vocab_size() > len(table):
            raise InputError(
                f"the tokenizer has {tokenizer.get_vocab_size()} tokens, the table {len(table)} rows"
            )
        self.embedding = EmbeddingBag.from_table(table, mode="mean")
        self.num_embeddings, self.embedding_dim = table.shape
        self.tokenizer = tokenizer
        self.tokenizer.no_padding()
        self.base_model = None

    def save(self, output_path: str, *_: Any, **__: Any) -> None:
        """Write the table and the tokenizer to a folder."""
        self.embedding.to_table().save(Path(output_path) / TABLE_FILE)
        self.tokenizer.save(str(Path(output_path) / TOKENIZER_FILE))

    @classmethod
    def load(cls, model_name_or_path: str, **options: Any) -> Self:  # type: ignore[override]
        """Read what `save` has written, in a folder or from the hub.

        Raises:
            FileNotFoundError: if a file is missing.
        """
        hub = {
            key: options[key]
            for key in ("subfolder", "token", "cache_folder", "revision", "local_files_only")
            if key in options
        }
        paths = []
        for name in (TOKENIZER_FILE, TABLE_FILE):
            path = cls.load_file_path(model_name_or_path, filename=name, **hub)
            if path is None:
                raise FileNotFoundError(f"{model_name_or_path} has no {name}")
            paths.append(path)
        tokenizer, table = paths
        return cls(Tokenizer.from_file(tokenizer), table)


@after_compression
def adopt_static_embeddings(model: nn.Module) -> None:
    """Let static embeddings whose table has been compressed be saved and loaded with it."""
    for module in model.modules():
        if type(module) is FloatEmbedding and isinstance(module.embedding, EmbeddingBag):
            module.__class__ = StaticEmbedding
