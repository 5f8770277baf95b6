// npm @sd-jwt/sd-jwt-vc: verifies, issues and presents. Signatures are checked by npm jose, chains by Node.

import { SDJwtVcInstance } from "@sd-jwt/sd-jwt-vc";
import { base64url, compactVerify, importJWK } from "jose";
import { answer, hasher, salt, trusted } from "./common.mjs";

const verifies = async (data, signature, key) => {
  await compactVerify(`${data}.${signature}`, await importJWK(key, "ES256"), { algorithms: ["ES256"] });
  return true;
};

/** Signs what the library composed: the same bytes, so the signature is taken from a JWS over them. */
const signer = async (jwk) => {
  const { subtle } = globalThis.crypto;
  const key = await subtle.importKey("jwk", jwk, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
  return async (data) =>
    base64url.encode(new Uint8Array(await subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key, new TextEncoder().encode(data))));
};

const headerOf = (data) => JSON.parse(new TextDecoder().decode(base64url.decode(data.split(".")[0])));

await answer({
  async verify({ token, roots, nonce, list }) {
    const instance = new SDJwtVcInstance({
      hasher,
      verifier: (data, signature) => verifies(data, signature, trusted(headerOf(data).x5c, roots)),
      kbVerifier: (data, signature, payload) => verifies(data, signature, payload.cnf.jwk),
      ...(list && { statusListFetcher: () => list }),
    });
    const { payload, kb } = await instance.verify(token, nonce && { keyBindingNonce: nonce });
    return { payload, kb: kb?.payload };
  },
  async issue({ payload, hide, jwk, header }) {
    const instance = new SDJwtVcInstance({ hasher, hashAlg: "sha-256", saltGenerator: salt, signer: await signer(jwk), signAlg: "ES256" });
    return { token: await instance.issue(payload, { _sd: hide, _sd_decoy: 2 }, { header }) };
  },
  async present({ token, show, jwk, binding }) {
    const instance = new SDJwtVcInstance({ hasher, saltGenerator: salt, kbSigner: await signer(jwk), kbSignAlg: "ES256" });
    const frame = Object.fromEntries(show.map((name) => [name, true]));
    return { token: await instance.present(token, frame, { kb: { payload: binding } }) };
  },
});
