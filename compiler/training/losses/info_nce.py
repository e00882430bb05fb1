"""info_nce: a query finds its key among those of other examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ....grammar.source import Span
from ...layers.options import Positive, WholeOrZero
from ...semantics.number import is_whole, whole
from ...semantics.tensor import UNKNOWN, Tensor
from ..measure import Loss, Misfit, Operand, Statements, Value, check_alike, check_rows
from ..spelling import real_text, whole_text

_QUEUE = '''\
class Queue(nn.Module):
    """The keys of the examples before, as many as it has room for."""

    def __init__(self, room: int, width: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(room, width))
        self.register_buffer("filled", torch.zeros(room, dtype=torch.bool))
        self.register_buffer("oldest", torch.zeros((), dtype=torch.long))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """query, key [B, width] -> query * kept key, [B, room]: -inf where the room is not filled yet.

        In training the keys then take the places of the oldest.
        """
        found = (query @ self.keys.clone().T).masked_fill(~self.filled, -torch.inf)
        if self.training:
            places = torch.arange(len(key), device=key.device)
            places = (self.oldest + places) % len(self.keys)
            self.keys.index_copy_(0, places, key.detach())
            self.filled.index_fill_(0, places, True)
            self.oldest.copy_((self.oldest + len(key)) % len(self.keys))
        return found
'''


class InfoNce(Loss):
    """`info_nce(query, key, queue = 65_536, temperature = 0.07)`: the cross-entropy of finding the key of one's own
    example among others, by the cosine of their vectors over `temperature` (van den Oord et al. 2018; He et al. 2020
    for the queue).

    `query` and `key` are [B, D]. With `queue = 0` the others are the keys of the batch. With a queue they are those of
    the batches before, the last `queue` of them, to which no gradient goes, and none of the batch itself. A training
    begins with an empty queue (He et al. begin with random vectors): the loss of its first batch is 0 and teaches
    nothing, that of the second has as many others as a batch has examples. What queries are held against hangs on the
    batch, which `accumulate` may not take apart.
    """

    word: ClassVar[str] = "info_nce"
    example: ClassVar[str] = "info_nce(output, output, temperature = 0.1)"
    spellings: ClassVar[dict[str, str]] = {"tau": "temperature"}
    takes: ClassVar[tuple[str, ...]] = ("query", "key")
    one_sided: ClassVar[bool] = False
    over_pairs: ClassVar[bool] = True

    queue: WholeOrZero = 0
    temperature: Positive = 0.07

    def check(self, values: Sequence[Value]) -> None:
        check_rows(self.word, *values)
        check_alike(self.word, *values)
        query = values[0]
        if whole(self.queue) and isinstance(query.type, Tensor) and not is_whole(query.type.dims[-1]):
            message = f"a queue keeps keys of one width, and that of `{query.shown}` is open"
            raise Misfit("wrong-value", message, query, f"{query.type} here", "make its last dim a number")

    def needs(self, values: Sequence[Value], span: Span) -> tuple[Value, ...]:
        return (Value("state", _queue_name(values), UNKNOWN, span),) if whole(self.queue) else ()

    def state(self, values: Sequence[Value]) -> tuple[str, str, Sequence[str]] | None:
        if not whole(self.queue):
            return None
        query = values[0].type
        if not isinstance(query, Tensor):
            return None  # told where it is named
        made = f"Queue({whole_text(self.queue)}, {whole_text(query.dims[-1])})"
        return _queue_name(values), made, _QUEUE.splitlines()

    def code(self, operands: Sequence[Operand], before: Statements) -> str:
        query, key, *queue = operands
        queries = before.assign("unit_query", f"F.normalize({query.text}, dim=-1)")
        keys = before.assign("unit_key", f"F.normalize({key.text}, dim=-1)")
        divided = f"/ {real_text(self.temperature)}"
        if not queue:
            cosines = before.assign("cosines", f"{queries} @ {keys}.T")
            own = f"torch.arange(len({cosines}), device={cosines}.device)"
            return f"F.cross_entropy({cosines} {divided}, {own})"
        own = before.assign("own", f"({queries} * {keys}).sum(-1, keepdim=True)")
        cosines = before.assign("cosines", f"torch.cat([{own}, {queue[0].text}({queries}, {keys})], dim=-1)")
        first = f"torch.zeros(len({cosines}), dtype=torch.long, device={cosines}.device)"
        return f"F.cross_entropy({cosines} {divided}, {first})"


def _queue_name(values: Sequence[Value]) -> str:
    return f"{values[1].name or 'key'}_queue"
