"""A net under a refactoring: short cells of every kind, and every table's plan, written as JSON to compare before with after.

``python -m tests.net OUT.json`` trains 27 short cells, one more that is stopped and resumed, and one on two ranks (about
five minutes on two cores), and plans every table. Identities are the same everywhere; the weights' hashes only on one
kind of CPU, so run it before and after a change on the same machine and compare: ``python -m tests.net OLD.json NEW.json``.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IMAGES = "trainer.max_epochs=1 optim.warmup=0.5 "
FACES = "task=fer trainer.max_epochs=1 optim.warmup=0.5 data.train=128 data.held=70 "
WALKERS = (
    "task=gait trainer.max_epochs=1 data.steps=4 data.train_subjects=4 data.val_subjects=2 data.test_subjects=2"
    " data.views=2 data.batch_subjects=4 data.batch_clips=2 "
)
ROADS = (
    "task=lane trainer.max_epochs=1 data.train_images=16 data.val_images=4 data.test_images=4 data.batch_size=4"
    " model.width=8 "
)

CELLS = [
    IMAGES + "att=none",
    IMAGES + "att=triplet kernel_size=3 pool=avg+max activation=celu",
    IMAGES + "att=tripletca gate=softmax_branch fusion=conv placement=stage_end",
    IMAGES + "att=tripletlka att.lka_kernel=7 optim.name=sgd lr=0.01 optim.schedule=multistep optim.milestones=[0.5]",
    IMAGES + "att=ca axes=hw+cw pools=avg+max",
    IMAGES + "att=lka kernel_size=7 norm=batch",
    IMAGES + "att=van att.branches=3+5 model=van_b0 model.unit=replk data=where data.train=64 data.held=32",
    IMAGES + "att=cbam model=mobilenetv2 width=0.25",
    IMAGES + "att=bam model=res2net50 width=8 model.base_width=4 optim.schedule=step",
    IMAGES + "att=step2_mended mixup=0.2 cutmix=1.0",
    IMAGES + "att=step2 att.kernels=3+5 trainer.ema=0.9 trainer.patience=1",
    IMAGES + "att=se model=resnet50 width=8 trainer.accumulate=2",
    IMAGES + "att=eca recipe=sound data=digits width=8 seed=3",
    IMAGES + "recipe=published data=digits model=resnet18 width=8 data.eval_flip=0.5",
    FACES + "model=cnn",
    FACES + "model=deepcnn width=8 recipe=sound data=faces",
    FACES + "model=resnet_cbam width=8 task.class_weights=sqrt",
    FACES + "model=vgg model.depth=11 width=8 recipe=published data=faces",
    WALKERS + "model=baseline",
    WALKERS + "model=convlstm fusion=gate data.rotate=10 data.erase=0.3",
    WALKERS + "model=partlstm bidirectional=true readout=max loss_per=global",
    WALKERS + "model=attentionlstm att=se order=unordered",
    WALKERS + "model=baseattention",
    WALKERS + "model=reelresnet recipe=published data=walkers width=8 data.size=32 data.clip_frames=30",
    WALKERS + "model=convlstm data=tempo",
    ROADS + "att=none",
    ROADS + "recipe=published data=roads tokens=relative max_dx=320 scheduled_sampling=true task.sampling_ramp=[0,1]"
    " model.dim=32 model.hidden=32 trainer.max_epochs=2",
    ROADS + "att=ca levels=p3+p4+p5 subsample=true cross=per_level y_loss=staged rollout=0.5 model.layers=3",
]
RESUMED = ["trainer.max_epochs=4", "att=triplet,ca", "seed=5", "trainer.save_every=0.2"]
RANKS = ["trainer.max_epochs=1", "att=cbam", "trainer.devices=2", "trainer.accelerator=cpu"]


def exp(*words: str) -> subprocess.CompletedProcess:
    """Runs ``python -m exp`` and shows its end where it fails."""
    done = subprocess.run([sys.executable, "-m", "exp", *words], capture_output=True, text=True)
    if done.returncode:
        print(" ".join(words), "->", done.returncode, (done.stdout + done.stderr)[-2000:], file=sys.stderr)
    return done


def train(folder: Path) -> None:
    """All cells, in one sweep, then those that are stopped and those of two ranks."""
    listed = [dict(word.split("=", 1) for word in cell.split()) for cell in CELLS]
    lines = ["- {" + ", ".join(f"{key}: {value}" for key, value in cell.items()) + "}" for cell in listed]
    (folder / "cells.yaml").write_text("\n".join(lines))
    where = f"cells.dir={folder / 'cells'}"
    exp("--multirun", f"sweep.cells={folder / 'cells.yaml'}", where, "trainer.threads=1", "sweep.jobs=2")
    stopped = [sys.executable, "-m", "exp", "--multirun", *RESUMED, where, "trainer.threads=1", "sweep.jobs=2"]
    process = subprocess.Popen(stopped, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started = time.monotonic()
    while not list((folder / "cells").rglob("*-s5-*/last.ckpt")) and time.monotonic() - started < 120:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.wait()
    exp("--multirun", *RESUMED, where, "trainer.threads=1", "sweep.jobs=2")
    exp(*RANKS, where, "trainer.threads=1")


def cells(folder: Path) -> dict[str, object]:
    """Every cell's identity, weights and test metrics, by its key."""
    found = {}
    for path in sorted(folder.rglob("config.json")):
        written = json.loads(path.read_text())
        result_file = path.with_name("result.json")
        result = json.loads(result_file.read_text()) if result_file.exists() else {}
        found[written["key"]] = {
            "identity": written["identity"],
            "weights": result.get("weights_sha256"),
            "test": result.get("test"),
            "params": result.get("params"),
            "macs": result.get("macs"),
            "attempts": result.get("attempts"),
        }
    return found


