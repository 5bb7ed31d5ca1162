import pytest

from trainer.errors import did_you_mean, is_out_of_memory

TABLE = {"resnet9": 1, "resnet18": 2, "vit": 3}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("resnet_9", " Did you mean 'resnet9'?"),
        ("vitt", " Did you mean 'vit'?"),
        ("mobilenet-v3", ""),
        ("", ""),
    ],
)
def test_a_name_that_does_not_exist_is_answered_with_the_nearest(name: str, answer: str) -> None:
    assert did_you_mean(name, TABLE) == answer


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("unsupported memory format option"), False),
        (ValueError("no"), False),
    ],
)
def test_what_means_that_memory_is_used_up_is_known(error: Exception, is_one: bool) -> None:
    assert is_out_of_memory(error) == is_one
