"""Specimen persons: faces of nobody, made from four freely licensed portraits.

The 468-point mesh of each source is brought upright, frontal and at rest (mouth closed). A person is then a
`Face`: a head, a mix of the sources' shapes, the eyes, nose, mouth and skin of one source or several, traits
that bend the shape, the colours of hair, skin and clothes. The result is a picture of the person with the
three-dimensional points it stands on, which the actor moves.
"""

from typing import TYPE_CHECKING

from alicem.first_use import names

if TYPE_CHECKING:
    from alicem.demo.portraits.face import Face, FaceError, faces, parse
    from alicem.demo.portraits.pictures import Camera, Pose, chip_image, portrait, render
    from alicem.demo.portraits.sources import build, ready
    from alicem.demo.portraits.textures import Person, person

__all__ = [
    "Camera",
    "Face",
    "FaceError",
    "Person",
    "Pose",
    "build",
    "chip_image",
    "faces",
    "parse",
    "person",
    "portrait",
    "ready",
    "render",
]
__getattr__ = names(
    __name__,
    {
        "face": ("Face", "FaceError", "faces", "parse"),
        "pictures": ("Camera", "Pose", "chip_image", "portrait", "render"),
        "sources": ("build", "ready"),
        "textures": ("Person", "person"),
    },
)
