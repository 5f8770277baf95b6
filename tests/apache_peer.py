"""Debian's Apache with mod_auth_openidc as a client: a process of its own on loopback, which needs no rights and leaves nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

MODULES = Path("/usr/lib/apache2/modules")
NEEDED = ("mpm_event", "authn_core", "authz_core", "authz_user", "auth_openidc")
MISSING = "no Apache with mod_auth_openidc here: apt-get install apache2 libapache2-mod-auth-openidc"
CONFIG = """
ServerRoot "{folder}"
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile "{folder}/pid"
ErrorLog "{folder}/error.log"
LogLevel warn auth_openidc:info
DocumentRoot "{folder}"
{user}
{modules}
OIDCRedirectURI http://127.0.0.1:{port}/callback
OIDCCryptoPassphrase {secret}
OIDCClientID {client_id}
OIDCClientSecret {secret}
OIDCInfoHook id_token userinfo
{more}
<Location "/">
  AuthType openid-connect
  Require valid-user
</Location>
"""


def installed() -> bool:
    return shutil.which("apache2", path=f"/usr/sbin{os.pathsep}{os.environ['PATH']}") is not None and any(
        MODULES.glob("mod_auth_openidc.so")
    )


@contextmanager
def apache(port: int, client_id: str, secret: str, directives: Mapping[str, str]) -> Iterator[str]:
    """Until the end of the block; its address, where every page asks who one is, `/sign-in` too. `{address}/callback?info=json` tells of the session."""
    with tempfile.TemporaryDirectory(prefix="apache-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "sign-in").write_text("signed in")
        config = CONFIG.format(
            folder=folder,
            port=port,
            user="User nobody\nGroup nogroup" if os.getuid() == 0 else "",
            modules="\n".join(f"LoadModule {one}_module {MODULES}/mod_{one}.so" for one in NEEDED),
            client_id=client_id,
            secret=secret,
            more="\n".join(f'{directive} "{value}"' for directive, value in directives.items()),
        )
        (folder / "apache.conf").write_text(config)
        command = ["/usr/sbin/apache2", "-D", "FOREGROUND", "-f", str(folder / "apache.conf")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
            try:
                _wait(f"http://127.0.0.1:{port}/callback", program)
                yield f"http://127.0.0.1:{port}"
            finally:
                program.terminate()


def _wait(address: str, program: subprocess.Popen[str]) -> None:
    for _ in range(200):
        assert program.poll() is None, program.stderr and program.stderr.read()
        try:
            httpx.get(address, trust_env=False)
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("Apache does not answer")
