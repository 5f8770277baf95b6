"""Identifiant Exemple: a second provider for the demonstration, so that the choice at the broker is real.

A real OpenID provider, small, for one client; and a simulated one: whoever is on its list signs in with a password that the page tells. It gives no level above
`eidas2`, and takes minors, whom Alicem refuses.
"""

from alicem.demo.identifiant.app import IdentifiantSettings, app, serve

__all__ = ["IdentifiantSettings", "app", "serve"]
