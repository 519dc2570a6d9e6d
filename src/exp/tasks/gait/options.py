"""Options of the gait task (who walks here?), of its nets and of its data sets."""

from typing import TYPE_CHECKING, ClassVar, Literal

from exp.options.checks import above, at_least, fraction, probability
from exp.options.fields import option
from exp.options.parts import DataOptions, ModelOptions, TaskOptions

if TYPE_CHECKING:
    from exp.options.config import Config

Order = Literal["ordered", "unordered"]
"""Whether frames come as they were filmed, or in random order."""
Metric = Literal["euclidean", "cosine"]
"""Distance of two embeddings."""
TemporalPool = Literal["max+lstm", "mean+lstm", "lstm", "max", "mean"]
"""What makes one map of the frame maps of a walk."""
Layout = Literal["(n h w) s c", "(n p) s c", "(n h c) s w", "(n w c) s h", "(n c) s (h w)"]
"""Which axes of the frame maps (n s c h w, or n s c p for body parts) are an LSTM's batch, steps and input."""
PartPool = Literal["mean+max", "avg", "max"]
"""Statistic of a horizontal strip; mean+max is the sum of both."""
Fusion = Literal["concat", "add", "gate", "attention"]
"""How the maps of LSTM and pooling become one."""
Readout = Literal["last", "mean", "max"]
"""What is taken of an LSTM's steps."""
Positions = Literal["learned", "sinusoidal", "none"]
"""How a transformer encoder is told a frame's place in time."""

_LSTM = ("max+lstm", "mean+lstm", "lstm")
_BOTH = ("max+lstm", "mean+lstm")


def _strides(value: list[int]) -> str | None:
    return None if len(value) == 4 and min(value) >= 1 else "four numbers of at least 1"


def _test_frames(value: int | str) -> str | None:
    return None if isinstance(value, str) or value >= 1 else "all or at least 1"


def _validation_people(value: int) -> str | None:
    return None if value == 0 or value >= 2 else "0 or at least 2"


def _angles(value: int) -> str | None:
    return None if 2 <= value <= 11 else "2 to 11"


