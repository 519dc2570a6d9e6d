from typing import Any

import pytest

from exp.config import ConfigError
from exp.config.compose import resolved


def config(*words: str) -> dict[str, Any]:
    return resolved(["task=lane", *words]).config


def test_every_switch_of_the_source_has_its_place() -> None:
    found = config("recipe=published")
    task, model = found["task"], found["model"]
    assert {key: task[key] for key in ("order", "bos", "slot", "slots", "padding", "y_loss", "y_weight", "nbins")} == {
        "order": "top_down", "bos": "leak", "slot": "scaled10", "slots": "file", "padding": "ignored",
        "y_loss": "fixed", "y_weight": 0.3, "nbins": 200,
    }  # fmt: skip
    assert (model["levels"], model["norm"], model["embedding_std"]) == ("p3+p4+p5", "post", 1.0)
    assert (found["optim"]["lr"], found["optim"]["clip"], found["data"]["name"]) == (3e-4, 1.0, "culane")
    strategy = config("recipe=published", "levels=p5", "y_weight=0", "lr=1e-4", "clip=0.5", "optim.schedule=cosine")
    assert (strategy["model"]["levels"], strategy["optim"]["schedule"]) == ("p5", "cosine")


@pytest.mark.parametrize("data", ["roads", "culane", "tusimple"])
@pytest.mark.parametrize("recipe", ["quick", "sound", "published"])
def test_every_recipe_takes_every_set(recipe: str, data: str) -> None:
    found = config(f"recipe={recipe}", f"data={data}")
    assert found["data"]["name"] == data
    assert found["model"]["name"] == "lanelm"


def test_short_names_go_to_their_part() -> None:
    found = config("levels=p3+p4+p5", "subsample=true", "cross=per_level", "token_pool=attention", "encoder_scale=0.1",
                   "soft=0.5", "tokens=relative", "max_dx=64", "overfit=8", "rollout=0.3", "lane_batch=6")  # fmt: skip
    assert (found["model"]["cross"], found["model"]["encoder_scale"]) == ("per_level", 0.1)
    assert (found["task"]["max_dx"], found["task"]["lane_batch"], found["data"]["overfit"]) == (64, 6, 8)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["levels=p5", "subsample=true"], "nothing consumes it here"),
        (["cross=per_level"], "nothing consumes it here"),
        (["max_dx=5"], "nothing consumes it here"),
        (["y_weight=0.2"], "nothing consumes it here"),
        (["task.sampling_rate=0.2"], "nothing consumes it here"),
        (["tokens=words"], "not one of absolute, relative, relative_published"),
        (["model.dim=30"], "multiple of 4 and of model.heads=4"),
        (["data.crop_top=590"], "leaves nothing of data.image_height=590 rows"),
        (["scheduled_sampling=true", "task.sampling_ramp=[5]"], "two epochs"),
        (["model=resnet18"], "task=lane needs model=lanelm"),
        (["data=digits"], "has no lanes; take roads, culane, tusimple"),
        (["kernel_size=3"], "nothing in this run takes it"),
        (["task.steps=1"], "at least 2"),
    ],
)
def test_what_cannot_stand_is_one_line(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        config(*words)
    assert len(str(error.value).splitlines()) == 1


def test_paths_and_the_probe_are_no_identity() -> None:
    one = resolved(["task=lane", "data=culane", "data.root=/a", "task.probe=false"])
    other = resolved(["task=lane", "data=culane", "data.root=/b"])
    assert one.key == other.key
