"""The steps of an epoch, replayed as one CUDA graph.

A step launches about a thousand kernels, and a large GPU runs them faster than the host launches
them. The graph holds forward pass, losses and backward pass; replaying it is a single launch.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from pplr_cli.engine.network import Network
from pplr_cli.engine.pplr import PPLR, Targets
from pplr_cli.engine.step import compute_gradients, train_step
from pplr_cli.runtime import Runtime
from pplr_cli.timing import Stopwatch

WARM_UP = 3
"""Steps of an epoch that run before the graph is recorded: libraries set themselves up in them."""

Compute = Callable[[Tensor, Targets], dict[str, Tensor]]


class Steps:
    """Takes training steps: by a graph recorded in each epoch on one GPU, eagerly elsewhere.

    An epoch needs a graph of its own, because the number of clusters and the camera proxies
    change. If recording fails, training goes on without a graph, after one warning. The arguments
    are those of `train_step`.
    """

    def __init__(
        self, network: Network, optimizer: torch.optim.Optimizer, method: PPLR, runtime: Runtime
    ) -> None:
        self._network, self._optimizer, self._method = network, optimizer, method
        self._runtime = runtime
        self._by_graph = runtime.device.type == "cuda" and runtime.processes.size == 1
        self._epoch = self._taken = 0
        self._graph: Graph | None = None

    def begin_epoch(self, epoch: int) -> None:
        """Prepare for the steps of an epoch, counted from 0, whose labels are set."""
        self.release()
        self._epoch, self._taken = epoch, 0

    def release(self) -> None:
        """Free the memory of the graph, the gradients included."""
        if self._graph is not None:
            self._graph = None
            self._optimizer.zero_grad()

    def take(self, images: Tensor, targets: Targets, watch: Stopwatch) -> dict[str, Tensor]:
        """Take one step and return its losses; see `train_step`.

        The time of a replayed graph is measured as `train_network`.
        """
        if self._by_graph and self._graph is None and self._taken >= WARM_UP:
            self._record(images, targets)
        self._taken += 1
        if self._graph is None:
            return train_step(
                self._network, self._optimizer, self._method, images, targets,
                self._epoch, self._runtime, watch,
            )  # fmt: skip
        with watch.timing("train_network"):
            losses = self._graph.replay(images, targets)
        with watch.timing("train_update"):
            self._optimizer.step()
        return losses

    def _record(self, images: Tensor, targets: Targets) -> None:
        """Record the graph of the epoch; after a failure, never try again."""
        self._optimizer.zero_grad()  # the graph makes the gradients, in memory of its own
        try:
            self._graph = Graph(self._compute, images, targets)
        except RuntimeError as error:
            self._by_graph = False
            reason = (str(error).splitlines() or [""])[0]
            self._runtime.reporter.warn(
                f"no CUDA graph could be recorded ({reason}); the steps take longer",
                "the results are the same; please report this",
            )
            self._optimizer.zero_grad()

    def _compute(self, images: Tensor, targets: Targets) -> dict[str, Tensor]:
        return compute_gradients(
            self._network, self._method, images, targets, self._epoch, self._runtime, Stopwatch()
        )


class Graph:
    """A computation recorded on copies of its inputs; each replay writes the same memory.

    `compute` returns scalars by name. It must not wait for the GPU, and its operations and shapes
    must not depend on the values of its inputs: all batches have the shape of the first.
    """

    def __init__(self, compute: Compute, images: Tensor, targets: Targets) -> None:
        self._inputs = [tensor.clone() for tensor in (images, *targets)]
        self._names: list[str] = []

        def run() -> Tensor:
            own, *known = self._inputs
            values = compute(own, Targets(*known))
            self._names = list(values)
            return torch.stack([*values.values()])

        self._values, self._replay = record(run, images.device)

    def replay(self, images: Tensor, targets: Targets) -> dict[str, Tensor]:
        """Compute on other inputs; return the scalars as tensors that later replays leave alone."""
        for kept, values in zip(self._inputs, (images, *targets), strict=True):
            kept.copy_(values)
        self._replay()
        return dict(zip(self._names, self._values.clone().unbind(), strict=True))


def record(
    compute: Callable[[], Tensor], device: torch.device
) -> tuple[Tensor, Callable[[], None]]:
    """Record the kernels that `compute` launches; return its result, and what runs the kernels.

    Nothing is computed before the first replay.
    """
    torch.cuda.synchronize(device)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = compute()
    return result, graph.replay
