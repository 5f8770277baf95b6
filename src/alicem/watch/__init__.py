"""What an operator sees of a running provider: readiness, counts, traces. None of it knows a person, an account or a service.

Rooms tell what happened in the log's events; counts and traces are made from those, from requests and from transactions, by watchers that
are loaded only where the settings ask for them.
"""

from alicem.watch.listener import Listener
from alicem.watch.readiness import Readiness
from alicem.watch.requests import Watched
from alicem.watch.watcher import WatchedStore, Watcher, tap

__all__ = ["Listener", "Readiness", "Watched", "WatchedStore", "Watcher", "tap"]
