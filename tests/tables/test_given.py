import pytest

from exp.options.catalog import ConfigError
from exp.tables.given import changing, sort, values
from exp.tables.reading import load

MODULES = load("modules")


def test_options_rows_seeds_and_what_is_the_sweeps() -> None:
    given = sort(MODULES, ["recipe=quick", "att=ca,none", "seed=3,4", "sweep.jobs=2", "hydra/launcher=slurm"])
    assert given.options == {"recipe": "quick"}
    assert given.rows == {"att": ("ca", "none")}
    assert given.seeds == (3, 4)
    assert given.run == ("sweep.jobs=2", "hydra/launcher=slurm")
    assert given.kept(MODULES) == ["none", "ca"]


def test_a_list_of_one_is_that_one() -> None:
    assert sort(MODULES, ["data.batch_size=choice(8)", "task.select=choice(best)"]).options == {
        "data.batch_size": "8",
        "task.select": "best",
    }


def test_what_changes_no_number_names_no_variant() -> None:
    given = sort(
        MODULES, ["trainer.accelerator=cpu", "recipe=quick", "data.root=/d", "logger=wandb", "seed=0,1", "lr=1"]
    )
    assert given.variant() == ["lr=1", "recipe=quick", "seed=0,1"]


def test_no_row_left() -> None:
    with pytest.raises(ConfigError, match="att=lka: no row of table modules is left; att is one of none, triplet, ca"):
        sort(MODULES, ["att=lka"]).kept(MODULES)


def test_a_key_the_base_sets_filters_rows_that_leave_it() -> None:
    fusion = load("fusion")
    assert sort(fusion, ["fusion=mean", "att=triplet"]).kept(fusion) == ["mean"]


@pytest.mark.parametrize("override", ["recipe", "+lr=1", "~att", "=3"])
def test_words_that_are_no_override(override: str) -> None:
    with pytest.raises(ConfigError, match="expected OPTION=VALUE"):
        sort(MODULES, [override])


def test_several_values_of_what_rows_do_not_vary() -> None:
    with pytest.raises(ConfigError, match="2 values of an option that the rows of table modules do not vary"):
        sort(MODULES, ["model=resnet18,resnet34"])


@pytest.mark.parametrize("override", ["seed=-1", "seed=a", "seed=1.5"])
def test_a_seed_is_a_whole_number(override: str) -> None:
    with pytest.raises(ConfigError, match="whole numbers"):
        sort(MODULES, [override])


def test_values_as_hydra_reads_them() -> None:
    assert values("seed=0,1") == ["0", "1"]
    assert values("seed=range(0,3)") == ["0", "1", "2"]
    assert values("data.mean=[0.1,0.2]") == ["[0.1,0.2]"]
    assert values("layout='(n h w) s c'") == ["'(n h w) s c'"]
    with pytest.raises(ConfigError, match="x="):
        values("x=[1")


@pytest.mark.parametrize(
    ("override", "tells"),
    [
        ("task.pictures=false", False),
        ("trainer.gradient_norms=50", False),
        ("cells.dir=/tmp/cells", False),
        ("logger=wandb", False),
        ("logger.project=mine", False),
        ("data.root=/data", False),
        ("trainer=ddp", True),
        ("trainer.precision=bf16-mixed", True),
        ("task=gait", True),
        ("width=16", True),
        ("data.flip=0", True),
        ("no.such=option", True),
    ],
)
def test_an_override_counts_unless_its_option_is_outside_the_identity(override: str, tells: bool) -> None:
    assert changing([override]) == [override] * tells
