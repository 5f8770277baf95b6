"""`python -m alicem.demo.identifiant --config identifiant.toml`."""

import sys
from pathlib import Path

from alicem.demo.identifiant.app import serve

if len(sys.argv) != 3 or sys.argv[1] != "--config":
    sys.exit("usage: python -m alicem.demo.identifiant --config identifiant.toml")
serve(Path(sys.argv[2]))
