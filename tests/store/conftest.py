import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "accounts"))  # accounts and phones to back up
