"""The one door to torchvision and timm.

A processor-only torch beside the torchvision wheel of the package index, which is built for CUDA, leaves
torchvision without its compiled operators, and then it fails to import. A classifier needs none of them.
"""

import importlib
from types import ModuleType

import torch

_NMS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision() -> ModuleType:
    """Import torchvision, also where its compiled operators do not load.

    Raises:
        ImportError: If torchvision is not installed.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "does not exist" not in str(error):
            raise
    _declare_detection_operators()
    return importlib.import_module("torchvision")


def import_timm() -> ModuleType:
    """Import timm, which imports torchvision."""
    import_torchvision()
    for part in ("timm.models", "timm.optim", "timm.utils"):
        importlib.import_module(part)
    return importlib.import_module("timm")


def has_compiled_operators() -> bool:
    """Say whether torchvision's own operators loaded, for the report of `autoclf doctor`."""
    return bool(import_torchvision().extension._has_ops())


def _declare_detection_operators() -> None:
    """Declare, without bodies, the two operators whose absence stops torchvision's import."""
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}{_NMS}")  # type: ignore[no-untyped-call]
    _KEPT.append(library)


_KEPT: list[torch.library.Library] = []  # a library withdraws its operators when it is collected
