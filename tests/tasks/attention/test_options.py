"""Options of the attention task's data sets: bounds that several of them have."""

import pytest

from exp.data.options import ImageOptions
from exp.options.catalog import GROUPS
from exp.options.errors import ConfigError
from exp.tasks.attention.options import (
    Cifar10Options,
    Cifar100Options,
    DigitsOptions,
    ImageFolderOptions,
    WhereOptions,
)


@pytest.mark.parametrize("schema", [DigitsOptions, Cifar10Options, Cifar100Options, ImageFolderOptions])
@pytest.mark.parametrize("value", [-0.1, 1.0, 2.0, float("nan")])
def test_a_part_held_out_is_at_least_nothing_and_less_than_all(schema: type[ImageOptions], value: float) -> None:
    with pytest.raises(ConfigError, match=f"val_fraction={value}: has to be at least 0 and below 1"):
        schema(val_fraction=value)


def test_only_a_folder_of_images_is_cut_and_decoded_beside_the_training() -> None:
    folder = ImageFolderOptions(size=16, stored=20, workers=3)
    assert (folder.cut_to, folder.decoders) == (16, 3)
    assert (ImageFolderOptions().cut_to, ImageFolderOptions().decoders) == (None, None)
    for options in (DigitsOptions(), WhereOptions(), Cifar10Options(), Cifar100Options()):
        assert (options.cut_to, options.decoders) == (None, None)


def test_options_of_sets_are_checked_against_one_another_when_they_are_copied_too() -> None:
    with pytest.raises(ConfigError, match="size=12"):
        WhereOptions(size=16).replaced(size=12)
    with pytest.raises(ConfigError, match="stored=20"):
        ImageFolderOptions(size=16, stored=20).replaced(size=24)


@pytest.mark.parametrize("name", ["digits", "where", "cifar10", "cifar100", "imagefolder"])
def test_readers_take_the_options(name: str) -> None:
    options = GROUPS["data"][name]()
    assert options.reader().options is options
