"""Plans on a Ray cluster: the same records, whoever is killed meanwhile; and what is said where there is none."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from mmmc.cli import main
from mmmc.errors import InputError
from mmmc.study import failures, process, records
from mmmc.study.cluster import OnRay
from mmmc.study.plan import read_plan
from mmmc.study.process import RunProcess
from mmmc.study.running import train_plan, write_recipe
from mmmc.study.workers import Here

from .plans import comparable, trained_steps, twins, write


def test_without_ray_one_sentence_says_how_to_get_it(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    plan, out = write(tmp_path / "plan.yaml", tiny_set), tmp_path / "runs"
    assert main(["study", "run", str(plan), "--cluster", "ray", "--out", str(out)]) == 2
    said = "mmmc: The package ray is not installed. Install it by `pip install 'mmmc[cluster]'`.\n"
    assert capsys.readouterr().err == said
    assert not out.exists()


def test_options_of_a_cluster_are_for_one(tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = str(write(tmp_path / "plan.yaml", tiny_set))
    for options, message in (
        (["--address", "head:6379"], "--address is for --cluster, which is not given"),
        (["--gpus", "1"], "--gpus is for --cluster, which is not given"),
        (["--cluster", "ray", "--gpus", "-1"], "--gpus is -1.0; allowed: a number from 0"),
        (["--cluster", "slurm"], "'slurm'"),
    ):
        assert main(["study", "run", plan, *options]) == 2
        assert message in capsys.readouterr().err


def ray_of(nodes: list[dict[str, Any]]) -> ModuleType:
    """What stands for Ray where only the machines of a cluster are asked for."""
    ray: Any = ModuleType("ray")
    ray.init = lambda **_: None
    ray.shutdown = lambda: None
    ray.nodes = lambda: nodes
    ray.cluster_resources = lambda: {"GPU": sum(node["Resources"].get("GPU", 0) for node in nodes)}
    ray.remote = lambda **_: lambda function: function
    return ray


@pytest.mark.parametrize(
    ("options", "places"),
    [
        ({"threads": 4}, 2 + 1),  # a GPU each: two of four on the first machine for its eight cores, one on the second
        ({"threads": 4, "gpus": 0}, 2 + 1 + 3),
        ({"threads": 1, "gpus": 0.5}, 8 + 2),
        ({"threads": 1, "gpus": 0.2}, 8 + 5),
        ({"threads": 5}, 1 + 1),
        ({"threads": 4, "jobs": 9}, 9),
        ({"threads": 64, "jobs": 2}, 2),  # a cluster that grows
    ],
)
def test_as_many_runs_as_the_machines_hold(
    options: dict[str, Any], places: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = [{"CPU": 8.0, "GPU": 4.0}, {"CPU": 7.0, "GPU": 1.0}, {"CPU": 12.0}, {"CPU": 64.0, "GPU": 8.0}]
    nodes = [{"Alive": number < 3, "Resources": machine} for number, machine in enumerate(machines)]
    monkeypatch.setitem(sys.modules, "ray", ray_of(nodes))
    assert OnRay(tmp_path, **options).places() == places
    with pytest.raises(InputError, match="has 16 cores and 1 GPUs for a run; allowed: fewer by --threads and --gpus"):
        OnRay(tmp_path, threads=16)


def test_an_address_where_nobody_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", ray_of([{"Alive": True, "Resources": {"CPU": 1.0}}]))
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert OnRay(tmp_path, address=address).places() == 1
    with pytest.raises(InputError, match=f"--address is '{address}', where no cluster answers"):
        OnRay(tmp_path, address=address)
    with pytest.raises(InputError, match="--address is 'head'; allowed: HOST:PORT"):
        OnRay(tmp_path, address="head")


def test_a_machine_must_see_the_folders(tiny_set: Path, tmp_path: Path) -> None:
    run = read_plan(write(tmp_path / "plan.yaml", tiny_set)).runs()[0]
    said = process.train(str(tmp_path), run.folder, 1, str(tmp_path))
    assert said == (
        f"{socket.gethostname()} does not see {tmp_path / run.folder}.yaml; allowed: --out and this folder shared by "
        "all machines"
    )
    write_recipe(run, tmp_path)
    assert f"does not see {tmp_path / 'gone'}" in process.train(str(tmp_path), run.folder, 1, str(tmp_path / "gone"))
    assert not (tmp_path / run.folder).exists()


def test_a_run_that_ended_before_its_worker_was_lost_is_not_trained_again(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = read_plan(write(tmp_path / "plan.yaml", tiny_set)).runs()[0]
    write_recipe(run, tmp_path)
    (tmp_path / run.folder).mkdir()
    (tmp_path / run.folder / "record.json").write_text('{"name": "it"}')
    monkeypatch.setattr(process, "begin", None)
    assert process.train(str(tmp_path), run.folder, 1, str(tmp_path)) == {"name": "it"}


def test_a_task_that_is_interrupted_ends_its_run(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = read_plan(write(tmp_path / "plan.yaml", tiny_set)).runs()[0]
    write_recipe(run, tmp_path)
    sleeping = subprocess.Popen(["sleep", "600"], stdin=subprocess.PIPE, start_new_session=True)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "begin", lambda out, folder, *_: RunProcess(out, folder, sleeping))
    monkeypatch.setattr(process, "time", SimpleNamespace(sleep=interrupt))
    with pytest.raises(KeyboardInterrupt):
        process.train(str(tmp_path), run.folder, 1, str(tmp_path))
    assert sleeping.returncode == -signal.SIGTERM


MACHINES = """
import sys
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
machines = [cluster.add_node(num_cpus=1) for _ in range(2)]
print(cluster.address, flush=True)
for line in sys.stdin:
    cluster.remove_node(machines.pop(), allow_graceful=False)
    print("gone", flush=True)
