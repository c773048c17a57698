"""Communication between the processes of a run.

`Processes` is a single process; `Group` is one of several under `torchrun`. Rank 0 writes and
reports for all.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from pplr_cli import env
from pplr_cli.distributed.failures import GRACE, Failure, first_of_all
from pplr_cli.errors import PplrError, ProcessError

T = TypeVar("T")


class Processes:
    """The only process of a run."""

    rank = 0
    size = 1

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which writes and reports for all."""
        return self.rank == 0

    def share(self, count: int, rank: int | None = None) -> slice:
        """Return the share of this process, or of `rank`, in `count` consecutive items."""
        place = self.rank if rank is None else rank
        return slice(place * count // self.size, (place + 1) * count // self.size)

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes in order of rank on rank 0, `[]` on the others."""
        return [value]

    def on_rank_zero(self, job: Callable[[], T]) -> T:
        """Run `job` on rank 0; return its result, or raise its `PplrError`, on every process."""
        return job()

    def local_rank_zero_first(self, job: Callable[[], T]) -> T:
        """Run `job` on every process, local rank 0 first, so that the others reuse its files."""
        return job()

    def whole_batch(self, part: Tensor) -> Tensor:
        """Gather the rows [B / size, ...] of all processes into a batch [B, ...].

        Gradients flow back to the rows of this process only: every process computes the loss of
        the full batch, and `sum_gradients` adds up the gradients.
        """
        return part

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Sum every gradient over the processes, in place."""

    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Broadcast tensors of rank 0 to the others, in place."""

    def broadcast_each(self, pieces: Sequence[Tensor]) -> None:
        """Broadcast `pieces[r]` of each rank r to the others, in place."""

    def largest(self, number: int) -> int:
        """Return the maximum of a number over the processes."""
        return number

    def first_failure(self, error: PplrError) -> Failure:
        """Return the first failure of any process: `error`, unless another one came earlier."""
        return Failure(self.rank, error)

    def close(self) -> None:
        """Destroy the process group."""


ALONE = Processes()


class Group(Processes):
    """One of several processes, connected by `torch.distributed`.

    Tensors use NCCL between GPUs and gloo between CPUs; results of jobs always use gloo, which
    does not synchronise the GPU.

    Args:
        device: of this process.

    Raises:
        ProcessError (of every method): another process is gone or does not answer.
    """

    def __init__(self, device: torch.device) -> None:
        timeout = timedelta(seconds=env.process_timeout())
        with _connection(), _no_output():
            if device.type == "cuda":
                torch.cuda.set_device(device)
                # longer than gloo's, which names the missing rank; NCCL just kills the process
                dist.init_process_group("nccl", timeout=timeout + 12 * GRACE)
            else:
                dist.init_process_group("gloo", timeout=timeout)
            control = dist.new_group(backend="gloo", timeout=timeout)
        assert isinstance(control, dist.ProcessGroup)  # all ranks belong to it
        self._control = control
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._leads_machine = os.environ.get("LOCAL_RANK", "0") == "0"

    def gather(self, value: T) -> list[T]:  # noqa: D102
        values: list[Any] | None = [None] * self.size if self.first else None
        with _connection():
            dist.gather_object(value, values, dst=0, group=self._control)
        return values or []

    def on_rank_zero(self, job: Callable[[], T]) -> T:  # noqa: D102
        told: list[Any] = [_attempt(job) if self.first else None]
        with _connection():
            dist.broadcast_object_list(told, src=0, group=self._control)
        if isinstance(told[0], PplrError):
            raise told[0]
        result: T = told[0]
        return result

    def local_rank_zero_first(self, job: Callable[[], T]) -> T:  # noqa: D102
        if self._leads_machine:
            result = job()
        with _connection():
            dist.barrier(group=self._control)
        return result if self._leads_machine else job()

    def whole_batch(self, part: Tensor) -> Tensor:  # noqa: D102
        whole: Tensor = _WholeBatch.apply(part, self)
        return whole

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:  # noqa: D102
        gradients = [p.grad for p in parameters if p.grad is not None]
        # one sum over all of them, cut alike in every step: a resumed run adds in the same order
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        with _connection():
            dist.all_reduce(flat)
        pieces = flat.split([gradient.numel() for gradient in gradients])
        torch._foreach_copy_(
            gradients, [piece.view_as(own) for own, piece in zip(gradients, pieces, strict=True)]
        )

    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:  # noqa: D102
        for tensor in tensors:
            self._spread(tensor, 0)

    def broadcast_each(self, pieces: Sequence[Tensor]) -> None:  # noqa: D102
        for rank, piece in enumerate(pieces):
            self._spread(piece, rank)

    def _spread(self, tensor: Tensor, rank: int) -> None:
        if tensor.numel():
            sent = tensor.detach().contiguous()
            with _connection():
                dist.broadcast(sent, src=rank)
            tensor.detach().copy_(sent)

    def largest(self, number: int) -> int:  # noqa: D102
        told = torch.tensor(number)
        with _connection():
            dist.all_reduce(told, dist.ReduceOp.MAX, group=self._control)
        return int(told)

    def first_failure(self, error: PplrError) -> Failure:  # noqa: D102
        return first_of_all(Failure(self.rank, error), self.size)

    def close(self) -> None:  # noqa: D102
        dist.destroy_process_group()


class _WholeBatch(torch.autograd.Function):
    """Forward: gather the rows of all processes. Backward: the gradient of the own rows."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, processes: Processes) -> Tensor:
        sent = part.contiguous()
        pieces = [torch.empty_like(sent) for _ in range(processes.size)]
        with _connection():
            dist.all_gather(pieces, sent)
        ctx.rows = slice(processes.rank * len(part), (processes.rank + 1) * len(part))
        return torch.cat(pieces)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0][ctx.rows], None


def _attempt(job: Callable[[], T]) -> T | PplrError:
    try:
        return job()
    except PplrError as error:
        return error


@contextmanager
def _no_output() -> Iterator[None]:
    """Discard what the Gloo library of torch 2.10 prints to standard output."""
    kept, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def _connection() -> Iterator[None]:
    """Turn what the backends raise into one error: they only know that another process is gone.

    A failure of this process's own GPU, which may show in a collective, stays what it is.
    """
    try:
        yield
    except (torch.OutOfMemoryError, torch.AcceleratorError):
        raise
    except RuntimeError as error:
        what = str(error).splitlines()[0].rpartition("] ")[2][:200]
        raise ProcessError(
            f"another process of this run is gone or does not answer ({what})",
            "its own message explains why; `--resume` continues from the last saved state",
        ) from error
