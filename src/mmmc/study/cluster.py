"""The runs of a plan on the machines of a Ray cluster, which share the folders that it is about."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from mmmc.errors import InputError
from mmmc.study.plan import Run
from mmmc.study.process import MOMENT, PATIENCE, Outcome, train
from mmmc.study.workers import Workers

RETRIES = 3
"""How often a run goes on elsewhere whose worker was lost. A run that takes its workers down with it ends so."""

REACH = 5.0
"""Seconds in which the head of a cluster takes a connection."""


class OnRay(Workers):
    """Tasks of a Ray cluster; each begins a run as a process of its machine and waits for it.

    A context: at its end the cluster is left, and ended if it was begun here.

    Args:
        out: folder of the run folders, seen under this path by all machines.
        jobs: runs at a time; by default as many as the machines hold.
        threads: of each run; as many cores are kept for it.
        gpus: kept for each run, also fractions; by default one where the cluster has any.
        address: `host:port` of its head; by default `RAY_ADDRESS`, else the cluster that this machine is part of, else
            one that is this machine.

    Raises:
        InputError: Ray is not installed, there is no cluster, or no machine has room for a run.
    """

    def __init__(
        self,
        out: str | Path,
        *,
        jobs: int | None = None,
        threads: int = 1,
        gpus: float | None = None,
        address: str | None = None,
    ) -> None:
        try:
            import ray
        except ImportError:
            raise InputError("The package ray is not installed. Install it by `pip install 'mmmc[cluster]'`.") from None
        self.out = Path(out).resolve()
        self._ray: Any = ray
        self._jobs = jobs
        self._connect(address)
        has_gpus = self._ray.cluster_resources().get("GPU", 0) > 0
        self._threads = threads
        self._gpus = float(has_gpus) if gpus is None else gpus
        self._task: Any = ray.remote(num_cpus=threads, num_gpus=self._gpus, max_retries=RETRIES)(train)
        self._begun: dict[Any, Run] = {}
        if jobs is None and not self._fit():
            self._ray.shutdown()
            raise InputError(
                f"No machine of the cluster has {threads} cores and {self._gpus:g} GPUs for a run; allowed: fewer by "
                "--threads and --gpus, or --jobs for a cluster that grows when it is asked for more."
            )

    def __enter__(self) -> OnRay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ray.shutdown()

    def places(self) -> int:
        """As many as were asked for, or fit on the machines that there are now."""
        return self._jobs or max(1, self._fit())

    def begin(self, run: Run) -> None:
        """Hand it to Ray, which waits for a machine with room."""
        self._begun[self._task.remote(str(self.out), run.folder, self._threads, os.getcwd())] = run

    def ended(self) -> list[tuple[Run, Outcome]]:
        """Whose tasks are over, by themselves or because worker after worker was lost."""
        if not self._begun:
            time.sleep(MOMENT)
            return []
        over, _ = self._ray.wait(list(self._begun), timeout=MOMENT)
        return [(self._begun.pop(task), self._outcome(task)) for task in over]

    def stop(self) -> None:
        """Interrupt the tasks, which end their processes, and wait for them."""
        for task in self._begun:
            self._ray.cancel(task)
        if self._begun:
            # A process has its patience to end, and is then killed.
            self._ray.wait(list(self._begun), num_returns=len(self._begun), timeout=2 * PATIENCE)
        self._begun.clear()

    def _outcome(self, task: Any) -> Outcome:
        exceptions = self._ray.exceptions
        try:
            outcome: Outcome = self._ray.get(task)
            return outcome
        except exceptions.RayTaskError as error:
            return f"on a worker: {error.cause}"
        except exceptions.RayError as error:
            return f"its worker was lost {RETRIES + 1} times: {str(error).splitlines()[0]}"

    def _connect(self, address: str | None) -> None:
        # Ray says what machines it runs on to those who make it, unless told not to.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if address is not None:
            _require_somebody(address)
        try:
            self._ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise InputError(f"There is no Ray cluster to train on: {error}") from error

    def _fit(self) -> int:
        """Runs that fit on the machines that there are."""
        needs = {"CPU": self._threads, "GPU": self._gpus}
        return sum(
            # Not `//`: of floats 1 // 0.2 is 4.
            int(min((node["Resources"].get(name, 0) + 1e-6) / need for name, need in needs.items() if need))
            for node in self._ray.nodes()
            if node["Alive"]
        )


def _require_somebody(address: str) -> None:
    """Ray would try for ten minutes.

    Raises:
        InputError: nobody takes a connection there.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise InputError(f"--address is {address!r}; allowed: HOST:PORT, as `ray start --head` prints it.")
    try:
        socket.create_connection((host, int(port)), REACH).close()
    except OSError as error:
        raise InputError(f"--address is {address!r}, where no cluster answers: {error}.") from error
