"""The phone's side in Python, after docs/protocols alone: reference of the protocols, headless demonstration, tests, load."""
