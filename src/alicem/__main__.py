"""`python -m alicem` is `alicem`."""

from alicem.cli import main

main()
