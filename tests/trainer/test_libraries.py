import sys

import torch

from trainer.libraries import has_compiled_operators, import_timm, import_torchvision


def test_torchvision_can_be_imported_and_again() -> None:
    first, second = import_torchvision(), import_torchvision()

    assert first is second is sys.modules["torchvision"]


def test_timm_comes_with_the_parts_that_are_used() -> None:
    timm = import_timm()

    assert timm is import_timm()
    assert callable(timm.create_model)
    assert callable(timm.optim.create_optimizer_v2)
    assert callable(timm.utils.ModelEmaV3)


def test_it_is_known_whether_torchvision_has_operators_of_its_own() -> None:
    assert isinstance(has_compiled_operators(), bool)


def test_torchvisions_operators_are_declared_either_way() -> None:
    import_torchvision()

    assert hasattr(torch.ops.torchvision, "nms")
