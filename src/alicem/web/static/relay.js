/**
 * Carry batches of commands from the server to the chip (enrolment.md, step 4). The server is the chip's terminal: this page
 * understands nothing of what passes, it only stops where the server said to stop.
 */

import { b64, concat, hex, unb64, unhex } from "./encoding.js";

const MOST_COMMANDS = 512;
const MOST_PARTS = 260; // a chip that promises more for ever must not hold the page
const MORE_DATA = 0x61;

const REFUSED = ["6A82", "6A86", "6A87", "6A81", "6A80", "6A88", "6982", "6985", "6986", "6900", "6999", "6D00", "6E00", "6F00", "6700", "6400", "6300"];
const GO_ON = ["9000", "6282", "6B00", "6C08", "6A82", "6A86", "6A87", "6A81", "6A80", "6A88", "6982", "6985", "6986", "6900", "6999", "6D00", "6E00", "6F00", "6700", "6400", "6300"];

/** The first contact of enrolment.md, step 4: EF.CardAccess, or else the challenge of a chip that has none. */
const FIRST_CONTACT = [
  { apdu: unhex("00A4000C023F00"), allowed: GO_ON },
  { apdu: unhex("00A4020C000002011C"), allowed: GO_ON },
  { apdu: unhex("00A4020C02011C"), allowed: GO_ON },
  { apdu: unhex("00B0000070"), allowed: GO_ON },
  { apdu: unhex("00B0007070"), allowed: REFUSED },
  { apdu: unhex("00A4040C07A0000002471001"), allowed: GO_ON },
  { apdu: unhex("00A4020C02011C"), allowed: GO_ON },
  { apdu: unhex("00B0000070"), allowed: REFUSED },
  { apdu: unhex("00840000000008"), allowed: GO_ON },
  { apdu: unhex("0084000008"), allowed: ["9000"] },
];

/**
 * Run commands in order; stop after the first answer whose status word is not allowed.
 * @param {import("./chip.js").Chip} chip
 * @param {{apdu: Uint8Array, allowed: string[]}[]} commands
 * @param {(done: number, of: number) => void} [progress]
 * @param {string[]} [answers] Filled as they come, so that a lost chip leaves what it answered.
 * @returns {Promise<string[]>} The answers, status word included, in base64url.
 */
export async function run(chip, commands, progress = () => {}, answers = []) {
  for (const [at, { apdu, allowed }] of commands.entries()) {
    const answer = await whole(chip, apdu);
    answers.push(b64(answer));
    progress(at + 1, commands.length);
    if (!allowed.includes(hex(answer.subarray(-2)))) break;
  }
  return answers;
}

/** One command and its whole answer: 61xx says that xx more bytes wait (ISO/IEC 7816-4 §5.3.4). */
async function whole(chip, apdu) {
  let answer = await chip.transmit(apdu);
  const parts = [];
  while (answer.at(-2) === MORE_DATA && parts.length < MOST_PARTS) {
    parts.push(answer.subarray(0, -2));
    answer = await chip.transmit(Uint8Array.of(apdu[0] & 0x03, 0xc0, 0, 0, answer.at(-1)));
  }
  return concat(...parts, answer);
}

/** @param {import("./chip.js").Chip} chip @returns {Promise<string[]>} What `chip_found` carries. */
export const firstContact = (chip) => run(chip, FIRST_CONTACT);

/** @param {any} message A `chip_batch`. @returns {{apdu: Uint8Array, allowed: string[]}[]} Throws on anything else. */
export function batchOf(message) {
  const commands = message.commands;
  if (!Array.isArray(commands) || commands.length < 1 || commands.length > MOST_COMMANDS) throw new Error("not a batch");
  return commands.map(({ apdu, allowed }) => ({ apdu: unb64(apdu), allowed: allowed.map((word) => word.toUpperCase()) }));
}
