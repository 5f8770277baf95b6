// What every peer here needs: one JSON object in, one out, and trust in certificate chains.
// usage: node SCRIPT < request.json; a refusal is {"refused": "<name of the error>: <message>"} and status 0.

import { X509Certificate, createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";

export const hasher = (data, alg) => new Uint8Array(createHash(alg.replace("-", "")).update(data).digest());
export const salt = (length) => randomBytes(length).toString("hex").slice(0, length);

/** The leaf's public key as a JWK, once its chain leads to one of `roots` (base64 DER). RFC 5280 as far as Node checks it. */
export function trusted(x5c, roots) {
  const chain = x5c.map((one) => new X509Certificate(Buffer.from(one, "base64")));
  const anchors = roots.map((one) => new X509Certificate(Buffer.from(one, "base64")));
  const top = chain.at(-1);
  const known = anchors.find((one) => one.fingerprint256 === top.fingerprint256 || (top.checkIssued(one) && top.verify(one.publicKey)));
  if (!known) throw new Error("no chain to an authority that is trusted");
  for (const [index, one] of chain.entries()) {
    const above = chain[index + 1] ?? known;
    if (above.fingerprint256 !== one.fingerprint256 && !(above.ca && one.checkIssued(above) && one.verify(above.publicKey))) {
      throw new Error("a certificate that the next did not sign");
    }
    if (Date.now() < Date.parse(one.validFrom) || Date.now() > Date.parse(one.validTo)) throw new Error("not valid now");
  }
  if (chain[0].ca) throw new Error("an authority signs no credentials");
  return chain[0].publicKey.export({ format: "jwk" });
}

export async function answer(commands) {
  const request = JSON.parse(readFileSync(0, "utf-8"));
  let told;
  try {
    told = await commands[request.command](request);
  } catch (error) {
    told = { refused: `${error.name}: ${error.message}`, error: error.response?.credentialErrorResponseResult?.data ?? error.errorResponse };
  }
  process.stdout.write(JSON.stringify(told));
}
