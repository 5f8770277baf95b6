// The same service for Node, with openid-client 6 (docs/integrate.md).
//
//   npm install openid-client@6
//   node service.mjs             # then open http://127.0.0.1:3000
//
// Settings are environment variables: ISSUER, CLIENT_ID, SECRET_FILE, SCOPE, LEVEL, PORT.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import * as openid from "openid-client";

const ISSUER = process.env.ISSUER ?? "http://127.0.0.1:8001";
const CLIENT_ID = process.env.CLIENT_ID ?? "my-service";
const SECRET = readFileSync(process.env.SECRET_FILE ?? "my-service.secret", "utf-8").trim();
const SCOPE = process.env.SCOPE ?? "openid profile email";
const LEVEL = process.env.LEVEL ?? "eidas2";
const PORT = Number(process.env.PORT ?? 3000);
const HERE = `http://127.0.0.1:${PORT}`;
const COOKIE = "__Host-example";

// One session a browser, by its cookie. A real service keeps them in its own session store, with an end.
const sessions = new Map();

// Plain http is for this machine alone; the signature of an id token is checked even where TLS would do (OpenID Connect Core 3.1.3.7).
const execute = [openid.enableNonRepudiationChecks, ...(ISSUER.startsWith("http://") ? [openid.allowInsecureRequests] : [])];
const provider = () =>
  openid.discovery(new URL(ISSUER), CLIENT_ID, { id_token_signed_response_alg: "ES256" }, openid.ClientSecretPost(SECRET), { execute });

async function begin() {
  const verifier = openid.randomPKCECodeVerifier();
  const begun = { verifier, state: openid.randomState(), nonce: openid.randomNonce() };
  const address = openid.buildAuthorizationUrl(await provider(), {
    redirect_uri: `${HERE}/callback`,
    scope: SCOPE,
    acr_values: LEVEL,
    state: begun.state,
    nonce: begun.nonce,
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  return [address.href, begun];
}

// The library holds state, iss (RFC 9207), signature, aud, exp and nonce; the level is ours to hold.
async function complete({ verifier, state, nonce }, address) {
  const config = await provider();
  const tokens = await openid.authorizationCodeGrant(config, address, {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: nonce,
    idTokenExpected: true,
  });
  const { sub, acr } = tokens.claims();
  if (!(acr >= LEVEL)) throw new Error(`level ${acr}, not ${LEVEL}`); // eidas1 < eidas2 < eidas3
  const person = await openid.fetchUserInfo(config, tokens.access_token, sub);
  return { person, acr, idToken: tokens.id_token };
}

const escape = (text) => text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`);
const page = (answer, body) =>
  answer
    .writeHead(200, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" })
    .end(`<!doctype html><meta charset="utf-8"><title>Example</title>${body}`);
const go = (answer, location, headers = {}) => answer.writeHead(303, { location, ...headers }).end();

createServer(async (request, answer) => {
  const address = new URL(request.url, HERE);
  const key = new RegExp(`${COOKIE}=([\\w-]+)`).exec(request.headers.cookie ?? "")?.[1];
  const session = sessions.get(key) ?? {};
  try {
    if (address.pathname === "/sign-in") {
      const fresh = openid.randomState(); // a new key each time: none can be fixed beforehand
      const [there, begun] = await begin();
      sessions.set(fresh, begun);
      go(answer, there, { "set-cookie": `${COOKIE}=${fresh}; Path=/; Secure; HttpOnly; SameSite=Lax` });
    } else if (address.pathname === "/callback") {
      sessions.delete(key); // an answer is taken once
      sessions.set(key, await complete(session, address));
      go(answer, "/");
    } else if (address.pathname === "/sign-out" && session.idToken) {
      sessions.delete(key);
      const back = { id_token_hint: session.idToken, post_logout_redirect_uri: `${HERE}/` };
      go(answer, openid.buildEndSessionUrl(await provider(), back).href);
    } else if (session.person) {
      const told = escape(JSON.stringify({ ...session.person, acr: session.acr }, null, 2));
      page(answer, `<h1>Signed in</h1><pre id='claims'>${told}</pre><p><a href="/sign-out">Sign out</a></p>`);
    } else {
      page(answer, `<h1>A service</h1><p><a href="/sign-in">Sign in</a></p>`);
    }
  } catch (error) {
    const why = escape(`${error.error ?? error.code ?? error.name}: ${error.error_description ?? error.message}`);
    page(answer, `<h1>Not signed in</h1><p>${why}</p><p><a href="/sign-in">Try again</a></p>`);
  }
}).listen(PORT, "127.0.0.1", () => console.log(`open ${HERE}`));
