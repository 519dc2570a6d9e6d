"""Watches what attention does, from outside: gates, router weights and temperatures of any model, model code unchanged.

A gate is a sub-module named ``gate``, a router's weights come from one named ``router_weights`` (n, K, ...), and a
temperature is an `exp.blocks.temperature.Temperature`. Blocks written by users take part by using these names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from exp.blocks.temperature import Temperature

LOW, HIGH = 0.05, 0.95
"""Below and above, a gate counts as saturated."""
BINS = 20
"""Of the histograms, from 0 to 1."""


@dataclass
class Sums:
    """Sums over the samples of one gate or router.

    Attributes:
        router: Whether these are a router's weights.
        samples: How many.
        values: Sum and sum of squares of each value of a sample, (2, M).
        histogram: Count of values by bin, (BINS,); values beyond 0..1 are in the outer ones.
        low: Values below LOW.
        high: Values above HIGH.
        bounded: Whether all values lie in 0..1, so that saturation means something.
        entropy: Sum of the entropies of a router's weights, divided by log K.
        largest: Sum of the largest weights.
    """

    router: bool
    samples: int = 0
    values: Tensor = field(default_factory=lambda: torch.zeros(2, 0))
    histogram: Tensor = field(default_factory=lambda: torch.zeros(BINS))
    low: float = 0.0
    high: float = 0.0
    bounded: bool = True
    entropy: float = 0.0
    largest: float = 0.0

    def add(self, output: Tensor) -> None:
        """Adds a batch (n, ...)."""
        flat = output.detach().float().flatten(1)
        sums = torch.stack([flat.sum(0), flat.square().sum(0)]).double().cpu()
        self.values = sums if self.samples == 0 else self.values + sums
        self.samples += len(flat)
        self.histogram += torch.histc(flat.clamp(0, 1), BINS, 0, 1).cpu()
        self.low += float((flat < LOW).sum())
        self.high += float((flat > HIGH).sum())
        self.bounded = self.bounded and bool(((flat >= 0) & (flat <= 1)).all())
        if self.router:
            weights = output.detach().float().flatten(2).mean(2) if output.dim() > 2 else flat
            surprise = -(weights * weights.clamp(min=1e-12).log()).sum(1) / math.log(max(weights.shape[1], 2))
            self.entropy += float(surprise.sum())
            self.largest += float(weights.max(1)[0].sum())

    def numbers(self) -> dict[str, float]:
        """Mean, spread over samples, saturation, and of a router entropy and largest weight."""
        total = self.values.shape[1] * self.samples
        mean = self.values[0] / self.samples
        spread = (self.values[1] / self.samples - mean.square()).clamp(min=0).sqrt()
        found = {"mean": float(mean.mean()), "spread": float(spread.mean())}
        if self.router:
            found |= {"entropy": self.entropy / self.samples, "largest": self.largest / self.samples}
            found |= {f"weight{i}": float(weight) for i, weight in enumerate(mean.tolist())}
        elif self.bounded:
            found |= {"low": self.low / total, "high": self.high / total}
        return found


class GateRecorder:
    """Hooks on a model's gates, routers and temperatures; `eject` takes them off again.

    Usable as a context: ``with GateRecorder(model) as gates: model(images)``.

    Args:
        model: Any module.

    Attributes:
        sums: By the gate's or router's name; a module that is called several times in a forward pass has one entry a
            call, ``NAME.2`` and so on; one with an output of several sizes has one a size.
    """

    def __init__(self, model: nn.Module) -> None:
        self.sums: dict[str, Sums] = {}
        self._temperatures: dict[str, Temperature] = {}
        self._calls: dict[str, int] = {}
        self._handles: list[RemovableHandle] = []
        modules = dict(model.named_modules())
        for name, module in modules.items():
            above, _, last = name.rpartition(".")
            if last in ("gate", "router_weights"):
                self._watch(name, module, last == "router_weights")
                self._restart(name, [modules[above], modules[above.rpartition(".")[0]]])
            if isinstance(module, Temperature):
                self._temperatures[name] = module

    def _watch(self, name: str, module: nn.Module, router: bool) -> None:
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            self._calls[name] = self._calls.get(name, 0) + 1
            key = name if self._calls[name] == 1 else f"{name}.{self._calls[name]}"
            size = output[0].numel()
            if key in self.sums and self.sums[key].values.shape[1] != size:  # images of another size
                key = f"{key}[{size}]"
            self.sums.setdefault(key, Sums(router)).add(output)

        self._handles.append(module.register_forward_hook(hook))

    def _restart(self, name: str, blocks: list[nn.Module]) -> None:
        """Counts a gate's calls anew whenever the module it belongs to, or the one above, starts."""

        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
            self._calls.pop(name, None)

        self._handles += [block.register_forward_pre_hook(hook) for block in blocks]

    def eject(self) -> None:
        """Takes all hooks off."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def __enter__(self) -> GateRecorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.eject()

    def numbers(self) -> dict[str, float]:
        """All numbers by ``NAME.number``, temperatures among them."""
        found = {f"{name}.{key}": value for name, sums in self.sums.items() for key, value in sums.numbers().items()}
        return found | {name: float(module.value().detach()) for name, module in self._temperatures.items()}

    def summary(self) -> dict[str, float]:
        """Means over all gates and all routers, as columns of a table; a number nothing gives is left out."""
        wanted = {
            "saturation": [n["low"] + n["high"] for n in self._all(router=False) if "low" in n],
            "spread": [n["spread"] for n in self._all(router=False)],
            "gate_mean": [n["mean"] for n in self._all(router=False)],
            "router_entropy": [n["entropy"] for n in self._all(router=True)],
            "router_spread": [n["spread"] for n in self._all(router=True)],
        }
        return {name: sum(values) / len(values) for name, values in wanted.items() if values}

    def _all(self, *, router: bool) -> list[dict[str, float]]:
        return [sums.numbers() for sums in self.sums.values() if sums.router == router]

    def alarms(self) -> list[str]:
        """What looks wrong, a line each: saturated or constant gates, collapsed or uniform routers, frozen ones."""
        found = []
        for name, sums in self.sums.items():
            numbers = sums.numbers()
            if sums.router and numbers["largest"] > 0.95:
                best = max(range(sums.values.shape[1]), key=lambda i: numbers[f"weight{i}"])
                share = numbers[f"weight{best}"]
                if share > 0.95:
                    found.append(f"{name}: router collapsed, weight {best} is {share:.2f} on average")
                else:
                    found.append(
                        f"{name}: router saturated, one weight a sample is {numbers['largest']:.2f} on average"
                    )
            elif sums.router and numbers["entropy"] > 0.99 and numbers["spread"] < 0.01:
                found.append(f"{name}: router uniform, every weight the same for every sample")
            elif not sums.router and numbers.get("low", 0) + numbers.get("high", 0) > 0.9:
                share = numbers["low"] + numbers["high"]
                found.append(f"{name}: gate saturated, {100 * share:.0f} % of it below {LOW} or above {HIGH}")
            elif not sums.router and numbers["spread"] < 1e-4:
                found.append(f"{name}: gate the same for every sample")
        temperatures = {name: float(module.value().detach()) for name, module in self._temperatures.items()}
        found += [
            f"{name}: temperature is {value:g}, the gate is frozen"
            for name, value in temperatures.items()
            if not math.isfinite(value)
        ]
        return found