class GaitOptions(TaskOptions):
    """Gait recognition on silhouettes by the CASIA-B protocol: the models of notebook 000."""

    name = "gait"
    builds = "exp.tasks.gait.module:Gait"
    kind = "walks"
    monitor = "mean_r1"
    mode = "max"
    reports = ("nm_*", "bg_*", "cl_*", "mean_r1", "cross_*")
    headline = ("nm_r1", "bg_r1", "cl_r1", "mean_r1")
    printed: ClassVar[dict[str, str]] = {
        **{
            f"{kind}{more}": f"{kind}_r1"
            for kind in ("nm", "bg", "cl")
            for more in ("", "@r1", " rank-1", "#5-6", "#1-2")
        },
        **dict.fromkeys(("mean", "average", "avg", "mean rank-1"), "mean_r1"),
    }
    prefers: ClassVar[dict[str, str]] = {"fusion": "model"}
    sets: ClassVar[dict[str, tuple[str, ...]]] = {"order": ("train_order", "test_order")}

    order: Order | None = None
    """Order of the frames in training and test, where train_order and test_order do not say otherwise."""
    train_order: Order = "ordered"
    """Whether training clips keep the order of their frames."""
    test_order: Order = "ordered"
    """Whether validation and test clips keep the order of their frames."""
    test_frames: int | Literal["all"] = option("all", _test_frames)
    """Frames of a clip in validation and test."""
    triplet_weight: float = option(1.0, at_least(0))
    """Weight of the batch-all triplet loss."""
    margin: float = option(0.2, at_least(0))
    """By how much another person has to be further than the same one."""
    self_positive: bool = False
    """Whether a walk counts as a positive of itself in the triplet loss, as in the published code."""
    ce_weight: float = option(1.0, at_least(0))
    """Weight of the cross-entropy on cosine logits."""
    ce_scale: float = option(16.0, at_least(0))
    """Factor of the cosines before the softmax."""
    label_smoothing: float = option(0.1, fraction)
    """Probability mass spread over all persons in the cross-entropy."""
    loss_per: Literal["part", "global"] = "part"
    """One loss a body part, or one on the distances and logits averaged over the parts."""
    metric: Metric = "euclidean"
    """Distance by which walks are ranked."""
    rounding: bool = False
    """Whether the accuracy of each angle pair is rounded to two decimals before it is averaged, as published."""
    save_features: bool = option(False, identity=False)
    """Whether features.npz of the test is left in the cell."""
    pictures: bool = option(True, identity=False)
    """Whether silhouettes, angle matrix and an example search are drawn in the cell."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        if not self.triplet_weight and not self.ce_weight:
            return "task.triplet_weight=0 and task.ce_weight=0: nothing to train on; raise one of them"
        if config.data.skip and self.train_order == "unordered":
            return f"data.skip={config.data.skip}: leaves frames out of an ordered window; it needs train_order=ordered"
        return super().conflict(config)


class BackboneOptions(ModelOptions):
    """What all gait nets share: the size of the frame network.

    A net is built as ``Net(options, image_size=, num_classes=, att=, placement=)``.
    """

    kind = "walks"

    width: int = option(64, at_least(1))
    """Channels of the stem; the stages have 1, 2, 4 and 8 times as many."""
    strides: list[int] = option([1, 2, 2, 1], _strides)
    """Strides of the four stages."""
    stem: Literal["3x3", "7x7"] = "3x3"
    """3x3 of stride 1, or 7x7 of stride 2 followed by 3x3 max-pooling of stride 2."""


class PartsOptions(BackboneOptions):
    """What nets that cut a body into horizontal strips share."""

    bins: int = option(16, at_least(1))
    """Horizontal strips, one embedding vector each; at most as many as the maps have rows."""
    part_pool: PartPool = "mean+max"
    """Statistic of a strip: sum of mean and maximum, mean, or maximum."""
    embedding: int = option(256, at_least(1))
    """Channels of the embedding of a part."""
    separate_fc: bool = True
    """Whether each part has a matrix of its own before the embedding."""


class PooledOptions(PartsOptions):
    """What nets that pool over time share."""

    builds = "exp.tasks.gait.models.net:GaitNet"
    fusion_norm: ClassVar[bool] = False
    """Whether batch norm follows where the maps over time are joined or mapped to the head's channels."""

    backbone: Literal["resnet9", "rows"] = "resnet9"
    """Frame network; rows has no convolution and takes eight rows of eight mean columns for a frame."""
    strides: list[int] = option([1, 2, 2, 1], _strides, backbone="resnet9")
    """Strides of the four stages."""
    stem: Literal["3x3", "7x7"] = option("3x3", backbone="resnet9")
    """3x3 of stride 1, or 7x7 of stride 2 followed by 3x3 max-pooling of stride 2."""
    temporal_pool: TemporalPool = "max"
    """What makes one map of the frame maps of a walk: maximum or mean over time, an LSTM, or both joined."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        if self.backbone == "rows" and config.att.name != "none":
            return f"att={config.att.name}: model.backbone=rows has no residual branch for it; take resnet9"
        return super().conflict(config)


class BaselineOptions(PooledOptions):
    """GaitBase: frame maps, the maximum over time, horizontal parts (Fan et al., CVPR 2023)."""

    name = "baseline"
    temporal_pool: Literal["max", "mean"] = "max"
    """What makes one map of the frame maps of a walk: maximum or mean over time."""


class LstmOptions(PooledOptions):
    """What nets with an LSTM over time share."""

    temporal_pool: TemporalPool = "max+lstm"
    """What makes one map of the frame maps of a walk: maximum or mean over time, an LSTM, or both joined."""
    hidden: int = option(256, at_least(1), temporal_pool=_LSTM)
    """State of the LSTM; layouts that keep the channels apart have as many numbers as their input instead."""
    readout: Readout = option("last", temporal_pool=_LSTM)
    """What is taken of the LSTM's steps: the last state, or mean or maximum over the walk."""
    bidirectional: bool = option(False, temporal_pool=_LSTM)
    """Whether a second LSTM runs backwards; its states are put beside the first's, or added to them in layouts that
    keep the channels apart."""
    lstm_gib: float = option(4.0, at_least(0), temporal_pool=_LSTM)
    """Memory the LSTM may keep for its backward pass, in GiB; beyond it, it runs in chunks that are computed again in
    the backward pass, with the same numbers up to rounding. 0 is no bound."""
    fusion: Fusion = option("concat", temporal_pool=_BOTH)
    """How LSTM and pooling are joined; gate is a sigmoid, attention a softmax over the two at every position."""
    separate_fc: bool = False
    """Whether each part has a matrix of its own before the embedding; without, the joined maps have the embedding's
    channels."""

    @property
    def layout(self) -> Layout:
        """What the LSTM sees as sequences: every horizontal part; nets that leave the choice make it an option."""
        return "(n p) s c"


