"""Data sets, and batches of them.

Sets are torch-free classes that meet `Source`: `exp.data.digits:Digits`, `exp.data.cifar:Cifar10` and `Cifar100`,
`exp.data.imagefolder:ImageFolder`. Batches on a device come from `exp.data.batches:Batches`, random changes and
normalisation from `exp.data.augment:Augment`; these two need torch and are imported where they are used.
"""

from exp.data.source import DataError, Source, Split

__all__ = ["DataError", "Source", "Split"]
