// npm @openid4vc/openid4vci and @openid4vc/openid4vp: a foreign wallet, as far as its libraries make one. JOSE is npm jose's, DCQL npm dcql's.

import { createHash, randomBytes } from "node:crypto";
import { clientAuthenticationAnonymous, setGlobalConfig } from "@openid4vc/oauth2";
import { Openid4vciClient, setGlobalConfig as setIssuing } from "@openid4vc/openid4vci";
import { Openid4vpClient } from "@openid4vc/openid4vp";
import { SDJwtVcInstance } from "@sd-jwt/sd-jwt-vc";
import { DcqlQuery } from "dcql";
import { CompactEncrypt, SignJWT, compactVerify, importJWK } from "jose";
import { answer, hasher, salt, trusted } from "./common.mjs";

setGlobalConfig({ allowInsecureUrls: true }); // the tests serve on the loopback interface
setIssuing({ allowInsecureUrls: true });

const publicOf = ({ d, ...jwk }) => jwk;

function callbacks(jwk, roots) {
  return {
    fetch: (url, options = {}) => // the library takes signed metadata where they come, and asks for none
      fetch(url, String(url).includes("/openid-credential-issuer") ? { ...options, headers: { ...options.headers, Accept: "application/jwt" } } : options),
    hash: (data, alg) => hasher(data, alg),
    generateRandom: (length) => new Uint8Array(randomBytes(length)),
    clientAuthentication: clientAuthenticationAnonymous(),
    getX509CertificateMetadata: () => ({ sanDnsNames: [], sanUriNames: [] }),
    async signJwt(_signer, { header, payload }) {
      const jwt = await new SignJWT(payload).setProtectedHeader(header).sign(await importJWK(jwk, "ES256"));
      return { jwt, signerJwk: publicOf(jwk) };
    },
    async verifyJwt(signer, { compact }) {
      const signerJwk = signer.method === "x5c" ? trusted(signer.x5c, roots) : signer.publicJwk;
      await compactVerify(compact, await importJWK(signerJwk, "ES256"), { algorithms: ["ES256"] });
      return { verified: true, signerJwk };
    },
    async encryptJwe({ publicJwk, alg, enc, apu, apv }, data) {
      const header = { alg, enc, kid: publicJwk.kid, ...(apu && { apu }), ...(apv && { apv }) };
      const jwe = await new CompactEncrypt(new TextEncoder().encode(data))
        .setProtectedHeader({ alg, enc, kid: header.kid })
        .setKeyManagementParameters({ ...(apu && { apu: Buffer.from(apu, "base64url") }), ...(apv && { apv: Buffer.from(apv, "base64url") }) })
        .encrypt(await importJWK(publicJwk, alg));
      return { jwe, encryptionJwk: publicJwk };
    },
    decryptJwe: () => ({ decrypted: false }),
  };
}

await answer({
  /** The whole of issuing: the offer, signed metadata, token, nonce, proof, credential. `proofs`: how many. */
  async issue({ offer, jwk, roots, proofs = 1, extra }) {
    const client = new Openid4vciClient({ callbacks: callbacks(jwk, roots) });
    const credentialOffer = await client.resolveCredentialOffer(offer);
    const issuerMetadata = await client.resolveIssuerMetadata(credentialOffer.credential_issuer);
    const token = await client.retrievePreAuthorizedCodeAccessTokenFromOffer({ credentialOffer, issuerMetadata });
    const { c_nonce: nonce } = await client.requestNonce({ issuerMetadata });
    const [credentialConfigurationId] = credentialOffer.credential_configuration_ids;
    const signer = { method: "jwk", publicJwk: publicOf(jwk), alg: "ES256" };
    const { jwt } = await client.createCredentialRequestJwtProof({ issuerMetadata, credentialConfigurationId, signer, nonce });
    const answered = await client.retrieveCredentials({
      issuerMetadata, credentialConfigurationId, accessToken: token.accessTokenResponse.access_token,
      proofs: { jwt: Array(proofs).fill(jwt) }, additionalRequestPayload: extra,
    });
    return {
      credential: answered.credentialResponse.credentials[0].credential,
      configuration: issuerMetadata.knownCredentialConfigurations[credentialConfigurationId],
      signed: Boolean(issuerMetadata.signedCredentialIssuer),
      draft: issuerMetadata.originalDraftVersion,
    };
  },

  /** A request object fetched, verified and answered with a credential; what the verifier said. */
  async present({ requestUri, clientId, credential, jwk, roots, aud, twice, enc = "A256GCM" }) {
    const own = callbacks(jwk, roots);
    const client = new Openid4vpClient({ callbacks: own });
    const resolved = await client.resolveOpenId4vpAuthorizationRequest({
      authorizationRequestPayload: { client_id: clientId, request_uri: requestUri },
    });
    const asked = resolved.authorizationRequestPayload;
    const query = DcqlQuery.parse(asked.dcql_query);
    DcqlQuery.validate(query);
    const instance = new SDJwtVcInstance({
      hasher, saltGenerator: salt, kbSignAlg: "ES256",
      kbSigner: async (data) => {
        const key = await crypto.subtle.importKey("jwk", jwk, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
        return Buffer.from(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key, Buffer.from(data))).toString("base64url");
      },
    });
    const claims = await instance.getClaims(credential);
    const held = { credential_format: "dc+sd-jwt", vct: claims.vct, claims, cryptographic_holder_binding: true };
    const found = DcqlQuery.query(query, [held]);
    const [id] = Object.keys(found.credential_matches);
    const [matched] = found.credential_matches[id].valid_credentials ?? [];
    if (!matched) throw new Error("the query asks what this credential does not have");
    const shown = Object.keys(matched.claims.valid_claim_sets[0].output ?? {});
    const binding = {
      iat: Math.floor(Date.now() / 1000), nonce: asked.nonce, aud: aud ?? asked.client_id,
      transaction_data_hashes: asked.transaction_data.map((one) => createHash("sha256").update(one).digest("base64url")),
      transaction_data_hashes_alg: "sha-256",
    };
    const token = await instance.present(credential, Object.fromEntries(shown.map((name) => [name, true])), { kb: { payload: binding } });
    const response = await client.createOpenid4vpAuthorizationResponse({
      authorizationRequestPayload: asked,
      authorizationResponsePayload: { vp_token: { [id]: [token] } },
      jarm: {
        encryption: { nonce: salt(16) },
        serverMetadata: {
          authorization_signing_alg_values_supported: [], authorization_encryption_alg_values_supported: ["ECDH-ES"],
          authorization_encryption_enc_values_supported: [enc],
        },
      },
    });
    const submit = async () => {
      const { response: told } = await client.submitOpenid4vpAuthorizationResponse({
        authorizationRequestPayload: asked, authorizationResponsePayload: response.authorizationResponsePayload, jarm: response.jarm,
      });
      return { status: told.status, body: await told.json() };
    };
    const told = await submit();
    return { told, again: twice ? await submit() : undefined, shown, clientPrefix: resolved.client.prefix ?? resolved.client.scheme, transactionData: resolved.transactionData };
  },
});
