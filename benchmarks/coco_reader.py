"""Time and memory that `mmmc.data.coco.read_coco` takes for a file of the size of COCO's train2017.

    python -m benchmarks.coco_reader --out benchmarks/coco_reader.json

The file is made for the purpose, the same each time: 118,287 pictures, 860,001 boxes, nearly all with polygons, some
crowd regions with run lengths, COCO's 80 category ids with their gaps. It is read in a fresh process, without pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PICTURES, BOXES, CROWD_EVERY = 118_287, 860_001, 85
GAPS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
CATEGORY_IDS = [id for id in range(1, 91) if id not in GAPS]
SECONDS, GIGABYTES = 20.0, 1.5
"""What the reader may take."""

READ = """
import json, resource, sys, time
start = time.perf_counter()
from mmmc.data.coco import read_coco
imported = time.perf_counter()
cpu = time.process_time()
found = read_coco(sys.argv[1], sys.argv[2], check_headers=False)
ready = time.perf_counter()
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps({
    "seconds": round(ready - imported, 2),
    "cpu_seconds": round(time.process_time() - cpu, 2),
    "import_seconds": round(imported - start, 2),
    "peak_rss_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9, 3),
    "pictures": len(found),
    "boxes": len(found.boxes),
    "categories": len(found.categories),
}))
"""


def make(file: Path) -> None:
    """Write the annotation file."""
    rng = random.Random(0)
    polygons = [json.dumps([_polygon(rng)]) for _ in range(4096)]
    runs = [json.dumps({"counts": [rng.randrange(400) for _ in range(300)], "size": [480, 640]}) for _ in range(64)]
    with file.open("w") as stream:
        stream.write('{"info": {"description": "made for a benchmark"}, "licenses": [], "images": [')
        stream.write(", ".join(json.dumps(_image(id)) for id in range(1, PICTURES + 1)))
        stream.write('], "annotations": [')
        for id in range(1, BOXES + 1):
            crowd = int(id % CROWD_EVERY == 0)
            shape = rng.choice(runs if crowd else polygons)
            rest = json.dumps(_annotation(rng, id, crowd))[1:]
            stream.write(f'{", " if id > 1 else ""}{{"segmentation": {shape}, {rest}')
        categories = [{"supercategory": "thing", "id": id, "name": f"class {id}"} for id in CATEGORY_IDS]
        stream.write(f'], "categories": {json.dumps(categories)}}}')


def _polygon(rng: random.Random) -> list[float]:
    return [round(rng.uniform(0, 480), 2) for _ in range(2 * rng.randint(6, 40))]


def _image(id: int) -> dict[str, Any]:
    name = f"{id:012d}.jpg"
    return {
        "license": 1,
        "file_name": name,
        "coco_url": f"http://images.example.org/train2017/{name}",
        "height": 480,
        "width": 640,
        "date_captured": "2013-11-14 11:18:45",
        "flickr_url": f"http://farm9.example.org/8186/{id:010d}_4e622c8349_z.jpg",
        "id": id,
    }


def _annotation(rng: random.Random, id: int, crowd: int) -> dict[str, Any]:
    width, height = rng.uniform(4, 300), rng.uniform(4, 220)
    x, y = rng.uniform(0, 640 - width), rng.uniform(0, 480 - height)
    return {
        "area": round(0.6 * width * height, 4),
        "iscrowd": crowd,
        "image_id": rng.randint(1, PICTURES),
        "bbox": [round(value, 2) for value in (x, y, width, height)],
        "category_id": rng.choice(CATEGORY_IDS),
        "id": id,
    }


def measure() -> dict[str, Any]:
    """Make the file in a temporary folder, read it in a process of its own, and say what that took and where."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "instances_train.json"
        make(file)
        load = os.getloadavg()[0]
        run = subprocess.run([sys.executable, "-c", READ, file, folder], capture_output=True, text=True, check=False)
        if run.returncode:
            raise SystemExit(run.stderr)
        result = json.loads(run.stdout) | {"file_mb": round(file.stat().st_size / 1e6, 1)}
    met = result["seconds"] < SECONDS and result["peak_rss_gb"] < GIGABYTES
    return {
        **result,
        "limits": {"seconds": SECONDS, "peak_rss_gb": GIGABYTES, "met": met},
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "load_before": round(load, 1),
            "system": platform.system(),
            "python": platform.python_version(),
        },
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    out = parser.parse_args().out
    text = json.dumps(measure(), indent=2)
    print(text)
    if out:
        temporary = out.with_name(f"{out.name}.tmp")
        temporary.write_text(text + "\n")
        os.replace(temporary, out)


if __name__ == "__main__":
    main()
