"""Learning rates step by step against torch's own schedulers, and updates against torch's own optimizers."""

import itertools
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from exp.options.errors import ConfigError
from exp.options.sections import Optim
from exp.tasks.optim import build_optimizer, build_schedule, factor

STEPS = 5
"""Optimizer steps of an epoch."""
EPOCHS = 4
"""Epochs of a run."""
N = STEPS * EPOCHS
"""Optimizer steps of a run."""


def sgd(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)


def rates(optimizer: torch.optim.Optimizer, schedule: Any, steps: int) -> list[float]:
    """Returns the learning rate with which each of the optimizer's steps is made."""
    used = []
    for _ in range(steps):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return used


def ours(options: Optim, steps: int = N, *, steps_per_epoch: int = STEPS, max_epochs: int = EPOCHS) -> list[float]:
    optimizer = build_optimizer(nn.Linear(1, 1), options)
    schedule = build_schedule(optimizer, options, steps_per_epoch=steps_per_epoch, max_epochs=max_epochs)
    return rates(optimizer, schedule, steps)


def test_a_constant_rate_stays() -> None:
    assert ours(Optim(lr=0.3)) == [0.3] * N


@pytest.mark.parametrize("gamma", [0.1, 0.5, 0.97])
@pytest.mark.parametrize("step_size", [1.0, 1.4, 3.0])
def test_step_is_torchs(step_size: float, gamma: float) -> None:
    optimizer = sgd(0.3)
    expected = rates(optimizer, lr_scheduler.StepLR(optimizer, round(step_size * STEPS), gamma), N)
    assert ours(Optim(lr=0.3, schedule="step", step_size=step_size, gamma=gamma)) == pytest.approx(expected, rel=1e-9)
    assert len(set(expected)) == math.ceil(EPOCHS / step_size)


def test_step_has_torchs_default_factor_and_thirty_epochs() -> None:
    optimizer = sgd(0.1)
    expected = rates(optimizer, lr_scheduler.StepLR(optimizer, 30), 61)
    got = ours(Optim(schedule="step"), 61, steps_per_epoch=1, max_epochs=61)
    assert got == pytest.approx(expected, rel=1e-9)
    assert got[29] == 0.1
    assert got[30] == pytest.approx(0.01)


@pytest.mark.parametrize("steps_per_epoch", [3, 10])
def test_no_drop_is_late_by_rounding(steps_per_epoch: int) -> None:
    """Three tenths divided by a tenth is below 3 in floating point; each of 300 drops is made at its step all the same."""
    optimizer = sgd(1.0)
    expected = rates(optimizer, lr_scheduler.StepLR(optimizer, 1, 0.99), 300)
    options = Optim(lr=1.0, schedule="step", step_size=1 / steps_per_epoch, gamma=0.99)
    assert ours(options, 300, steps_per_epoch=steps_per_epoch, max_epochs=100) == pytest.approx(expected, rel=1e-9)
    milestones = Optim(lr=1.0, schedule="multistep", milestones=[0.1 + 0.2])  # 0.30000000000000004
    assert ours(milestones, 4, steps_per_epoch=10, max_epochs=1) == pytest.approx([1.0, 1.0, 1.0, 0.1])


@pytest.mark.parametrize("gamma", [0.1, 0.5])
@pytest.mark.parametrize("milestones", [[1.0], [1.0, 3.0], [0.4, 0.6, 3.8], []])
def test_multistep_is_torchs(milestones: list[float], gamma: float) -> None:
    optimizer = sgd(0.3)
    at = [round(epoch * STEPS) for epoch in milestones]
    expected = rates(optimizer, lr_scheduler.MultiStepLR(optimizer, at, gamma), N)
    options = Optim(lr=0.3, schedule="multistep", milestones=milestones, gamma=gamma)
    assert ours(options) == pytest.approx(expected, rel=1e-9)
    assert len(set(expected)) == 1 + len(milestones)


@pytest.mark.parametrize("min_lr", [0.0, 0.01, 0.3])
def test_cosine_is_torchs(min_lr: float) -> None:
    optimizer = sgd(0.3)
    expected = rates(optimizer, lr_scheduler.CosineAnnealingLR(optimizer, N, eta_min=min_lr), N + 1)
    got = ours(Optim(lr=0.3, schedule="cosine", min_lr=min_lr), N + 1)
    assert got == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert got[0] == 0.3
    assert got[N] == pytest.approx(min_lr)


