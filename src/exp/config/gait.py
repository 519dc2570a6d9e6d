"""The gait task: who walks here? Its nets and data sets."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from exp.config.options import at_least, option, probability
from exp.config.tasks import Task

Order = Literal["ordered", "unordered"]


def _strides(value: list[int]) -> str | None:
    return None if len(value) == 4 and min(value) >= 1 else "four numbers of at least 1"


def _below_one(value: float) -> str | None:
    return None if 0 <= value < 1 else "at least 0 and below 1"


@dataclass(kw_only=True)
class Gait(Task):
    """Gait recognition on silhouettes by the CASIA-B protocol: the models of notebook 000."""

    name: ClassVar[str] = "gait"
    monitor: ClassVar[str] = "mean_r1"
    mode: ClassVar[Literal["max", "min"]] = "max"
    owner: ClassVar[dict[str, str]] = {"fusion": "model"}
    sets: ClassVar[dict[str, tuple[str, ...]]] = {"order": ("train_order", "test_order")}

    order: Order | None = None
    """Order of the frames in training and test, where train_order and test_order do not say otherwise."""
    train_order: Order = "ordered"
    """Whether training clips keep the order of their frames."""
    test_order: Order = "ordered"
    """Whether validation and test clips keep the order of their frames."""
    test_frames: int | Literal["all"] = option("all", lambda v: None if v == "all" or v >= 1 else "all or at least 1")
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
    label_smoothing: float = option(0.1, _below_one)
    """Probability mass spread over all persons in the cross-entropy."""
    loss_per: Literal["part", "global"] = "part"
    """One loss a body part, or one on the distances and logits averaged over the parts."""
    metric: Literal["euclidean", "cosine"] = "euclidean"
    """Distance by which walks are ranked."""
    rounding: bool = False
    """Whether the accuracy of each angle pair is rounded to two decimals before it is averaged, as published."""
    save_features: bool = option(False, identity=False)
    """Whether features.npz of the test is left in the cell."""
    pictures: bool = option(True, identity=False)
    """Whether silhouettes, angle matrix and an example search are drawn in the cell."""

    @staticmethod
    def complaint(config: dict[str, Any]) -> str | None:
        """What cannot stand among the choices of the parts."""
        task, model, data = config["task"], config["model"], config["data"]
        if not task["triplet_weight"] and not task["ce_weight"]:
            return "task.triplet_weight=0 and task.ce_weight=0: nothing to train on; raise one of them"
        if data.get("skip") and task["train_order"] == "unordered":
            return f"data.skip={data['skip']}: leaves frames out of an ordered window; it needs train_order=ordered"
        fixed = model.get("positions") == "learned" or model.get("parts") == "time"
        if fixed and task["test_frames"] != data["frames"]:
            which = "positions=learned" if model.get("positions") == "learned" else "parts=time"
            return (
                f"{which}: walks of one length only, but data.frames={data['frames']} and"
                f" test_frames={task['test_frames']}; give both the same number"
            )
        if model.get("positions") == "learned" and model["frames"] != data["frames"]:
            return f"model.frames={model['frames']}: positions=learned needs it to be data.frames={data['frames']}"
        return None


@dataclass(kw_only=True)
class _Backbone:
    width: int = option(64, at_least(1))
    """Channels of the stem; the maps have eight times as many."""
    strides: list[int] = option([1, 2, 2, 1], _strides)
    """Strides of the four stages."""
    stem: Literal["3x3", "7x7"] = "3x3"
    """3x3 of stride 1, or 7x7 of stride 2 followed by max-pooling of stride 2."""


@dataclass(kw_only=True)
class _Parts(_Backbone):
    bins: int = option(16, at_least(1))
    """Horizontal strips, one embedding vector each."""
    part_pool: Literal["mean+max", "avg", "max"] = "mean+max"
    """Statistic of a strip."""
    embedding: int = option(256, at_least(1))
    """Numbers of the embedding of a part."""


@dataclass(kw_only=True)
class _Pooled(_Parts):
    backbone: Literal["resnet9", "rows"] = "resnet9"
    """Frame network; rows has no convolution and takes eight rows of eight mean columns for a frame."""
    strides: list[int] = option([1, 2, 2, 1], _strides, backbone="resnet9")
    """Strides of the four stages."""
    stem: Literal["3x3", "7x7"] = option("3x3", backbone="resnet9")
    """3x3 of stride 1, or 7x7 of stride 2 followed by max-pooling of stride 2."""

    @staticmethod
    def complaint(config: dict[str, Any]) -> str | None:
        """What cannot stand among its options."""
        if config["model"]["backbone"] == "rows" and config["att"]["name"] != "none":
            return f"att={config['att']['name']}: model.backbone=rows has no residual branch for it; take resnet9"
        return None


_LSTM = ("max+lstm", "mean+lstm", "lstm")
_BOTH = ("max+lstm", "mean+lstm")


@dataclass(kw_only=True)
class _Lstm(_Pooled):
    temporal_pool: Literal["max+lstm", "mean+lstm", "lstm", "max", "mean"] = "max+lstm"
    """What stands for the frames of a walk: maximum or mean over time, the LSTM, or both joined."""
    hidden: int = option(256, at_least(1), temporal_pool=_LSTM)
    """State of the LSTM; layouts that keep the channels apart have as many numbers as their input instead."""
    readout: Literal["last", "mean", "max"] = option("last", temporal_pool=_LSTM)
    """What is taken of the LSTM's steps."""
    bidirectional: bool = option(False, temporal_pool=_LSTM)
    """Whether a second LSTM runs backwards."""
    lstm_gib: float = option(4.0, at_least(0), temporal_pool=_LSTM)
    """Memory the LSTM may keep for its backward pass, in GiB; beyond it, it runs in chunks, exactly. 0 is no bound."""


