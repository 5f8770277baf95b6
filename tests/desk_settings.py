"""`alicem.toml` of a provider that an operator works at and that asks nobody."""

_TEXT = """
[service]
profile = "development"
origin = "https://identite.example"
[database]
url = "{url}"
[keys]
file = "keys.bin"
master_key_file = "master.key"
{more}
[trust]
folder = "trust"
[registry]
url = "https://registre.example"
token_file = "token"
[mail]
host = "localhost"
port = 25
sender = "a@identite.example"
"""


def desk_settings(url: str = "sqlite:///alicem.db", more: str = "") -> str:
    """`more`: lines after `[keys]`."""
    return _TEXT.format(url=url, more=more)
