"""Several processes that train one job together: what each takes of a batch, and how their numbers come together.

Alone, every function returns what it was given. Shapes: N images, K classes.
"""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

PATIENCE = timedelta(minutes=10)  # for the slowest of the team


@dataclass(frozen=True, slots=True)
class Team:
    """This process among those of its job."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Say whether this is the process that reports and writes files."""
        return self.rank == 0

    def device(self, wanted: torch.device) -> torch.device:
        """Return the device of this process: of several GPUs each has one."""
        return torch.device("cuda", self.rank) if wanted.type == "cuda" and self.size > 1 else wanted

    def share(self, numbers: Tensor) -> Tensor:
        """Return this process's part of (N,) numbers; the parts follow each other by rank."""
        return numbers.tensor_split(self.size)[self.rank]

    def wrap(self, model: nn.Module, *, has_late_parameters: bool) -> nn.Module:
        """Return what to call for logits so that gradients become those of the whole team.

        Args:
            model: Equal in all processes; stays what is saved and scored.
            has_late_parameters: Whether some of its parameters get no gradient at first.
        """
        if self.size == 1:
            return model
        return nn.parallel.DistributedDataParallel(model, find_unused_parameters=has_late_parameters)

    def apart(self, network: nn.Module) -> AbstractContextManager[None]:
        """Return a block in which gradients are added up without the others."""
        if not isinstance(network, nn.parallel.DistributedDataParallel):
            return nullcontext()
        block: AbstractContextManager[None] = network.no_sync()
        return block

    def level(self, model: nn.Module) -> None:
        """Give all processes the running statistics of the first, which has seen its own share of the images."""
        if self.size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)

    def added(self, *numbers: Tensor) -> tuple[Tensor, ...]:
        """Return scalars added up over the team, in every process."""
        if self.size == 1:
            return numbers
        together = torch.stack([number.float() for number in numbers])
        dist.all_reduce(together)
        return tuple(together)

    def gathered(self, rows: Tensor, total: int) -> Tensor:
        """Return the (N, K) rows of all processes in the order of `share`, in every process.

        Args:
            rows: This process's part.
            total: N.
        """
        if self.size == 1:
            return rows
        lengths = [len(part) for part in torch.arange(total).tensor_split(self.size)]
        padded = rows.new_zeros(max(lengths), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in lengths]
        dist.all_gather(parts, padded)
        return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])

    def agrees(self, wish: bool, device: torch.device) -> bool:
        """Return whether any process has the wish: all do the same at the same step, or they would wait for ever."""
        if self.size == 1:
            return wish
        votes = torch.tensor(float(wish), device=device)
        dist.all_reduce(votes)
        return bool(votes.item())


ALONE = Team()


def join(device: str) -> Team:
    """Join the team that torchrun has started this process for.

    Args:
        device: As the job has it; GPUs talk over NCCL, processors over gloo.
    """
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=PATIENCE)
    team = Team(rank=int(os.environ["RANK"]), size=int(os.environ["WORLD_SIZE"]))
    if device.startswith("cuda"):
        torch.cuda.set_device(team.rank)
    return team
