"""The State's document registry, simulated: an application of its own that follows docs/protocols/registry.md.

It imports nothing of the rooms of Alicem. A real registry takes its place by answering the same two requests.
"""

from alicem.registry.app import RegistrySettings, open_store, serve
from alicem.registry.notices import WORDS, declare
from alicem.registry.people import read_person
from alicem.registry.records import CivilStatus, Document, HolderUnknown, Person, RegistryError, add

__all__ = [
    "WORDS",
    "CivilStatus",
    "Document",
    "HolderUnknown",
    "Person",
    "RegistryError",
    "RegistrySettings",
    "add",
    "declare",
    "open_store",
    "read_person",
    "serve",
]
