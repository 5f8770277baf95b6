"""Sample services behind a broker, in one process: a public service, a bank, an online gaming site, a health portal.

Everything a service has to do to be connected is in `openid`; `sites` is pages and sessions, as any web site has them.
"""

from alicem.demo.services.catalogue import SERVICES, SampleService, expected

__all__ = ["SERVICES", "SampleService", "expected"]
