from typing import Any

import pytest
import torch
from torch import Tensor

from exp.options.errors import ConfigError
from exp.options.fields import fields
from exp.tasks.lane.models.lanelm import LaneLM, choose
from exp.tasks.lane.models.position2d import sincos2d
from exp.tasks.lane.options import LaneLMOptions, LaneOptions
from exp.tasks.lane.tokens import PAD

SIZE = (64, 96)


def build(**options: Any) -> LaneLM:
    """A narrow model of three lanes of six rows with 20 bins; options of model and task by name."""
    torch.manual_seed(0)
    values = {"width": 4, "fpn_channels": 8, "dim": 16, "layers": 3, "heads": 4, "hidden": 32, "embedding_std": 0.5,
              "embeddings": "normal", "max_lanes": 3, "steps": 6, "nbins": 20} | options  # fmt: skip
    task = LaneOptions(**{name: value for name, value in values.items() if name in fields(LaneOptions)})
    model = {name: value for name, value in values.items() if name not in fields(LaneOptions)}
    return LaneLM(
        task=task,
        vocabulary=21,
        bin_places=torch.arange(20) * 0.6,
        row_places=torch.arange(task.steps) * 1.3,
        **model,
    ).eval()


def naive(model: LaneLM, images: Tensor, filled: Tensor | None = None) -> Tensor:
    """One lane after another, everything computed anew at every row: what decoding must equal."""
    written = torch.zeros(len(images), model.slots, model.steps, dtype=torch.long)
    for image in range(len(images)):
        mask = None if filled is None else filled[image : image + 1]
        for slot in range(model.slots):
            ids = torch.zeros(1, model.slots, model.steps, dtype=torch.long)
            for row in range(model.steps):
                inputs = torch.cat([model.begin(1, images.device), ids[:, :, :-1]], 2)
                logits = model(images[image : image + 1], inputs, mask).x
                ids[0, slot, row] = logits[0, slot, row].argmax()
            written[image, slot] = ids[0, slot]
    return written


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bos": "leak", "slot": "scaled10", "norm": "post", "embedding_std": 1.0},
        {"levels": "p3+p4+p5", "cross": "per_level", "subsample": True},
        {"levels": "p4+p5", "token_pool": "attention", "pooled_tokens": 5, "y_loss": "fixed"},
    ],
    ids=["default", "published", "per_level", "pooled"],
)
def test_cached_decoding_writes_the_tokens_of_the_naive_loop(options: dict[str, Any]) -> None:
    model = build(**options)
    images = torch.randn(2, 3, *SIZE)
    filled = torch.ones(2, SIZE[0] // 8, SIZE[1] // 8, dtype=torch.bool)
    filled[1, :, 6:] = False
    with torch.inference_mode():
        tokens = model.generate(model.remember(model.see(images, filled)))
        assert torch.equal(tokens, naive(model, images, filled))
    assert len(tokens.unique()) > 3  # not one constant, which any loop would give


def test_a_prompt_is_kept_and_changes_what_follows() -> None:
    model = build(embedding_std=2.0)
    memories = model.remember(model.see(torch.randn(2, 3, *SIZE)))
    free = model.generate(memories)
    prompt = torch.full((2, 3, 6), -1)
    prompt[0, 1, :2] = (free[0, 1, :2] + 7) % 21
    led = model.generate(memories, prompt=prompt)
    assert torch.equal(led[0, 1, :2], prompt[0, 1, :2])
    assert not torch.equal(led[0, 1, 2:], free[0, 1, 2:])
    led[0, 1] = free[0, 1]
    assert torch.equal(led, free)


def test_temperature() -> None:
    model = build()
    memories = model.remember(model.see(torch.randn(2, 3, *SIZE)))

    def draw(temperature: float, seed: int) -> Tensor:
        return model.generate(memories, temperature=temperature, generator=torch.Generator().manual_seed(seed))

    greedy = model.generate(memories)
    assert torch.equal(draw(1e-4, 0), greedy)
    assert torch.equal(draw(1.0, 1), draw(1.0, 1))
    assert not torch.equal(draw(1.0, 1), draw(1.0, 2))
    shares = torch.tensor([0.2, 0.8]).log().expand(20000, 2)
    drawn = choose(shares, 1.0, torch.Generator().manual_seed(0)).float().mean()
    assert drawn == pytest.approx(0.8, abs=0.02)


def test_first_input_is_the_slot_or_the_answer() -> None:
    ids = torch.randint(1, 21, (2, 3, 6))
    slot, leak = build(), build(bos="leak")
    assert slot.shifted(ids)[0, :, 0].tolist() == [21, 22, 23]
    assert torch.equal(leak.shifted(ids)[:, :, 0], ids[:, :, 0])
    assert (leak.begin(2, ids.device) == PAD).all()
    for model in (slot, leak):
        assert torch.equal(model.shifted(ids)[:, :, 1:], ids[:, :, :-1])


def test_places_without_image_are_hidden() -> None:
    images, inputs = torch.randn(1, 3, *SIZE), torch.randint(0, 21, (1, 3, 6))
    filled = torch.ones(1, 8, 12, dtype=torch.bool)
    filled[..., 6:] = False
    model, open_model = build(), build(memory_mask=False)
    open_model.load_state_dict(model.state_dict())
    seen = model.see(images, filled)
    (mask,) = seen.masks
    assert mask is not None
    assert mask.view(4, 6).tolist() == [[True] * 3 + [False] * 3] * 4
    assert not torch.allclose(model(images, inputs, filled).x, open_model(images, inputs, filled).x)
    assert torch.equal(model(images, inputs).x, open_model(images, inputs, filled).x)


def test_a_frozen_backbone_does_not_move() -> None:
    model = build(frozen=True).train()
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    loss = model(torch.randn(2, 3, *SIZE), torch.randint(0, 21, (2, 3, 6))).x.square().mean()
    loss.backward()
    assert all(torch.equal(value, before[name]) for name, value in model.backbone.state_dict().items())
    assert all(parameter.grad is None for parameter in model.backbone.parameters())
    assert model.fpn.laterals["p4"].weight.grad is not None


@pytest.mark.parametrize("levels", ["p5", "p4", "p3+p4+p5"])
@pytest.mark.parametrize("y_loss", ["none", "fixed"])
def test_all_parameters_are_trained(levels: str, y_loss: str) -> None:
    model = build(levels=levels, y_loss=y_loss).train()
    written = model(torch.randn(2, 3, *SIZE), torch.randint(0, 21, (2, 3, 6)))
    loss = written.x.square().mean() + (0 if written.y is None else written.y.square().mean())
    loss.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    assert (written.y is None) == (y_loss == "none")


def test_slot_embedding_of_the_source_is_ten_times_normal() -> None:
    assert build(slot="scaled10").slot_embedding.std() > 5
    assert build(slot="learnt", embedding_std=0.02).slot_embedding.std() < 0.1


def test_bins_and_rows_start_where_visual_tokens_of_the_place_are() -> None:
    model = build(dim=32, embedding_std=0.5, embeddings="places")
    code = sincos2d(8, 12, 32)  # cells of the finest level, their middles at half numbers
    place = model.token_embedding.weight[1 + 10] + model.row_embedding[2]  # x 6.0, y 2.6
    nearest = int((code @ place.detach()).argmax())
    assert (nearest // 12, nearest % 12) in {(2, 5), (2, 6)}
    assert model.token_embedding.weight[1:21].detach().std() == pytest.approx(
        0.5 / 2**0.5, rel=0.2
    )  # half of it is zero
    assert build(dim=32, embeddings="normal").row_embedding[2, 16:].abs().min() > 0  # places leave that half to x


def test_any_number_of_lanes_and_any_size() -> None:
    model = build(max_lanes=7, steps=11)
    assert model(torch.randn(1, 3, 50, 130)).x.shape == (1, 7, 11, 21)


def test_bad_values() -> None:
    for option, value in (("bos", "none"), ("slot", "big"), ("cross", "both"), ("max_lanes", 0), ("steps", 1)):
        with pytest.raises(ConfigError, match=f"{option}={value}: "):
            build(**{"levels": "p3+p4+p5", option: value})
    for option, value in (("levels", "p6"), ("encoder", "none"), ("layers", 0), ("embeddings", "zero")):
        with pytest.raises(ConfigError, match=f"{option}={value}: "):
            build(**{option: value})
    with pytest.raises(ConfigError, match="pooled_tokens=0: has to be at least 1"):
        build(token_pool="attention", pooled_tokens=0)
    with pytest.raises(ValueError, match="LaneBlock: dim=16 is no multiple of heads=3"):
        build(heads=3)


def test_options_by_object_or_by_name() -> None:
    task, places = LaneOptions(max_lanes=3, steps=6), torch.arange(6.0)
    torch.manual_seed(0)
    one = LaneLM(width=4, dim=16, task=task, vocabulary=21, bin_places=places, row_places=places)
    torch.manual_seed(0)
    options = LaneLMOptions(width=4, dim=16)
    other = LaneLM(options, task=task, vocabulary=21, bin_places=places, row_places=places)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())
    with pytest.raises(TypeError, match="not both"):
        LaneLM(options, task=task, vocabulary=21, bin_places=places, row_places=places, width=4)


def test_attention_goes_into_the_backbone() -> None:
    task, places = LaneOptions(max_lanes=3, steps=6), torch.arange(6.0)
    channels: list[int] = []

    def att(count: int) -> torch.nn.Module:
        channels.append(count)
        return torch.nn.Identity()

    LaneLM(width=4, task=task, vocabulary=21, bin_places=places, row_places=places, att=att, placement="stage_end")
    assert channels == [4, 8, 16, 32]


@pytest.mark.parametrize(("subsample", "sizes"), [(False, [(7, 17), (4, 9), (2, 5)]), (True, [(4, 9), (2, 5), (2, 5)])])
def test_cells_lie_where_their_tokens_are(subsample: bool, sizes: list[tuple[int, int]]) -> None:
    model = build(levels="p3+p4+p5", subsample=subsample, cell_loss=1.0, token_pool="attention", pooled_tokens=5)
    seen = model.see(torch.randn(2, 3, 50, 130))
    assert [tuple(one.shape) for one in seen.cells] == [(2, 4, *size) for size in sizes]
    model.cell_head = None
    assert model.see(torch.randn(2, 3, 50, 130)).cells == []
