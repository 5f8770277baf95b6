"""The broker: FranceConnect's stand-in. It keeps identity providers and services apart.

An application of its own that imports nothing of the rooms: OpenID client of the providers (`relying`), OpenID provider of the services (`openid`), and
between the two the person, who sees what will be sent (`signin`). A provider never learns which service asks; a service gets a pseudonym of its own.
"""

from alicem.broker.app import serve
from alicem.broker.providers import ProviderFile
from alicem.broker.services import ServiceFile
from alicem.broker.settings import BrokerSettings

__all__ = ["BrokerSettings", "ProviderFile", "ServiceFile", "serve"]
