import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.seeds import derive, generator

PURPOSE = st.lists(st.one_of(st.integers(0, 10**6), st.text("abcxyz-_", max_size=8)), max_size=4)


@pytest.mark.parametrize(
    ("seed", "purpose", "expected"),
    [
        (0, (), 4761921975702974394),
        (0, ("order", 0), 1829853113658518448),
        (7, ("augment", 12), 4912092706592863821),
    ],
)
def test_a_seed_never_changes_between_versions(seed: int, purpose: tuple[str | int, ...], expected: int) -> None:
    assert derive(seed, *purpose) == expected


@given(seed=st.integers(0, 2**70), purpose=PURPOSE)
@settings(deadline=None)
def test_a_seed_has_63_bits(seed: int, purpose: list[str | int]) -> None:
    assert 0 <= derive(seed, *purpose) < 2**63


def test_each_purpose_and_each_seed_has_its_own_stream() -> None:
    seeds = {derive(seed, purpose, epoch) for seed in range(5) for purpose in ("a", "b") for epoch in range(50)}

    assert len(seeds) == 500


def test_a_generator_is_on_its_device_and_repeats_itself() -> None:
    device = torch.device("cpu")

    first, second = (torch.rand(4, generator=generator(device, 3, "noise", 1)) for _ in range(2))
    other = torch.rand(4, generator=generator(device, 3, "noise", 2))

    assert generator(device, 3).device == device
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_deriving_seeds_does_not_import_torch() -> None:
    code = "import sys, trainer.seeds; sys.exit('torch' in sys.modules)"

    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
