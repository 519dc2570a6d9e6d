"""Pretrained weights of timm, loaded by name into the networks here.

timm's ResNets and Res2Net have the same key names. Its MobileNetV2 names the same layers by stage; the order of the
layers is the same. Attention blocks, which timm's networks have not, keep their own starting values.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from exp.options.errors import ConfigError

_HEADS = ("fc.", "classifier.")


def load_timm(model: nn.Module, name: str) -> str:
    """Loads timm's pretrained weights; timm downloads them where it has not done so before.

    Args:
        model: Our form of a network that timm has, with or without attention.
        name: What timm calls the network.

    Returns:
        A line that says how many weights were taken.

    Raises:
        ConfigError: timm is missing, has no such network or no weights at hand, or the shapes differ.
    """
    try:
        import timm
    except ImportError as error:
        raise ConfigError("init=timm: timm is not installed; pip install 'exp-tables[timm]'") from error
    try:
        theirs = timm.create_model(name, pretrained=True)
    except (KeyError, RuntimeError, OSError, ValueError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"init=timm: no pretrained weights of {name} ({first})") from error
    new, total = len(load_by_name(model, theirs.state_dict())), len(model.state_dict())
    return f"init=timm: takes {total - new} of {total} weights of {name}"


def load_by_name(model: nn.Module, theirs: Mapping[str, Tensor]) -> list[str]:
    """Copies weights of timm's form of a network into ours.

    Args:
        model: Ours.
        theirs: State dict of timm's.

    Returns:
        Keys of ours that kept their starting values: attention blocks, and the head where the classes are others.

    Raises:
        ConfigError: A layer outside the head has another shape, or weights are left over.
    """
    ours = model.state_dict()
    backbone = [key for key in ours if not _of_attention(key)]
    if set(backbone) != set(theirs):
        if len(backbone) != len(theirs):
            raise ConfigError(f"init=timm: {len(theirs)} weights for a network of {len(backbone)}")
        theirs = dict(zip(backbone, theirs.values(), strict=True))  # the same layers in the same order, named otherwise
    taken = {}
    for key in backbone:
        if ours[key].shape == theirs[key].shape:
            taken[key] = theirs[key]
        elif not key.startswith(_HEADS):
            raise ConfigError(
                f"init=timm: {key} is {tuple(ours[key].shape)} here and {tuple(theirs[key].shape)} there; take"
                " the stock width and stem (model.stem=imagenet), and images of 3 channels"
            )
    model.load_state_dict(taken, strict=False)
    return [key for key in ours if key not in taken]


def _of_attention(key: str) -> bool:
    return ".att." in key or key.startswith("att.")
