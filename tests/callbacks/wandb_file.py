"""Reads what W&B wrote offline: a log of protocol-buffer records in blocks of 32 KiB, as in LevelDB."""

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as pb

BLOCK = 32768
HEADER = 7
LAST_PART = (1, 4)


@dataclass
class Run:
    """A run as its file has it."""

    id: str = ""
    group: str = ""
    job_type: str = ""
    name: str = ""
    notes: str = ""
    tags: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    artifacts: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    exit_code: int | None = None


def records(path: Path) -> list[Any]:
    """All records of the file."""
    data = path.read_bytes()
    at, whole, found = HEADER, b"", []
    while at + HEADER <= len(data):
        left = BLOCK - at % BLOCK
        if left < HEADER:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + HEADER])
        whole += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in LAST_PART:
            record = pb.Record()
            record.ParseFromString(whole)
            found.append(record)
            whole = b""
    return found


def read(path: Path) -> Run:
    """The run in a file."""
    run = Run()
    for record in records(path):
        kind = record.WhichOneof("record_type")
        run.kinds.add(kind)
        if kind == "run":
            one = record.run
            run.id, run.group, run.job_type = one.run_id, one.run_group, one.job_type
            run.name, run.notes, run.tags = one.display_name, one.notes, list(one.tags)
            run.config |= {item.key: json.loads(item.value_json) for item in one.config.update}
        elif kind == "config":
            run.config |= {item.key: json.loads(item.value_json) for item in record.config.update}
        elif kind == "summary":
            run.summary |= {_key(item): json.loads(item.value_json) for item in record.summary.update}
        elif kind == "history":
            run.history.append({_key(item): json.loads(item.value_json) for item in record.history.item})
        elif kind == "request" and record.request.WhichOneof("request_type") == "log_artifact":
            run.artifacts.append(record.request.log_artifact.artifact.type)
        elif kind == "artifact":
            run.artifacts.append(record.artifact.type)
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    return run


def _key(item: Any) -> str:
    return item.key or ".".join(item.nested_key)
