"""From the files of a package to ONNX."""

from collections.abc import Mapping

from alicem.face.models import dlib, tfjs
from alicem.face.models.catalogue import DLIB, Network


def convert(network: Network, contents: Mapping[str, bytes]) -> bytes:
    first, *others = (contents[member.path] for member in network.members)
    if network.package is DLIB:
        return dlib.convert(first)
    (weights,) = others
    return tfjs.convert(first, weights, network.outputs)
