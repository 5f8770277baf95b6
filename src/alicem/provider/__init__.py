"""OpenID Connect for FranceConnect: a client asks, a person approves on the phone, the client gets the claims asked and nothing stays."""

from alicem.provider.client_file import ClientFile
from alicem.provider.clients import Client, load
from alicem.provider.endpoints import routes
from alicem.provider.records import expire
from alicem.provider.room import Provider

__all__ = ["Client", "ClientFile", "Provider", "expire", "load", "routes"]
