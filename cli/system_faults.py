"""What the operating system refuses is no bug of ours: it gets a message and not a report."""

from __future__ import annotations

import errno
import os

from ..runtime.errors import RuntimeFault

_REFUSALS = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS),
        *(errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY),
        *(errno.ENAMETOOLONG, errno.ELOOP, errno.EMFILE, errno.EIO, errno.ENOMEM),
    }
)


def system_fault(error: BaseException) -> RuntimeFault | None:
    """The fault that an error of the system is for the user; None for what our own code did wrong."""
    if isinstance(error, MemoryError):
        return RuntimeFault("the memory of this machine is full", "Make the model or the batch smaller.")
    if not isinstance(error, OSError) or error.errno not in _REFUSALS:
        return None
    reason = (error.strerror or os.strerror(error.errno)).lower()
    places = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    return RuntimeFault(f"{' -> '.join(places)}: {reason}" if places else f"the system refuses: {reason}")
