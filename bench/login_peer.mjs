// npm oidc-provider as a peer for bench/login.py: in memory, ES256, its interaction finished at once (approval given beforehand).
// usage: node login_peer.mjs PORT SECRET CALLBACK

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [port, secret, callback] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const claims = {
  given_name: "Angela Claire Louise", family_name: "DUBOIS", birthdate: "1962-08-24", gender: "female",
  birthplace: "75107", birthcountry: "99100", email: "angela.dubois@courriel.example", preferred_username: "Ledoux",
};

const provider = new Provider(issuer, {
  clients: [{
    client_id: "fc-plus", client_secret: secret, redirect_uris: [callback], response_types: ["code"], grant_types: ["authorization_code"],
    token_endpoint_auth_method: "client_secret_post", id_token_signed_response_alg: "ES256",
  }],
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "ES256", kid: "k1" }] },
  cookies: { keys: ["0123456789abcdef0123456789abcdef"] },
  features: { devInteractions: { enabled: false } },
  pkce: { required: () => false },
  acrValues: ["eidas1", "eidas2"],
  scopes: ["openid"],
  claims: {
    openid: ["sub"], profile: ["given_name", "family_name", "birthdate", "gender"], email: ["email"],
    preferred_username: ["preferred_username"], birthplace: ["birthplace"], birthcountry: ["birthcountry"],
  },
  ttl: { AuthorizationCode: 30, AccessToken: 120, IdToken: 300, Interaction: 300, Session: 300, Grant: 300 },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...claims }) }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
});

const serve = provider.callback();
let people = 0;

async function approve(request, response) {
  const { params } = await provider.interactionDetails(request, response);
  const accountId = `person-${(people += 1)}`;
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const grantId = await grant.save();
  const login = { accountId, acr: "eidas2", amr: ["mfa"] };
  await provider.interactionFinished(request, response, { login, consent: { grantId } }, { mergeWithLastSubmission: false });
}

createServer((request, response) => {
  if (!request.url.startsWith("/interaction/")) return serve(request, response);
  approve(request, response).catch((error) => response.writeHead(500).end(String(error)));
}).listen(Number(port), "127.0.0.1", () => console.log("ready"));