def test_cosine_stays_at_its_end_after_the_last_epoch() -> None:
    got = ours(Optim(lr=0.3, schedule="cosine", min_lr=0.01), 2 * N)
    assert got[N:] == pytest.approx([0.01] * N)


def test_cosine_of_rate_zero_is_zero() -> None:
    assert ours(Optim(lr=0.0, schedule="cosine")) == [0.0] * N


@pytest.mark.parametrize("warmup", [1.0, 2.0, 0.6])
def test_warmup_counts_the_step_ahead_and_ends_at_the_full_rate(warmup: float) -> None:
    """The first of W steps has a W-th of the rate, the last of them all of it; torch: LinearLR."""
    steps = round(warmup * STEPS)
    optimizer = sgd(0.3)
    linear = lr_scheduler.LinearLR(optimizer, start_factor=1 / steps, end_factor=1.0, total_iters=steps - 1)
    got = ours(Optim(lr=0.3, warmup=warmup))
    assert got == pytest.approx(rates(optimizer, linear, N), rel=1e-9)
    assert got == pytest.approx([0.3 * min(1.0, (step + 1) / steps) for step in range(N)], rel=1e-9)
    assert 0 < got[0] < got[steps - 1]


def followed(optimizer: torch.optim.Optimizer, schedule: str, warmup: int) -> Any:
    """Returns torch's scheduler of a linear warm-up over ``warmup`` steps and then the named schedule."""
    linear = lr_scheduler.LinearLR(optimizer, start_factor=1 / warmup, end_factor=1.0, total_iters=warmup - 1)
    if schedule == "cosine":
        cosine = lr_scheduler.CosineAnnealingLR(optimizer, N - warmup, eta_min=0.01)
        return lr_scheduler.SequentialLR(optimizer, [linear, cosine], [warmup])
    # Drops are counted from the start of training, so torch's scheduler is chained, not put behind the warm-up.
    if schedule == "step":
        return lr_scheduler.ChainedScheduler([linear, lr_scheduler.StepLR(optimizer, 2 * STEPS)])
    return lr_scheduler.ChainedScheduler([linear, lr_scheduler.MultiStepLR(optimizer, [2 * STEPS, 3 * STEPS])])


@pytest.mark.parametrize("warmup", [0.6, 1.0])
@pytest.mark.parametrize("schedule", ["step", "multistep", "cosine"])
@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")  # SequentialLR's own call
def test_schedules_after_a_warmup(schedule: str, warmup: float) -> None:
    optimizer = sgd(0.3)
    expected = rates(optimizer, followed(optimizer, schedule, round(warmup * STEPS)), N)
    options: dict[str, Any] = {
        "step": {"step_size": 2.0},
        "multistep": {"milestones": [2.0, 3.0]},
        "cosine": {"min_lr": 0.01},
    }[schedule]
    got = ours(Optim(lr=0.3, schedule=schedule, warmup=warmup, **options))
    assert got == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_the_rate_moves_within_an_epoch() -> None:
    got = ours(Optim(lr=0.3, schedule="cosine"))
    assert all(later < earlier for earlier, later in itertools.pairwise(got))


def test_a_schedule_goes_on_where_its_saved_state_is() -> None:
    options = Optim(lr=0.3, schedule="cosine", warmup=1.0)
    whole = ours(options)
    optimizer = build_optimizer(nn.Linear(1, 1), options)
    schedule = build_schedule(optimizer, options, steps_per_epoch=STEPS, max_epochs=EPOCHS)
    assert rates(optimizer, schedule, 7) == whole[:7]
    resumed = build_optimizer(nn.Linear(1, 1), options)
    rest = build_schedule(resumed, options, steps_per_epoch=STEPS, max_epochs=EPOCHS)
    rest.load_state_dict(schedule.state_dict())
    resumed.load_state_dict(optimizer.state_dict())
    assert rates(resumed, rest, N - 7) == whole[7:]


def test_without_training_steps_the_rate_is_the_full_one() -> None:
    assert ours(Optim(lr=0.3, schedule="cosine", warmup=1.0), 1, steps_per_epoch=0) == [0.3]


