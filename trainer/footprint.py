"""What a model costs whoever asks it: parameters, operations, time and bytes.

Shapes: C channels, H W pixels.
"""

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from trainer.config import JobConfig
from trainer.devices import DTYPES, best_seconds
from trainer.evaluate import evaluating
from trainer.results import Footprint
from trainer.settings import Classical
from trainer.views import with_views

TIMED_SECONDS = 0.15  # where a limit goes by the time
GLANCE_SECONDS = 0.03  # where it is only told: a short job would wait for more
LEAST_ANSWERS = 3


def footprint(
    model: nn.Module,
    config: JobConfig,
    *,
    image_shape: tuple[int, int, int],
    device: torch.device,
    seconds: float = TIMED_SECONDS,
) -> Footprint:
    """Measure a model on one image, shown in as many views as it is scored with.

    The time is the shortest of several, as other jobs may compute beside this one; the model's modes are restored.

    Args:
        model: On the device.
        config: Of its job, for the precision and the views.
        image_shape: H, W, C.
        device: To ask it on.
        seconds: That it is asked again and again.
    """
    height, width, channels = image_shape
    image = torch.zeros(1, channels, height, width, device=device)
    if config.runtime.channels_last:
        image = image.to(memory_format=torch.channels_last)
    asked = with_views(model, config.scoring)
    is_classical = isinstance(config.model, Classical)
    precision = torch.float32 if is_classical else DTYPES[config.runtime.precision]

    def answer() -> Tensor:
        with torch.inference_mode(), torch.autocast(device.type, precision, enabled=precision is not torch.float32):
            logits: Tensor = asked(image)
        return logits.cpu()  # which waits for an accelerator

    with evaluating(model):
        flops = None if is_classical else config.scoring.num_views * _operations(model, image)
        fastest = best_seconds(answer, within=seconds, repeats=LEAST_ANSWERS)
    return Footprint(
        parameters=sum(p.numel() for p in model.parameters()),
        flops=flops,
        latency_ms=1000 * fastest,
        size_mb=sum(t.numel() * t.element_size() for t in model.state_dict().values()) / 1e6,
    )


@torch.no_grad()
def _operations(model: nn.Module, image: Tensor) -> float:
    """Count products of matrices and convolutions, which is where the operations of a network are."""
    with FlopCounterMode(display=False) as counter:
        model(image)
    return float(counter.get_total_flops())