def plans(folder: Path) -> dict[str, object]:
    """The cells that each table plans, by row, and what it says before any has run."""
    from exp.tables.plan import Planner
    from exp.tables.reading import names

    planned: dict[str, object] = {}
    planner = Planner(folder)
    for name in names():
        for recipe in ((), ("recipe=quick",)):
            try:
                rows = planner.plan(name, list(recipe)).rows
                planned[" ".join([name, *recipe])] = {
                    row.row.name: [c.cell.resolved.key for c in row.cells] for row in rows
                }
            except Exception as error:
                planned[" ".join([name, *recipe])] = f"{type(error).__name__}: {error}"
    return planned


def compare(before: dict, after: dict) -> list[str]:
    """What differs, a line each."""
    lines = []
    for part in ("cells", "tables"):
        for key in sorted(before[part].keys() | after[part].keys()):
            old, new = before[part].get(key), after[part].get(key)
            if isinstance(old, dict) and isinstance(new, dict):
                old, new = ({k: v for k, v in one.items() if k != "attempts"} for one in (old, new))
            if old != new:
                lines.append(f"{part}: {key}\n  before {json.dumps(old)[:600]}\n  after  {json.dumps(new)[:600]}")
    return lines


def main() -> None:
    """Writes one net, or compares two."""
    if len(sys.argv) == 3:
        lines = compare(*(json.loads(Path(path).read_text()) for path in sys.argv[1:]))
        print("\n".join(lines) or "no difference")
        sys.exit(bool(lines))
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        train(Path(folder))
        net = {"cells": cells(Path(folder) / "cells"), "tables": plans(Path(folder) / "none")}
    Path(sys.argv[1]).write_text(json.dumps(net, indent=1, sort_keys=True))
    missing = [key for key, cell in net["cells"].items() if not cell["weights"]]
    print(f"{len(net['cells'])} cells, {len(missing)} without a result {missing}, {len(net['tables'])} plans")


if __name__ == "__main__":
    main()
