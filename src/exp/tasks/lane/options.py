"""The lane task: a language model of lanes, its switches and data sets (notebook 001 and the LaneLM preprint)."""

from typing import TYPE_CHECKING, ClassVar, Literal

from exp.options.checks import above, at_least, each, finite, probability
from exp.options.fields import option
from exp.options.parts import DataOptions, ModelOptions, TaskOptions

if TYPE_CHECKING:
    from exp.options.config import Config


def _ramp(value: list[float]) -> str | None:
    return None if len(value) == 2 and 0 <= value[0] <= value[1] else "two epochs, the first not after the second"


def _points(value: list[int]) -> str | None:
    return None if all(points >= 1 for points in value) else "numbers of at least 1"


def _drawable(value: int) -> str | None:
    return None if 1 <= value <= 255 else "from 1 to 255"


_SPARSE = ("p3", "p4", "p4+p5", "p3+p4+p5")


class LaneOptions(TaskOptions):
    """A lane language model: how lanes become tokens, what is supervised, how the model is trained and decoded."""

    name = "lane"
    builds = "exp.tasks.lane.module:Lane"
    kind = "lanes"
    monitor = "selection"
    mode = "max"
    headline = ("f1_50", "f1_75", "f1_50_swapped", "loss", "pixel_error", "zigzag", "alarms", "train_loss")
    reports = (
        *("f1_*", "mf1", "fp_*", "loss", "*_loss", "tf_acc", "ar_acc", "pixel_error", "pixel_error_image", "zigzag"),
        *("first_mismatch", "lanes", "token_*", "uniformity", "uniformity_*", "ceiling_*", "commonest_token"),
        *("grad_norm", "selection", "alarms"),
    )
    printed: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("f1", "f1@50", "total", "f1 total"), "f1_50"),
        "f1@75": "f1_75",
        "f1@90": "f1_90",
        "mf1": "mf1",
        "cross": "fp_cross",
        "crowded": "f1_50_crowd",
        "dazzle": "f1_50_hlight",
        "dazzle light": "f1_50_hlight",
        "no line": "f1_50_noline",
        **{
            kind: f"f1_50_{kind}"
            for kind in ("normal", "crowd", "hlight", "shadow", "noline", "arrow", "curve", "night")
        },
    }

    tokens: Literal["absolute", "relative", "relative_published"] = "absolute"
    """Bins, differences with error feedback, or the source's differences, whose clamp makes 97 % of them one id."""
    nbins: int = option(400, at_least(2))
    """Bins over the input's width."""
    max_dx: int = option(32, at_least(1), tokens=("relative", "relative_published"))
    """Largest difference in bins; data with larger ones are refused."""
    steps: int = option(40, at_least(2))
    """Rows at which a lane is sampled."""
    order: Literal["bottom_up", "top_down"] = "bottom_up"
    """Order in which rows are written; prompts at a lane's beginning need bottom_up."""
    max_lanes: int = option(4, at_least(1))
    """Lane slots of an image."""
    slots: Literal["position", "file"] = "position"
    """Which lane has which slot: lanes left of the image's middle in the left half of the slots, nearest to the middle,
    the others in the right half (a side with too many borrows from the other), or the order in the file (the source's).
    """
    bos: Literal["slot", "leak"] = "slot"
    """First input: a token of the slot, or the answer in training and 0 in decoding (the source's)."""
    slot: Literal["learnt", "scaled10"] = "learnt"
    """Slot embedding: a small start, or N(0, 1) times ten (the source's)."""
    padding: Literal["supervised", "ignored"] = "supervised"
    """Whether rows without a point count in the loss; ignored (the source's), nothing teaches where lanes end."""
    soft: float = option(0.0, at_least(0))
    """Deviation in bins of a Gaussian target around the right token; 0 is the hard target."""
    y_loss: Literal["none", "fixed", "staged"] = "none"
    """Loss of the row index: without, with a fixed weight, or 0, then 0.1, then 0.3 as the x loss passes 0.1."""
    y_weight: float = option(0.3, probability, y_loss="fixed")
    """Weight of the row index's loss; x has the rest."""
    cell_loss: float = option(0.0, at_least(0))
    """Weight of a loss that teaches the image encoder: each visual token says whose lane runs through its cell."""
    scheduled_sampling: bool = False
    """Whether the model's own tokens replace some of the inputs in training."""
    sampling_rate: float = option(0.5, probability, scheduled_sampling=True)
    """Share of replaced inputs at the ramp's end."""
    sampling_ramp: list[float] = option([30.0, 70.0], _ramp, scheduled_sampling=True)
    """Epochs at which the share begins to rise from 0 and at which it stops."""
    rollout: float = option(0.0, at_least(0))
    """Weight of a second loss on inputs that are all the model's own, falling to a sixth along the lane."""
    lane_batch: int = option(0, at_least(0))
    """Lanes in a micro-batch's loss, drawn from those there are; 0 takes all slots."""
    temperature: float = option(0.0, at_least(0))
    """Temperature of decoding in validation and test; 0 is greedy."""
    probe: bool = option(True, identity=False)
    """Whether evaluation also measures how uniform the attention to the image is."""
    prompts: list[int] = option([], _points)
    """Numbers of points: for each, the test is also scored (f1_50_promptN) with that many first points of every
    labelled lane given, each up to 5 original pixels off."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        if self.prompts and self.order != "bottom_up":
            return f"task.prompts={self.prompts}: a lane's first points are its lowest; it needs task.order=bottom_up"
        return super().conflict(config)


class LaneLMOptions(ModelOptions):
    """ResNet, feature pyramid, visual tokens and a causal decoder (LaneLM, preprints 202504.1582)."""

    name = "lanelm"
    builds = "exp.tasks.lane.models.lanelm:LaneLM"
    kind = "lanes"

    backbone: Literal["resnet18", "resnet34", "resnet50", "resnet101", "dla34"] = "resnet18"
    """Image encoder, with the ImageNet stem; dla34 takes no attention block."""
    width: int = option(64, at_least(1))
    """Channels of the backbone's first stage."""
    frozen: bool = False
    """Whether the backbone keeps its weights (of init=CELL or ckpt=PATH, or its random ones)."""
    fpn_channels: int = option(64, at_least(1))
    """Channels of the pyramid."""
    levels: Literal["p3", "p4", "p5", "p4+p5", "p3+p4+p5"] = "p4"
    """Pyramid levels that give visual tokens, at strides 8, 16, 32."""
    subsample: bool = option(False, levels=_SPARSE)
    """Whether P3 and P4 give one token for each 2x2 places; P5 is always whole."""
    cross: Literal["concatenated", "per_level"] = option("concatenated", levels=("p4+p5", "p3+p4+p5"))
    """All levels as one memory, or block i attending to level i (the paper's form)."""
    token_pool: Literal["none", "attention"] = "none"
    """Whether learnt queries pool the visual tokens."""
    pooled_tokens: int = option(64, at_least(1), token_pool="attention")
    """Visual tokens after pooling."""
    encoder: Literal["layernorm", "standardised", "residual"] = "layernorm"
    """Before the projection: LayerNorm; each map first brought to mean 0 and deviation 1; or a projection of the map as
    it is added."""
    encoder_scale: float = option(1.0, at_least(0))
    """Factor after the projection (the source proposes 0.1)."""
    position_strength: float = option(1.0, at_least(0))
    """Factor of the 2-D position code."""
    memory_mask: bool = True
    """Whether places without image (padding, borders of a shifted image) are hidden from the decoder."""
    dim: int = option(128, at_least(4))
    """Channels of the decoder."""
    layers: int = option(3, at_least(1))
    """Decoder blocks."""
    heads: int = option(4, at_least(1))
    """Attention heads."""
    hidden: int = option(256, at_least(1))
    """Channels inside the feed-forward parts."""
    dropout: float = option(0.0, probability)
    """Dropout of the decoder's branches."""
    norm: Literal["pre", "post"] = "pre"
    """Layer norm before each branch, or after the addition (the source's)."""
    embeddings: Literal["places", "normal"] = "places"
    """How bins, rows and the head's bins start: with the codes of visual tokens at the same place, so that attention
    finds a place by a dot product, or at random (the source)."""
    embedding_std: float = option(0.02, at_least(0))
    """Deviation of the embeddings' starting values (the source has 1)."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        if self.dim % self.heads or self.dim % 4:
            return f"model.dim={self.dim}: has to be a multiple of 4 and of model.heads={self.heads}"
        if self.backbone == "dla34" and config.att.name != "none":
            return f"att={config.att.name}: model.backbone=dla34 has no place for it; take a ResNet"
        if self.backbone == "dla34" and self.width % 4:
            return f"model.width={self.width}: has to be a multiple of 4 with model.backbone=dla34"
        return super().conflict(config)


class LaneDataOptions(DataOptions):
    """How images and lanes become a batch."""

    kind = "lanes"

    batch_size: int = option(16, at_least(1))
    """Images an optimizer step, over all devices and accumulated micro-batches."""
    image_height: int = option(590, at_least(1))
    """Rows of the original images, in whose pixels the labels are."""
    image_width: int = option(1640, at_least(1))
    """Columns of the original images."""
    line_width: int = option(30, _drawable)
    """Pixels across a lane where F1 compares areas; 30 is CULane's, 20 usual on images of 1276x717."""
    input_height: int = option(320, at_least(32))
    """Rows of the network's input."""
    input_width: int = option(800, at_least(32))
    """Columns of the network's input."""
    crop_top: int = option(270, at_least(0))
    """Rows of the original that are cut off at the top."""
    fit: Literal["stretch", "pad"] = "stretch"
    """Whether the image is stretched to the input or keeps its aspect ratio, the rest at the right or below black."""
    overfit: int = option(0, at_least(0))
    """Train, validate and test on this many training frames, spread evenly over those with at least three lanes; 0
    takes the set's parts."""
    repeat: int = option(1, at_least(1))
    """How often an epoch goes through the training part."""
    flip: float = option(0.0, probability)
    """Probability of mirroring, in training; slots are mirrored with it."""
    rotate: float = option(0.0, at_least(0))
    """Largest rotation in degrees, in training."""
    zoom: float = option(0.0, probability)
    """Largest relative change of size, in training."""
    shift: float = option(0.0, probability)
    """Largest shift as a share of the size, in training."""
    brightness: float = option(0.0, probability)
    """Largest relative change of brightness and contrast, in training."""
    mean: float | list[float] = option(0.5, each(finite))
    """Subtracted from images in 0..1, one number or one a channel."""
    std: float | list[float] = option(0.5, each(above(0)))
    """Divides images after the mean is taken off."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        if self.crop_top >= self.image_height:
            return f"data.crop_top={self.crop_top}: leaves nothing of data.image_height={self.image_height} rows"
        return super().conflict(config)


class RoadsOptions(LaneDataOptions):
    """Surrogate: procedural road scenes with exact labels in CULane's form and categories, embedded."""

    name = "roads"
    builds = "exp.tasks.lane.data.roads:Roads"
    surrogate = True
    input_height: int = option(128, at_least(32))
    """Rows of the network's input."""
    input_width: int = option(320, at_least(32))
    """Columns of the network's input."""
    crop_top: int = option(250, at_least(0))
    """Rows of the original that are cut off at the top."""
    train_images: int = option(2000, at_least(1))
    """Scenes of the training part."""
    val_images: int = option(200, at_least(1))
    """Scenes of the validation part."""
    test_images: int = option(200, at_least(1))
    """Scenes of the test part."""


class CULaneOptions(LaneDataOptions):
    """CULane in the publisher's layout: list/*.txt and driver_*/**/*.jpg with .lines.txt beside them."""

    name = "culane"
    builds = "exp.tasks.lane.data.culane:CULane"
    root: str | None = option(None, identity=False)
    """Folder in which the publisher's files lie; the environment's EXP_DATA where not given."""
    parts: Literal["published", "holdout"] = "published"
    """The publisher's lists, or all three parts from train.txt, for a set of which only a clip is there: its last tenth
    for the test, the tenth before that for validation."""


class TuSimpleOptions(LaneDataOptions):
    """TuSimple in the publisher's layout: label_data_*.json (0531 for validation) and clips/**/20.jpg."""

    name = "tusimple"
    builds = "exp.tasks.lane.data.tusimple:TuSimple"
    root: str | None = option(None, identity=False)
    """Folder in which the publisher's files lie; the environment's EXP_DATA where not given."""
    image_height: int = option(720, at_least(1))
    """Rows of the original images, in whose pixels the labels are."""
    image_width: int = option(1280, at_least(1))
    """Columns of the original images."""
    crop_top: int = option(160, at_least(0))
    """Rows of the original that are cut off at the top."""
