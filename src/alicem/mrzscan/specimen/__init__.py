"""Specimen documents of people who do not exist, drawn and photographed. They judge the reading and serve its tests."""

from alicem.mrzscan.specimen.camera import MILD, STRONG, Grade, photograph
from alicem.mrzscan.specimen.page import Document, document

__all__ = ["MILD", "STRONG", "Document", "Grade", "document", "photograph"]