_Layout = Literal["(n h w) s c", "(n p) s c", "(n h c) s w", "(n w c) s h", "(n c) s (h w)"]


@dataclass(kw_only=True)
class Baseline(_Pooled):
    """GaitBase: frame maps, the maximum over time, horizontal parts (Fan et al., CVPR 2023)."""

    name: ClassVar[str] = "baseline"
    temporal_pool: Literal["max", "mean"] = "max"
    """What stands for the frames of a walk."""
    separate_fc: bool = True
    """Whether each part has a matrix of its own before the embedding."""


@dataclass(kw_only=True)
class ConvLstm(_Lstm):
    """An LSTM over time at every position, joined with the maximum over time (notebook 000)."""

    name: ClassVar[str] = "convlstm"
    layout: _Layout = option("(n h w) s c", temporal_pool=_LSTM)
    """What the LSTM sees as sequences; (n p) s c pools the maps into parts first."""
    fusion: Literal["concat", "add", "gate", "attention"] = option("concat", temporal_pool=_BOTH)
    """How LSTM and pooling are joined; gate is a sigmoid, attention a softmax over the two at every position."""
    separate_fc: bool = False
    """Whether each part has a matrix of its own before the embedding."""


@dataclass(kw_only=True)
class PartLstm(_Lstm):
    """An LSTM over time in every horizontal part, joined with the maximum over time (notebook 000)."""

    name: ClassVar[str] = "partlstm"
    fusion: Literal["concat", "add", "gate", "attention"] = option("concat", temporal_pool=_BOTH)
    """How LSTM and pooling are joined; gate is a sigmoid, attention a softmax over the two at every position."""
    separate_fc: bool = False
    """Whether each part has a matrix of its own before the embedding."""


@dataclass(kw_only=True)
class AttentionLstm(_Lstm):
    """ConvLstm with a sigmoid gate on both branches, which the source calls attention (notebook 000)."""

    name: ClassVar[str] = "attentionlstm"
    layout: _Layout = option("(n h w) s c", temporal_pool=_LSTM)
    """What the LSTM sees as sequences; (n p) s c pools the maps into parts first."""
    fusion: Literal["concat", "add", "gate", "attention"] = option("gate", temporal_pool=_BOTH)
    """How LSTM and pooling are joined; gate is a sigmoid, attention a softmax over the two at every position."""
    separate_fc: bool = True
    """Whether each part has a matrix of its own before the embedding."""


