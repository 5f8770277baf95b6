"""A service built on Authlib, which knows nothing of us, signs a person in."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx
from authlib.integrations.httpx_client import OAuth2Client
from broker_peers import ANGELA, Service, hidden
from joserfc import jwt
from joserfc.jwk import KeySet


def test_authlib_signs_in(origin: str) -> None:
    metadata = httpx.get(f"{origin}/.well-known/openid-configuration").json()
    client = OAuth2Client(
        "town-id", Service.secret("town"), scope="openid profile birth email", redirect_uri=Service.BACK,
        token_endpoint_auth_method="client_secret_post", code_challenge_method="S256", trust_env=False, leeway=0,
    )  # fmt: skip
    verifier = "a" * 64
    address, state = client.create_authorization_url(
        metadata["authorization_endpoint"], nonce="n" * 32, acr_values="eidas2", code_verifier=verifier
    )
    person = Service(origin)
    page = person.get(person.get(address).headers["location"])
    page = person.through_provider(hidden(page))
    back = person.post("/decide", sign_in=hidden(page), decision="continue").headers["location"]
    given = parse_qs(urlsplit(back).query)
    assert (given["state"], given["iss"]) == ([state], [metadata["issuer"]])
    token = client.fetch_token(metadata["token_endpoint"], authorization_response=back, code_verifier=verifier)
    keys = KeySet.import_key_set(httpx.get(metadata["jwks_uri"]).json())
    claims = jwt.decode(token["id_token"], keys, algorithms=["ES256"]).claims
    jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": origin}, aud={"essential": True, "value": "town-id"}
    ).validate(claims)
    assert client.get(metadata["userinfo_endpoint"]).json() == {"sub": claims["sub"], **ANGELA}
