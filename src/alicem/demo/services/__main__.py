"""`python -m alicem.demo.services --config services.toml`."""

import sys
from pathlib import Path

from alicem.demo.services.app import serve

if len(sys.argv) != 3 or sys.argv[1] != "--config":
    sys.exit("usage: python -m alicem.demo.services --config services.toml")
serve(Path(sys.argv[2]))
