// A federation as FranceConnect+ is one: id token and userinfo signed with ES256, and encrypted to keys that it publishes (docs/integrate.md).
//
//   npm install openid-client@6
//   node federation_plus.mjs     # then open http://127.0.0.1:3000/sign-in; one person, and it ends
//
// Settings are environment variables: ISSUER, CLIENT_ID, SECRET_FILE, SCOPE, LEVEL, PORT.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import * as openid from "openid-client";

const ISSUER = process.env.ISSUER ?? "http://localhost:8000";
const CLIENT_ID = process.env.CLIENT_ID ?? "my-federation-plus";
const SECRET = readFileSync(process.env.SECRET_FILE ?? "my-federation-plus.secret", "utf-8").trim();
const SCOPE = process.env.SCOPE ?? "openid profile email preferred_username birthplace birthcountry";
const LEVEL = process.env.LEVEL ?? "eidas2";
const PORT = Number(process.env.PORT ?? 3000);
const HERE = `http://127.0.0.1:${PORT}`;

// A federation keeps its keys, and publishes the next before it needs it; this one lives as long as the program.
const RSA = { name: "RSA-OAEP", hash: "SHA-256", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) };
const { publicKey, privateKey } = await crypto.subtle.generateKey(RSA, true, ["encrypt", "decrypt"]);
const published = { ...(await crypto.subtle.exportKey("jwk", publicKey)), kid: "1", use: "enc", alg: "RSA-OAEP-256" };

const execute = [openid.enableNonRepudiationChecks, ...(ISSUER.startsWith("http://") ? [openid.allowInsecureRequests] : [])];
const agreed = { id_token_signed_response_alg: "ES256", userinfo_signed_response_alg: "ES256" };
const begun = { state: openid.randomState(), nonce: openid.randomNonce() };

async function provider() {
  const config = await openid.discovery(new URL(ISSUER), CLIENT_ID, agreed, openid.ClientSecretPost(SECRET), { execute });
  openid.enableDecryptingResponses(config, ["A256GCM"], { key: privateKey, alg: "RSA-OAEP-256", kid: "1" });
  return config;
}

async function complete(address) {
  const config = await provider();
  const expected = { expectedState: begun.state, expectedNonce: begun.nonce, idTokenExpected: true };
  const tokens = await openid.authorizationCodeGrant(config, address, expected);
  const { sub, acr } = tokens.claims();
  if (!(acr >= LEVEL)) throw new Error(`level ${acr}, not ${LEVEL}`); // eidas1 < eidas2 < eidas3
  return { ...(await openid.fetchUserInfo(config, tokens.access_token, sub)), acr };
}

const server = createServer(async (request, answer) => {
  const address = new URL(request.url, HERE);
  try {
    if (address.pathname === "/keys") {
      answer.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ keys: [published] }));
    } else if (address.pathname === "/sign-in") {
      const asked = { redirect_uri: `${HERE}/callback`, scope: SCOPE, acr_values: LEVEL, prompt: "login", ...begun };
      answer.writeHead(303, { location: openid.buildAuthorizationUrl(await provider(), asked).href }).end();
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
