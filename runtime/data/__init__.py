"""What a model learns from: settings to batches that depend on (seed, epoch, example) and on nothing else."""

from .check import Message, check_data
from .dataset import Data, DataError, Field, Split
from .open import open_data
from .targets import watched

__all__ = ["Data", "DataError", "Field", "Message", "Split", "check_data", "open_data", "watched"]