class ConvLstmOptions(LstmOptions):
    """An LSTM over time at every position, joined with the maximum over time (notebook 000)."""

    name = "convlstm"
    layout: Layout = option("(n h w) s c", temporal_pool=_LSTM)
    """What the LSTM sees as sequences; (n p) s c pools the maps into parts first."""


class PartLstmOptions(LstmOptions):
    """An LSTM over time in every horizontal part, joined with the maximum over time (notebook 000)."""

    name = "partlstm"
    fusion_norm = True


class AttentionLstmOptions(ConvLstmOptions):
    """ConvLstm with a sigmoid gate on both branches, which the source calls attention (notebook 000)."""

    name = "attentionlstm"
    fusion: Fusion = option("gate", temporal_pool=_BOTH)
    separate_fc: bool = True


class BaseAttentionOptions(PartsOptions):
    """A transformer encoder over time beside the maximum over time (notebook 000, where it failed)."""

    name = "baseattention"
    builds = "exp.tasks.gait.models.attention:BaseAttention"
    positions: Positions = "sinusoidal"
    """How a frame's place in time is known; learned is the source's and fixes the number of frames and the map's
    size, with none the frames' order means nothing."""
    patch: int = option(4, at_least(1))
    """Side of the patches of the maps; maps whose sides are no multiple of it are padded with zeros."""
    dim: int = option(128, at_least(2))
    """Channels of a token, even and a multiple of the heads."""
    depth: int = option(12, at_least(1))
    """Layers of the encoder."""
    heads: int = option(4, at_least(1))
    """Attention heads."""
    mlp: int = option(512, at_least(1))
    """Hidden channels of a layer's MLP."""
    dropout: float = option(0.1, fraction)
    """Dropout of the tokens, the attention and the MLP."""
    frames: int = option(30, at_least(1), positions="learned")
    """Frames of a walk where positions are learned."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        if self.dim % self.heads or self.dim % 2:
            return f"model.dim={self.dim}: has to be even and a multiple of model.heads={self.heads}"
        if self.positions != "learned":
            return super().conflict(config)
        several = _one_length("positions=learned", config)
        if several is None and self.frames != config.data.frames:
            return f"model.frames={self.frames}: positions=learned needs it to be data.frames={config.data.frames}"
        return several


class ReelResnetOptions(BackboneOptions):
    """An ordinary ResNet on every frame, the frames taken for parts (notebook 000, where it failed)."""

    name = "reelresnet"
    builds = "exp.tasks.gait.models.reel:ReelResnet"
    strides: list[int] = option([1, 2, 2, 2], _strides)
    stem: Literal["3x3", "7x7"] = "7x7"
    """7x7 of stride 2 followed by 3x3 max-pooling of stride 2, or 3x3 of stride 1."""
    parts: Literal["time", "pooled"] = "pooled"
    """time compares frame i with frame i, as the source does; pooled is the mended form, one vector a walk."""
    temporal_pool: Literal["max", "mean"] = option("max", parts="pooled")
    """What makes one vector of the frames of a walk: maximum or mean over time."""
    outputs: int | None = None
    """Outputs of the classifier, at least the persons of the training, which is the number where not given (the
    source has 75 for 74)."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        return _one_length("parts=time", config) if self.parts == "time" else super().conflict(config)