def test_factor_between_steps() -> None:
    cosine = Optim(lr=0.4, schedule="cosine", min_lr=0.1, warmup=1.0)
    assert factor(cosine, 0.5, 5) == 0.5
    assert factor(cosine, 3.0, 5) == pytest.approx((0.1 + 0.4) / 2 / 0.4)
    assert factor(cosine, 2.0, 5) == pytest.approx((0.1 + 0.3 * (1 + math.cos(math.pi / 4)) / 2) / 0.4)


KINDS: list[tuple[dict[str, Any], type[torch.optim.Optimizer], dict[str, Any]]] = [
    ({"name": "sgd"}, torch.optim.SGD, {"momentum": 0.9}),
    ({"name": "sgd", "momentum": 0.5}, torch.optim.SGD, {"momentum": 0.5}),
    ({"name": "sgd", "nesterov": True}, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    ({"name": "sgd", "momentum": 0.0, "nesterov": True}, torch.optim.SGD, {}),
    ({"name": "adam"}, torch.optim.Adam, {"betas": (0.9, 0.999)}),
    ({"name": "adam", "betas": [0.5, 0.9]}, torch.optim.Adam, {"betas": (0.5, 0.9)}),
    ({"name": "adamw"}, torch.optim.AdamW, {"betas": (0.9, 0.999)}),
    ({"name": "adamw", "betas": [0.5, 0.9]}, torch.optim.AdamW, {"betas": (0.5, 0.9)}),
]


def trained(model: nn.Module, optimizer: torch.optim.Optimizer) -> torch.Tensor:
    """Returns the weights after five steps on fixed data."""
    inputs = torch.linspace(-1, 1, 12).view(4, 3)
    for _ in range(5):
        optimizer.zero_grad()
        model(inputs).square().sum().backward()
        optimizer.step()
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def linear() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize(("given", "kind", "arguments"), KINDS)
def test_optimizers_update_as_torchs(
    given: dict[str, Any],
    kind: type[torch.optim.Optimizer],
    arguments: dict[str, Any],
    weight_decay: float,
    fused: bool,
) -> None:
    model = linear()
    expected = trained(model, kind(model.parameters(), lr=0.02, weight_decay=weight_decay, **arguments))
    model = linear()
    optimizer = build_optimizer(model, Optim(lr=0.02, weight_decay=weight_decay, **given), fused=fused)
    assert type(optimizer) is kind
    assert optimizer.defaults["fused"] is fused
    torch.testing.assert_close(trained(model, optimizer), expected, rtol=1e-5, atol=1e-6)


def test_each_optimizer_trains_in_a_way_of_its_own() -> None:
    """The comparison above can tell the optimizers and their options apart."""
    ends = []
    for given in (*(given for given, _, _ in KINDS), {"name": "adam", "weight_decay": 0.3}):
        model = linear()
        ends.append(trained(model, build_optimizer(model, Optim(lr=0.02, **given))))
    model = linear()
    ends.append(trained(model, build_optimizer(model, Optim(name="adamw", lr=0.02, weight_decay=0.3))))
    same = [(i, j) for i, a in enumerate(ends) for j, b in enumerate(ends) if i < j and torch.allclose(a, b)]
    assert same == [(4, 6), (5, 7)]  # adam and adamw differ by their weight decay alone


def test_frozen_parameters_are_left_out() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    model[0].requires_grad_(False)
    (group,) = build_optimizer(model, Optim()).param_groups
    assert [id(one) for one in group["params"]] == [id(one) for one in model[1].parameters()]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "sdg"}, "name=sdg: not one of sgd, adam, adamw; did you mean 'sgd'?"),
        ({"lr": -0.1}, "lr=-0.1: has to be at least 0"),
        ({"lr": math.inf}, "lr=inf: has to be at least 0"),
        ({"lr": math.nan}, "lr=nan: has to be at least 0"),
        ({"momentum": 1.0}, "momentum=1.0: has to be at least 0 and below 1"),
        ({"momentum": -0.1}, "momentum=-0.1: has to be at least 0 and below 1"),
        ({"weight_decay": -1e-4}, "weight_decay=-0.0001: has to be at least 0"),
        ({"name": "adam", "betas": [0.9, 1.0]}, "betas=[0.9, 1.0]: has to be two numbers in [0, 1)"),
        ({"name": "adam", "betas": [-0.1, 0.9]}, "betas=[-0.1, 0.9]: has to be two numbers in [0, 1)"),
        ({"name": "adamw", "betas": [0.9]}, "betas=[0.9]: has to be two numbers in [0, 1)"),
        ({"name": "adamw", "betas": [0.9, 0.99, 0.9]}, "betas=[0.9, 0.99, 0.9]: has to be two numbers in [0, 1)"),
        ({"schedule": "step", "step_size": 0}, "step_size=0.0: has to be above 0"),
        ({"schedule": "step", "step_size": -3}, "step_size=-3.0: has to be above 0"),
        ({"schedule": "step", "gamma": 0}, "gamma=0.0: has to be above 0"),
        ({"schedule": "multistep", "gamma": -0.1}, "gamma=-0.1: has to be above 0"),
        ({"schedule": "multistep", "milestones": [3, 2]}, "milestones=[3.0, 2.0]: has to be epochs above 0 in rising"),
        ({"schedule": "multistep", "milestones": [2, 2]}, "milestones=[2.0, 2.0]: has to be epochs above 0 in rising"),
        ({"schedule": "multistep", "milestones": [0, 2]}, "milestones=[0.0, 2.0]: has to be epochs above 0 in rising"),
        ({"schedule": "cosine", "min_lr": -1e-6}, "min_lr=-1e-06: has to be at least 0"),
        ({"warmup": -1}, "warmup=-1.0: has to be at least 0"),
        ({"clip": -1}, "clip=-1.0: has to be at least 0"),
        ({"step_size": 3}, "step_size=3.0: nothing reads it here; it needs schedule=step"),
        ({"milestones": [3]}, "milestones=[3.0]: nothing reads it here; it needs schedule=multistep"),
        ({"gamma": 0.5}, "gamma=0.5: nothing reads it here; it needs schedule=step|multistep"),
        ({"min_lr": 1e-3}, "min_lr=0.001: nothing reads it here; it needs schedule=cosine"),
        ({"betas": [0.8, 0.9]}, "betas=[0.8, 0.9]: nothing reads it here; it needs name=adam|adamw"),
        ({"name": "adam", "momentum": 0.5}, "momentum=0.5: nothing reads it here; it needs name=sgd"),
        ({"name": "adamw", "nesterov": True}, "nesterov=True: nothing reads it here; it needs name=sgd"),
    ],
)
def test_wrong_options_are_refused_in_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        Optim(**given)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "given",
    [
        {"lr": 0.0},
        {"momentum": 0.0},
        {"name": "adam", "betas": [0.0, 0.0]},
        {"schedule": "step", "step_size": 0.5, "gamma": 2.0},
        {"schedule": "multistep", "milestones": [0.5, 1, 1.5]},
        {"schedule": "cosine", "lr": 0.1, "min_lr": 0.1},
    ],
)
def test_the_ends_of_the_bounds_are_allowed(given: dict[str, Any]) -> None:
    options = Optim(**given)
    assert options.conflict(run()) is None
    assert {name: getattr(options, name) for name in given} == given


def run(max_epochs: int = 10) -> Any:
    """A config with the one option that the optimizer's depend on."""
    return SimpleNamespace(trainer=SimpleNamespace(max_epochs=max_epochs))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"schedule": "cosine", "lr": 0.1, "min_lr": 0.2}, "optim.min_lr=0.2: above optim.lr=0.1"),
        ({"warmup": 10}, "optim.warmup=10: has to be shorter than trainer.max_epochs=10"),
        ({"warmup": 10.5}, "optim.warmup=10.5: has to be shorter than trainer.max_epochs=10"),
    ],
)
def test_options_that_contradict_the_run_are_refused_in_one_line(given: dict[str, Any], message: str) -> None:
    reason = Optim(**given).conflict(run())
    assert reason is not None
    assert reason.startswith(message)
    assert "\n" not in reason


@pytest.mark.parametrize(("warmup", "max_epochs"), [(9.5, 10), (1.0, 0), (0.0, 1)])
def test_a_warmup_within_the_run_or_without_training_is_allowed(warmup: float, max_epochs: int) -> None:
    assert Optim(warmup=warmup).conflict(run(max_epochs)) is None