cluster.shutdown()
"""


@pytest.fixture
def machines() -> Iterator[subprocess.Popen[str]]:
    """A cluster of two machines with one core each, which are processes of this one; a line takes the last away."""
    pytest.importorskip("ray")
    # A busy machine takes its time, and lets wait whoever is nice to others, as Ray's workers are.
    patient = {"RAY_raylet_start_wait_time_s": "300", "RAY_worker_niceness": "0"}
    with subprocess.Popen(
        [sys.executable, "-c", MACHINES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **patient},
    ) as process:
        yield process
        process.communicate()


def test_workers_load_next_to_nothing() -> None:
    program = "import sys, mmmc.study.process; print({'torch', 'numpy', 'yaml'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "set()\n"


def trainings(out: Path) -> dict[str, int]:
    """By the run's folder the process that trains it: the one that a worker began."""
    found = {}
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
        except (OSError, ValueError):
            continue
        if "mmmc.study.tied" in words:
            for place in (Path(word) for word in words):
                if place.parent == out and place.suffix == "":
                    found[place.name] = int(folder.name)
    return found


def parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def wait_for(moment: Callable[[], object], plan: subprocess.Popen[str] | None = None) -> None:
    """Until something is so, while a plan is still at work."""
    deadline = time.monotonic() + 300
    while not moment():
        assert plan is None or plan.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_killed_five_times_on_ray_the_records_are_the_same(
    tiny_set: Path, tmp_path: Path, machines: subprocess.Popen[str]
) -> None:
    """Three workers, the plan itself, and one of two machines; each run goes on where there is room."""
    assert machines.stdin is not None
    assert machines.stdout is not None
    address = machines.stdout.readline().strip()
    whole, plan = map(read_plan, twins(tmp_path, tiny_set, iterations=60))
    out = plan.path.parent / "runs"
    first, second = (run.folder for run in plan.runs())
    running: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        options = ["--out", str(out), "--cluster", "ray", "--address", address]
        process = subprocess.Popen([sys.executable, "-m", "mmmc", "study", "run", str(plan.path), *options])
        running.append(process)
        return process

    def kill_worker(folder: str) -> None:
        training = trainings(out)[folder]
        os.kill(parent(training), signal.SIGKILL)
        wait_for(lambda: training not in trainings(out).values())

    try:
        study = start()
        wait_for(lambda: first in trainings(out), study)
        kill_worker(first)
        left = {first, second}
        while left:
            wait_for(lambda: any(trained_steps(out / folder) for folder in left), study)
            folder = next(folder for folder in left if trained_steps(out / folder))
            kill_worker(folder)
            left.remove(folder)
        wait_for(lambda: trainings(out), study)
        study.kill()
        study.wait()
        wait_for(lambda: not trainings(out))
        study = start()
        wait_for(lambda: len(trainings(out)) == 2, study)
        before = trainings(out)
        machines.stdin.write("one\n")
        machines.stdin.flush()
        assert machines.stdout.readline() == "gone\n"
        wait_for(lambda: len(before.items() - trainings(out).items()) == 1, study)
        assert study.wait(300) == 0
    finally:
        for process in running:
            process.kill()
            process.wait()

    assert train_plan(whole, Here(whole.path.parent / "runs", jobs=2))
    assert comparable(plan.records) == comparable(whole.records)
    assert len(records.load(plan.records)) == 2
    assert not failures.load(plan.records)
