"""dlib's file format: its integers, its tensors, and the network that comes out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alicem.face.models.dlib import UnreadableWeightsError, convert, layers, packed, tag, tensor


def pack(value: int) -> bytes:
    """As dlib writes it."""
    body = abs(value).to_bytes(max(1, (abs(value).bit_length() + 7) // 8), "little")
    return bytes([len(body) | (0x80 if value < 0 else 0)]) + body


def pack_tensor(value: np.ndarray) -> bytes:
    return pack(2) + b"".join(pack(size) for size in value.shape) + value.astype("<f4").tobytes()


@given(st.integers(-(2**63), 2**63))
def test_integers(value: int) -> None:
    assert packed(pack(value) + b"more", 0) == (value, len(pack(value)))


@given(st.tuples(*[st.integers(1, 4)] * 4))
def test_tensors(shape: tuple[int, int, int, int]) -> None:
    value = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    assert (tensor(pack_tensor(value), 0) == value).all()


def test_tensors_of_another_version_are_refused() -> None:
    with pytest.raises(UnreadableWeightsError, match="version 1"):
        tensor(pack(1) + bytes(20), 0)


def test_layers_come_in_the_order_of_the_file() -> None:
    kernel, gamma = np.ones((2, 1, 1, 1), np.float32), np.full((4, 1, 1, 1), 3, np.float32)
    matrix = np.full((2, 3, 1, 1), 5, np.float32)
    data = b"head" + tag("con_4") + pack_tensor(kernel) + b"between" + tag("affine_") + pack_tensor(gamma)
    data += tag("fc_2") + pack(3) + pack(2) + pack_tensor(matrix)
    assert [(name, values.tolist()) for name, values in layers(data)] == [
        ("con_4", [1, 1]),
        ("affine_", [3, 3, 3, 3]),
        ("fc_2", [5] * 6),
    ]


@pytest.mark.parametrize("data", [b"", b"nothing of dlib's", tag("affine_") + pack_tensor(np.ones((4, 1, 1, 1)))])
def test_another_network_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableWeightsError):
        convert(data)
