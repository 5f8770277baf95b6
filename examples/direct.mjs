// A service without broker, a client of Alicem by the profile `direct` (docs/integrate.md): it signs with its own key (private_key_jwt), pushes its
// request (PAR, RFC 9126), uses PKCE, and binds its tokens to a key (DPoP, RFC 9449). FAPI 2.0 asks the same.
//
//   npm install openid-client@6
//   node direct.mjs keys PUBLIC.jwks > KEY_FILE    # once
//   node direct.mjs                                # then open http://127.0.0.1:3000/sign-in; one person, and it ends
//
// Settings are environment variables: ISSUER, CLIENT_ID, KEY_FILE, SCOPE, LEVEL, PORT.

import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import * as openid from "openid-client";

const EC = { name: "ECDSA", namedCurve: "P-256" };

if (process.argv[2] === "keys") {
  const pair = await crypto.subtle.generateKey(EC, true, ["sign", "verify"]);
  const { kty, crv, x, y, d } = await crypto.subtle.exportKey("jwk", pair.privateKey);
  const open = { kty, crv, x, y, kid: openid.randomState().slice(0, 16), use: "sig", alg: "ES256" };
  writeFileSync(process.argv[3], JSON.stringify({ keys: [open] }, null, 2));
  console.log(JSON.stringify({ ...open, d }));
  process.exit();
}

const ISSUER = process.env.ISSUER ?? "http://localhost:8000";
const CLIENT_ID = process.env.CLIENT_ID ?? "my-direct-service";
const SCOPE = process.env.SCOPE ?? "openid profile email";
const LEVEL = process.env.LEVEL ?? "eidas2";
const PORT = Number(process.env.PORT ?? 3000);
const HERE = `http://127.0.0.1:${PORT}`;

const { kid, use, ...jwk } = JSON.parse(readFileSync(process.env.KEY_FILE ?? "my-direct-service.key", "utf-8"));
const key = await crypto.subtle.importKey("jwk", jwk, EC, false, ["sign"]);
const execute = [openid.enableNonRepudiationChecks, ...(ISSUER.startsWith("http://") ? [openid.allowInsecureRequests] : [])];
const agreed = { id_token_signed_response_alg: "ES256" };
const config = await openid.discovery(new URL(ISSUER), CLIENT_ID, agreed, openid.PrivateKeyJwt({ key, kid }), { execute });
const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair("ES256"));

const pkceCodeVerifier = openid.randomPKCECodeVerifier();
const [state, nonce] = [openid.randomState(), openid.randomNonce()];

async function begin() {
  const asked = {
    redirect_uri: `${HERE}/callback`,
    scope: SCOPE,
    acr_values: LEVEL,
    state,
    nonce,
    code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
  };
  return openid.buildAuthorizationUrlWithPAR(config, asked, { DPoP });
}

async function complete(address) {
  const expected = { pkceCodeVerifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
  const tokens = await openid.authorizationCodeGrant(config, address, expected, undefined, { DPoP });
  const { sub, acr } = tokens.claims();
  if (!(acr >= LEVEL)) throw new Error(`level ${acr}, not ${LEVEL}`); // eidas1 < eidas2 < eidas3
  return { ...(await openid.fetchUserInfo(config, tokens.access_token, sub, { DPoP })), acr };
}

const server = createServer(async (request, answer) => {
  const address = new URL(request.url, HERE);
  try {
    if (address.pathname === "/sign-in") {
      answer.writeHead(303, { location: (await begin()).href }).end();
    } else if (address.pathname === "/callback") {
      answer.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(await complete(address)));
      server.close();
    } else {
      answer.writeHead(404).end();
    }
  } catch (error) {
    const why = `${error.error ?? error.code ?? error.name}: ${error.error_description ?? error.message}`;
    answer.writeHead(400, { "content-type": "text/plain; charset=utf-8" }).end(why);
  }
}).listen(PORT, "127.0.0.1", () => console.log(`open ${HERE}/sign-in`));
