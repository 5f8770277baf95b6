/**
 * Signing in, on the phone's side (approval.md, OpenID4VP 1.0): read a signed request, show it, approve it with number and code, or refuse.
 */

import { fromUtf8, jsonObject, now, unb64, utf8 } from "./encoding.js";
import { activateIfDue, instruct } from "./instruction.js";
import { check, encryptTo, unpack } from "./jose.js";
import { parse, present } from "./sdjwt.js";
import { load, openVault, saveVault, sealVault, vaultKey } from "./state.js";
import { checkChain } from "./x509.js";

const VCT = "urn:eudi:pid:fr:1";
/** Every claim this phone can show; a request that names another is refused. */
const KNOWN = [
  "family_name", "birth_family_name", "given_name", "birthdate", "sex", "nationalities", "birthplace_cog", "birthcountry_cog",
  "preferred_username", "email", "chip_key", "date_of_expiry",
];

/** The chip's key is compared with the chip and goes no further than the provider. @param {string} name Of a claim. */
export const goesFurther = (name) => name !== "chip_key";

/** Why the sign-in does not go on: a row of reasons.toml. */
export class SigninEnds extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/**
 * @typedef {{token: string, clientId: string, nonce: string, state: string, responseUri: string, expires: number, key: any,
 *   claims: string[][], transactionData: string[], asker: string, level: string, browser: string, region: string, chip: boolean}} Request
 */

/** @param {string} reference What the QR or link carries after `#`. @returns {Promise<string>} The request object. */
export async function fetchRequest(reference) {
  const response = await fetch(`/signin/request/${encodeURIComponent(reference)}`).catch(() => null);
  if (response === null || response.status >= 500) throw new SigninEnds("internal");
  if (!response.ok) throw new SigninEnds(response.status === 429 ? "rate_limited" : "signin_expired");
  return (await response.text()).trim();
}

/**
 * @param {string} token @param {{origin: string, anchor: string | null}} phone
 * @returns {Promise<Request>} Raises when anything about the request is not as it must be.
 */
export async function checkRequest(token, phone) {
  const unverified = unpack(token, "oauth-authz-req+jwt");
  const { key, leafHash } = await checkChain(unverified.header.x5c, phone.anchor);
  const asked = await check(unverified, key);
  const query = asked.dcql_query?.credentials?.[0];
  const encryption = asked.client_metadata?.jwks?.keys?.find((one) => one.use === "enc" && one.alg === "ECDH-ES");
  const said = asked.transaction_data?.map((one) => jsonObject(fromUtf8(unb64(one)))) ?? [];
  /** @type {[string, boolean][]} */
  const rules = [
    ["client_id", asked.client_id === `x509_hash:${leafHash}`],
    ["aud", asked.aud === "https://self-issued.me/v2"],
    ["exp", asked.exp > now()],
    ["response_type", asked.response_type === "vp_token" && asked.response_mode === "direct_post.jwt"],
    ["response_uri", new URL(asked.response_uri).origin === phone.origin],
    ["nonce", typeof asked.nonce === "string" && typeof asked.state === "string"],
    ["dcql_query", asked.dcql_query?.credentials?.length === 1 && query.id === "identity" && query.format === "dc+sd-jwt"],
    ["vct", query.meta?.vct_values?.length === 1 && query.meta.vct_values[0] === VCT],
    ["claims", (query.claims ?? []).every(({ path }) => path?.length === 1 && KNOWN.includes(path[0]))],
    ["jwks", encryption !== undefined],
    ["transaction_data", said.length === 1 && said[0].type === "alicem_signin"],
  ];
  const broken = rules.find(([, holds]) => !holds);
  if (broken) throw new Error(`the request's ${broken[0]} is not right`);
  const { asker, level, browser, region, chip } = said[0];
  return {
    token, clientId: asked.client_id, nonce: asked.nonce, state: asked.state, responseUri: asked.response_uri, expires: asked.exp,
    key: encryption, claims: wanted(query), transactionData: asked.transaction_data, asker, level, browser, region, chip: chip === true,
  };
}

/** The sets of claims that would do, the best first (OpenID4VP 1.0 §6.4.1). @returns {string[][]} */
function wanted({ claims = [], claim_sets: sets }) {
  const all = claims.map(({ path }) => path[0]);
  if (!sets) return [all];
  const byId = new Map(claims.map(({ id, path }) => [id, path[0]]));
  return sets.map((set) => set.map((id) => byId.get(id)));
}

/** @param {Request} request @param {string[]} held Names of claims the credential has. @returns {string[]} What will be shown. */
export function toShow(request, held) {
  const set = request.claims.find((names) => names.every((name) => held.includes(name)));
  if (!set) throw new SigninEnds("credential_claims");
  return set;
}

/**
 * @param {Request} request @param {string} number Two digits, typed. @param {string} code
 * @param {(about: {unlocked: import("./keys.js").Unlocked, phone: any, accessKey: any}) => Promise<void>} readDocument Has the document read
 *   again, where the request asks for it.
 * @returns {Promise<void>} Raises as `instruct` and `readDocument`, and `VaultLost`, `SigninEnds`.
 */
export async function approve(request, number, code, readDocument) {
  await activateIfDue(code);
  const { share, unlocked } = await instruct("approve", `${request.token}.${number}`, code);
  const key = await vaultKey(unlocked, share);
  const { phone, vault } = await load();
  const content = await openVault(key, vault);
  const held = parse(content.credential).disclosures.map(({ name }) => name);
  if (request.chip) {
    if (!content.access_key || !held.includes("chip_key")) return giveUp(request);
    await readDocument({ unlocked, phone, accessKey: content.access_key });
  }
  const names = toShow(request, held);
  const token = await present(content.credential, names, {
    nonce: request.nonce, audience: request.clientId, transactionData: request.transactionData, sign: unlocked.sign,
  });
  const plaintext = utf8(JSON.stringify({ vp_token: { identity: [token] }, state: request.state }));
  const response = await encryptTo(request.key, plaintext, { kid: request.key.kid });
  const outcome = await answer(request, { response });
  const sent = names.filter(goesFurther);
  const entry = { at: new Date().toISOString(), asker: request.asker, level: request.level, claims: sent, outcome };
  content.history.push(entry);
  await saveVault(await sealVault(key, content));
  if (outcome !== "done") throw new SigninEnds(outcome);
}

/** This phone cannot reach the level asked: its browser goes back, and the person reads why. @param {Request} request @returns {Promise<never>} */
export async function giveUp(request) {
  await refuse(request, "level_not_reachable");
  throw new SigninEnds("level_not_reachable");
}

/** @param {Request} request @param {string} [why] `not_mine`: the person did not ask for this. */
export async function refuse(request, why) {
  const members = { error: "access_denied", state: request.state, ...(why && { error_description: why }) };
  const outcome = await answer(request, members);
  if (outcome !== "done") throw new SigninEnds(outcome);
}

/** @returns {Promise<string>} `done` or a row of reasons.toml. */
async function answer(request, members) {
  const body = new URLSearchParams(members);
  const response = await fetch(request.responseUri, { method: "POST", body }).catch(() => null);
  if (response === null) throw new SigninEnds("internal");
  const said = await response.json().catch(() => ({}));
  return said.outcome ?? (response.ok ? "done" : "internal");
}
