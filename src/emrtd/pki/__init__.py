"""Certificates, revocation lists, trust, and the specimen authorities (ICAO 9303-12)."""