def _one_length(which: str, config: "Config") -> str | None:
    """Returns why an option that fixes the number of frames does not fit training and test, or None."""
    frames, test_frames = config.data.frames, config.task.test_frames
    if test_frames == frames:
        return None
    return (
        f"{which}: walks of one length only, but data.frames={frames} and test_frames={test_frames}; give both the"
        " same number"
    )


class ClipOptions(DataOptions):
    """How walks become batches of clips."""

    kind = "walks"

    batch_subjects: int = option(8, at_least(1))
    """Persons of an optimizer step, over all devices and micro-batches."""
    batch_clips: int = option(16, at_least(1))
    """Walks of each of them."""
    frames: int = option(30, at_least(1))
    """Frames of a training clip."""
    skip: int = option(0, at_least(0))
    """Random frames left out of a window of frames + skip, in ordered training clips."""
    steps: int = option(1000, at_least(1))
    """Optimizer steps of an epoch, after which the validation walks are scored."""
    max_frames: int = option(720, at_least(1))
    """Most frames of a walk in validation and test."""
    rotate: float = option(0.0, at_least(0))
    """Largest angle in degrees by which a whole training clip is turned."""
    rotate_probability: float = option(0.3, probability)
    """Share of the training clips that are turned."""
    erase: float = option(0.0, probability)
    """Share of the training clips of which one box is blanked in all frames."""
    eval_frames: int = option(2000, at_least(1), identity=False)
    """Most frames of a validation or test batch on one device."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        pieces, devices = config.trainer.accumulate, config.trainer.devices
        if self.batch_subjects // pieces * self.batch_clips < devices:
            return (
                f"data.batch_subjects={self.batch_subjects}: with data.batch_clips={self.batch_clips} too few for"
                f" trainer.accumulate={pieces} micro-batches of whole persons on trainer.devices={devices}; raise the"
                " one or lower the others"
            )
        return super().conflict(config)


class WalkersOptions(ClipOptions):
    """Procedural walkers in CASIA-B's shape, made on first use: any number of people, up to 11 angles."""

    name = "walkers"
    builds = "exp.tasks.gait.data.walkers:Walkers"
    surrogate = True
    preset: Literal["mixed", "tempo"] = "mixed"
    """How people differ: in everything, or in nothing but the tempo, which only the order of the frames shows."""
    shape: float | None = option(None, at_least(0))
    """Spread of proportions; the preset's where not given."""
    pose: float | None = option(None, at_least(0))
    """Spread of angles; the preset's where not given."""
    tempo: float | None = option(None, at_least(0))
    """Spread of the period; the preset's where not given."""
    size: int = option(32, at_least(16))
    """Rows and columns of a frame."""
    train_subjects: int = option(24, at_least(2))
    """People to train on."""
    val_subjects: int = option(8, _validation_people)
    """People to choose the epoch on, none of whom is trained on; 0 for no validation part."""
    test_subjects: int = option(16, at_least(2))
    """People to test on."""
    views: int = option(11, _angles)
    """Number of angles, evenly spread over 000 to 180."""
    clip_frames: int = option(48, at_least(6))
    """Middle number of frames of a walk; walks are up to a sixth shorter or longer."""
    fps: float = option(25.0, above(0))
    """Frames a second; a cycle of two steps takes about 1.08 seconds."""
    data_seed: int = option(0, at_least(0))
    """Which population."""


class CasiaBOptions(ClipOptions):
    """CASIA-B in OpenGait's pretreated folders or as PNG silhouettes: 124 people, 10 walks, 11 angles."""

    name = "casia_b"
    builds = "exp.tasks.gait.data.casia_b:CasiaB"
    root: str | None = option(None, identity=False)
    """Folder of the persons' folders; where not given, the environment's EXP_DATA or a folder CASIA-B in it."""
    size: int = option(64, at_least(16))
    """Rows of a frame, and its columns before the cut."""
    cut: int = option(0, at_least(0))
    """Columns left off on each side of a square frame; 10 makes 64x44 of 64x64."""
    train_subjects: int = option(74, at_least(2))
    """People up to this number are trained on, the others tested."""
    val_subjects: int = option(10, at_least(0))
    """People taken from the training to choose the epoch on; 0 for no validation part."""
