"""`alicem.toml`: its tables, how they are read, and what a production profile refuses of them."""

from alicem.settings.production import PRODUCTION_REFUSES, Refusal, production_refusals, refusals, sqlite_file
from alicem.settings.reading import SettingsError, load, parse, read, secret
from alicem.settings.tables import (
    ROLES,
    Database,
    Face,
    Keys,
    Limits,
    Log,
    Mail,
    Metrics,
    Registry,
    Retention,
    Service,
    Settings,
    Traces,
    Trust,
    Wallets,
)

__all__ = [
    "PRODUCTION_REFUSES",
    "ROLES",
    "Database",
    "Face",
    "Keys",
    "Limits",
    "Log",
    "Mail",
    "Metrics",
    "Refusal",
    "Registry",
    "Retention",
    "Service",
    "Settings",
    "SettingsError",
    "Traces",
    "Trust",
    "Wallets",
    "load",
    "parse",
    "production_refusals",
    "read",
    "refusals",
    "secret",
    "sqlite_file",
]
