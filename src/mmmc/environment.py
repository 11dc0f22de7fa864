"""What a run ran on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("mmmc", "torch", "torchvision", "timm", "lightning-fabric", "faster-coco-eval", "numpy", "pillow")


def environment() -> dict[str, Any]:
    """Versions, processor, cores, threads and devices; no names of users, hosts or folders."""
    import torch  # here, so that what the rest of this file tells can be had where PyTorch cannot

    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "packages": {name: installed(name) for name in PACKAGES},
        "python": platform.python_version(),
        "system": platform.system(),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "devices": devices,
    }


def installed(package: str) -> str | None:
    """Version of an installed package; None also of one that runs from its source without having been installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def own_version() -> str:
    """Of mmmc; `unknown` where it runs from its source without having been installed."""
    return installed("mmmc") or "unknown"


def processor() -> str:
    """The processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