@dataclass(kw_only=True)
class BaseAttention(_Parts):
    """A transformer encoder over time beside the maximum over time (notebook 000, where it failed)."""

    name: ClassVar[str] = "baseattention"
    positions: Literal["learned", "sinusoidal", "none"] = "sinusoidal"
    """Where a frame stands in time; learned is the source's and fixes the number of frames and the map's size."""
    patch: int = option(4, at_least(1))
    """Side of the patches of the maps."""
    dim: int = option(128, at_least(2))
    """Numbers of a token."""
    depth: int = option(12, at_least(1))
    """Layers of the encoder."""
    heads: int = option(4, at_least(1))
    """Attention heads."""
    mlp: int = option(512, at_least(1))
    """Hidden numbers of a layer's MLP."""
    dropout: float = option(0.1, _below_one)
    """Dropout of the encoder."""
    frames: int = option(30, at_least(1), positions="learned")
    """Frames of a walk where positions are learned."""
    separate_fc: bool = True
    """Whether each part has a matrix of its own before the embedding."""

    @staticmethod
    def complaint(config: dict[str, Any]) -> str | None:
        """What cannot stand among its options."""
        model = config["model"]
        if model["dim"] % model["heads"] or model["dim"] % 2:
            return f"model.dim={model['dim']}: has to be even and a multiple of model.heads={model['heads']}"
        return None


@dataclass(kw_only=True)
class ReelResnet(_Backbone):
    """An ordinary ResNet on every frame, the frames taken for parts (notebook 000, where it failed)."""

    name: ClassVar[str] = "reelresnet"
    strides: list[int] = option([1, 2, 2, 2], _strides)
    """Strides of the four stages."""
    stem: Literal["3x3", "7x7"] = "7x7"
    """7x7 of stride 2 followed by max-pooling of stride 2, or 3x3 of stride 1."""
    parts: Literal["time", "pooled"] = "pooled"
    """time compares frame i with frame i, as the source does; pooled is the mended form, one vector a walk."""
    temporal_pool: Literal["max", "mean"] = option("max", parts="pooled")
    """What stands for the frames of a walk."""
    outputs: int | None = None
    """Outputs of the classifier; the persons of the training where not given (the source has 75 for 74)."""


@dataclass(kw_only=True)
class _Clips:
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


@dataclass(kw_only=True)
class Walkers(_Clips):
    """Procedural walkers in CASIA-B's shape, made on first use: any number of people, up to 11 angles."""

    name: ClassVar[str] = "walkers"
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
    val_subjects: int = option(8, at_least(0))
    """People to choose the epoch on."""
    test_subjects: int = option(16, at_least(2))
    """People to test on."""
    views: int = option(11, lambda v: None if 2 <= v <= 11 else "2 to 11")
    """Number of angles, evenly spread over 000 to 180."""
    clip_frames: int = option(48, at_least(6))
    """Middle number of frames of a walk."""
    fps: float = option(25.0, lambda v: None if v > 0 else "above 0")
    """Frames a second; a cycle of two steps takes about 1.08 seconds."""
    data_seed: int = option(0, at_least(0))
    """Which population."""


@dataclass(kw_only=True)
class CasiaB(_Clips):
    """CASIA-B in OpenGait's pretreated folders or as PNG silhouettes: 124 people, 10 walks, 11 angles."""

    name: ClassVar[str] = "casia_b"
    root: str | None = option(None, identity=False)
    """Folder in which the persons' folders lie; the environment's EXP_DATA where not given."""
    size: int = option(64, at_least(16))
    """Rows of a frame."""
    cut: int = option(0, at_least(0))
    """Columns left off on each side of a square frame; 10 makes 64x44 of 64x64."""
    train_subjects: int = option(74, at_least(2))
    """People up to this number are trained on, the others tested."""
    val_subjects: int = option(10, at_least(0))
    """People taken from the training to choose the epoch on."""


TASKS = (Gait,)
MODELS = (Baseline, ConvLstm, PartLstm, AttentionLstm, BaseAttention, ReelResnet)
DATA = (Walkers, CasiaB)
