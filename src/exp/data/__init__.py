"""What the data sets of several tasks share: how a set is read, batched, augmented and decoded.

A set's reader is a torch-free class that meets ``Source``; it lives with the task that has it. Batches on a device come
from ``exp.data.batches``, random changes and normalisation from ``exp.data.augment``; these two need torch and are
imported where they are used.
"""

from exp.data.source import DataError, Source, Split

__all__ = ["DataError", "Source", "Split"]
