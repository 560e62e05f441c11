"""Checkpoints that are either whole or absent.

A checkpoint is a folder: `model/` in ordinary `from_pretrained` form, `state.safetensors` and
`state.json`, and `manifest.json` with a checksum of every file, written last. It is built under a
temporary name, flushed to disk, and renamed into place; one that it replaces is moved aside until then.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from merf.policy.shards import sharded_like

MANIFEST = "manifest.json"


class BrokenCheckpoint(RuntimeError):
    """A checkpoint folder doesn't hold what its manifest says."""


def flatten(state: Any, prefix: str = "") -> tuple[dict[str, Tensor], Any]:
    """Split nested dicts, lists and tuples into their tensors, by path, and a JSON skeleton."""
    tensors: dict[str, Tensor] = {}

    def walk(node: Any, path: str) -> Any:
        if isinstance(node, Tensor):
            tensors[path] = node.detach().cpu().contiguous().clone()
            return {"__tensor__": path}
        if isinstance(node, dict):
            return {"__dict__": [[key, walk(value, f"{path}.{key}")] for key, value in node.items()]}
        if isinstance(node, tuple):
            return {"__tuple__": [walk(value, f"{path}.{i}") for i, value in enumerate(node)]}
        if isinstance(node, list):
            return [walk(value, f"{path}.{i}") for i, value in enumerate(node)]
        if node is None or isinstance(node, bool | int | float | str):
            return node
        raise TypeError(f"can't save {type(node).__name__} at {path}: state is made of tensors, numbers and text")

    return tensors, walk(state, prefix)


def restore(skeleton: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of `flatten`."""
    if isinstance(skeleton, dict):
        if "__tensor__" in skeleton:
            return tensors[skeleton["__tensor__"]]
        if "__tuple__" in skeleton:
            return tuple(restore(value, tensors) for value in skeleton["__tuple__"])
        return {key: restore(value, tensors) for key, value in skeleton["__dict__"]}
    if isinstance(skeleton, list):
        return [restore(value, tensors) for value in skeleton]
    return skeleton


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(path: Path) -> str:
    digest = hashlib.blake2b()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def save(folder: Path, model: Any, tokenizer: Any, state: dict[str, Any]) -> None:
    """Write a checkpoint at `folder`, replacing one that is already there. OSError if the disk doesn't take it."""
    work, aside = folder.with_name(f".{folder.name}.part"), folder.with_name(f".{folder.name}.old")
    shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir(parents=True)
        model.save_pretrained(work / "model")
        tokenizer.save_pretrained(work / "model")
        tensors, skeleton = flatten(state)
        if tensors:
            save_file(tensors, work / "state.safetensors")
        (work / "state.json").write_text(json.dumps(skeleton))
        files = sorted(path for path in work.rglob("*") if path.is_file())
        manifest = {str(path.relative_to(work)): _digest(path) for path in files}
        (work / MANIFEST).write_text(json.dumps(manifest, indent=1))
        for path in [*files, work / MANIFEST, work / "model", work]:
            _flush(path)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(work, ignore_errors=True)
        if isinstance(error, OSError):
            raise
        raise OSError(str(error)) from error  # how safetensors reports a full disk
    if folder.exists():
        shutil.rmtree(aside, ignore_errors=True)
        os.rename(folder, aside)
    os.rename(work, folder)
    _flush(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


def check(folder: Path) -> None:
    """Raise `BrokenCheckpoint` unless every file is there and unchanged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise BrokenCheckpoint(f"{folder} has no readable {MANIFEST}: it was never completed") from error
    for name, digest in manifest.items():
        path = folder / name
        if not path.is_file():
            raise BrokenCheckpoint(f"{folder} lacks {name}")
        if _digest(path) != digest:
            raise BrokenCheckpoint(f"{name} in {folder} is damaged (its checksum is wrong)")


def load(folder: Path, model: Any) -> dict[str, Any]:
    """Check the checkpoint, put its weights into `model`, and return the rest of its state."""
    check(folder)
    weights: dict[str, Tensor] = {}
    for file in sorted((folder / "model").glob("*.safetensors")):
        weights.update(load_file(file))
    if getattr(model, "_hf_peft_config_loaded", False):
        from peft import set_peft_model_state_dict

        wrong = set_peft_model_state_dict(model, weights)
        missing, unexpected = [], wrong.unexpected_keys
    else:
        present = dict(model.named_parameters())
        weights = {name: sharded_like(present.get(name), weight) for name, weight in weights.items()}
        missing, unexpected = model.load_state_dict(weights, strict=False)
    tied = set(getattr(model, "_tied_weights_keys", None) or ())
    if unexpected or set(missing) - tied:
        raise BrokenCheckpoint(f"the weights in {folder} are those of another model: {sorted(set(missing) - tied)[:3]}")
    skeleton = json.loads((folder / "state.json").read_text())
    tensors = load_file(folder / "state.safetensors") if (folder / "state.safetensors").exists() else {}
    state: dict[str, Any] = restore(skeleton, tensors)
    return state


def all_in(folder: Path) -> list[Path]:
    """Finished checkpoints in `folder`, oldest first."""
    return sorted((path for path in folder.glob("step-*") if path.is_dir()), key=lambda p: int(p.name.split("-")[1]))


def rng_state() -> dict[str, Any]:
    """The global generators' states (used by dropout and by user code; sampling has its own seeds)."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"torch": torch.get_rng_state(), "cuda": cuda}


def set_rng_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"].to(torch.uint8).cpu())
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
