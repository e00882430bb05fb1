"""idx: pictures and labels in the format of MNIST."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from ...layers.options import WholeOrNone
from ...semantics.number import number
from ..base import OptionFault
from ..source import DataSource, Field, keeps_some, label, picture
from ..values import File, FileOrNone, FilesOrNone, SizeOrNone, Split
from .pairs import two_files
from .tokens import one_validation_part


class Idx(DataSource):
    """`idx("train-images.gz", "train-labels.gz")`: gray pictures of one size, and their classes (LeCun et al. 1998).

    Fields: `image`, [1, height, width] from 0 to 1, and `label` where there are `labels`. `size` and `classes` say
    what the files hold, where the model is to be held against that before they are opened. The validation part is two
    files of its own (`validation = ["test-images.gz", "test-labels.gz"]`), or pictures kept back by `split`,
    [0.9, 0.1] where it is left out; which these are is the same for every seed. Files are plain or gzipped, whatever
    they are called.
    """

    word: ClassVar[str] = "idx"
    naming: ClassVar[frozenset[str]] = frozenset({"labels"})
    example: ClassVar[str] = 'idx("train-images.gz", "train-labels.gz", size = 8, classes = 10)'

    images: File
    labels: FileOrNone = None
    size: SizeOrNone = None
    classes: WholeOrNone = None
    validation: FilesOrNone = None
    split: Split = None

    def faults(self) -> Iterator[OptionFault]:
        yield from one_validation_part(self.validation, self.split)
        if self.labels is None and self.classes is not None:
            message = "`classes` is the number of different labels, and no file has labels"
            yield OptionFault("conflict", message, "classes", "of what?", 'write `labels = "train-labels.gz"` too')
        if self.labels is not None:
            yield from two_files(self.validation, "pictures and labels")

    def fields(self) -> Mapping[str, Field]:
        labels = {} if self.labels is None else {"label": label(self.classes)}
        return {"image": picture(self.size, number(1))} | labels

    def validates(self) -> bool:
        return self.validation is not None or keeps_some(self.split)
