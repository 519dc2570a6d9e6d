import pytest

from exp.options.compose import resolved
from exp.options.config import Config
from exp.options.errors import ConfigError
from exp.tasks.lane.options import (
    CULaneOptions,
    LaneDataOptions,
    LaneLMOptions,
    LaneOptions,
    RoadsOptions,
    TuSimpleOptions,
)


def config(*words: str) -> Config[LaneOptions, LaneLMOptions, LaneDataOptions]:
    return resolved(["task=lane", *words]).config


def test_every_switch_of_the_source_has_its_place() -> None:
    published = config("recipe=published")
    task, model = published.task, published.model
    assert {
        name: getattr(task, name)
        for name in ("order", "bos", "slot", "slots", "padding", "y_loss", "y_weight", "nbins")
    } == {
        "order": "top_down", "bos": "leak", "slot": "scaled10", "slots": "file", "padding": "ignored",
        "y_loss": "fixed", "y_weight": 0.3, "nbins": 200,
    }  # fmt: skip
    assert (model.levels, model.norm, model.embedding_std) == ("p3+p4+p5", "post", 1.0)
    assert (published.optim.lr, published.optim.clip, published.data.name) == (3e-4, 1.0, "culane")
    strategy = config("recipe=published", "levels=p5", "y_weight=0", "lr=1e-4", "clip=0.5", "optim.schedule=cosine")
    assert (strategy.model.levels, strategy.optim.schedule) == ("p5", "cosine")


@pytest.mark.parametrize("data", ["roads", "culane", "tusimple"])
@pytest.mark.parametrize("recipe", ["quick", "sound", "published"])
def test_every_recipe_takes_every_set(recipe: str, data: str) -> None:
    chosen = config(f"recipe={recipe}", f"data={data}")
    assert chosen.data.name == data
    assert chosen.model.name == "lanelm"


@pytest.mark.parametrize("recipe", ["quick", "sound", "published"])
@pytest.mark.parametrize(("data", "size"), [("roads", (128, 320)), ("culane", (320, 800)), ("tusimple", (320, 800))])
def test_the_input_has_one_size_a_set_under_every_recipe(recipe: str, data: str, size: tuple[int, int]) -> None:
    chosen = config(f"recipe={recipe}", f"data={data}")
    assert (chosen.data.input_height, chosen.data.input_width) == size
    assert chosen.data.reader().shape == (3, *size)


def test_defaults_are_the_size_of_the_sources() -> None:
    assert [(options.image_height, options.image_width, options.crop_top, options.input_height, options.input_width)
            for options in (RoadsOptions(), CULaneOptions(), TuSimpleOptions())] == [
        (590, 1640, 250, 128, 320), (590, 1640, 270, 320, 800), (720, 1280, 160, 320, 800),
    ]  # fmt: skip


def test_short_names_go_to_their_part() -> None:
    chosen = config("levels=p3+p4+p5", "subsample=true", "cross=per_level", "token_pool=attention", "encoder_scale=0.1",
                   "soft=0.5", "tokens=relative", "max_dx=64", "overfit=8", "rollout=0.3", "lane_batch=6")  # fmt: skip
    assert (chosen.model.cross, chosen.model.encoder_scale) == ("per_level", 0.1)
    assert (chosen.task.max_dx, chosen.task.lane_batch, chosen.data.overfit) == (64, 6, 8)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["levels=p5", "subsample=true"], "model.subsample=True: nothing reads it here"),
        (
            ["cross=per_level"],
            r"model.cross=per_level: nothing reads it here; it needs model.levels=p4\+p5\|p3\+p4\+p5",
        ),
        (["max_dx=5"], "task.max_dx=5: nothing reads it here"),
        (["y_weight=0.2"], "task.y_weight=0.2: nothing reads it here; it needs task.y_loss=fixed"),
        (["task.sampling_rate=0.2"], "task.sampling_rate=0.2: nothing reads it here"),
        (["tokens=words"], "not one of absolute, relative, relative_published"),
        (["model.dim=30"], "multiple of 4 and of model.heads=4"),
        (["data.crop_top=590"], "leaves nothing of data.image_height=590 rows"),
        (["scheduled_sampling=true", "task.sampling_ramp=[5]"], "two epochs"),
        (["model=resnet18"], "model=resnet18: is for images, but task=lane works on lanes; take lanelm"),
        (["data=digits"], "data=digits: is for images, but task=lane works on lanes; take roads, culane, tusimple"),
        (["kernel_size=3"], "nothing in this run takes it"),
        (["task.steps=1"], "task.steps=1: has to be at least 2"),
        (["data.batch_size=1", "trainer.accumulate=2"], "data.batch_size=1: smaller than"),
    ],
)
def test_options_that_contradict_each_other_are_one_line(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        config(*words)
    assert len(str(error.value).splitlines()) == 1


def test_paths_and_the_probe_are_no_identity() -> None:
    one = resolved(["task=lane", "data=culane", "data.root=/a", "task.probe=false"])
    other = resolved(["task=lane", "data=culane", "data.root=/b"])
    assert one.key == other.key
