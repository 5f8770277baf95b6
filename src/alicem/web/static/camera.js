/**
 * Pictures of the person in front of the screen: the camera, or in the demonstration an actor who does what the screen asks.
 */

import { fromBase64 } from "./encoding.js";

const WIDTH = 640;
const HEIGHT = 480;
const PERIOD_MS = 110; // about nine frames a second; the server takes fifteen
const EYES_PERIOD_MS = 40; // lids are faster than frames
const MOST_BYTES = 96_000;
const QUALITIES = [0.85, 0.7, 0.5, 0.3];

/** @typedef {{stream: MediaStream, stop: () => void}} Camera */

/** The browser has no camera, or the person said no. `denied` tells which. */
export class NoCamera extends Error {
  constructor(denied) {
    super(denied ? "the camera was refused" : "no camera");
    this.denied = denied;
  }
}

/** @returns {Promise<boolean>} Whether a camera can be asked for; asks nothing. */
export async function hasCamera() {
  const devices = await navigator.mediaDevices?.enumerateDevices?.().catch(() => []);
  return (devices ?? []).some((device) => device.kind === "videoinput");
}

/** @returns {Promise<Camera>} Raises `NoCamera`. */
export async function openCamera() {
  const wish = { width: { ideal: 1280 }, height: { ideal: 960 }, facingMode: "user", frameRate: { ideal: 30 } };
  try {
    return closable(await navigator.mediaDevices.getUserMedia({ video: wish, audio: false }));
  } catch (error) {
    throw new NoCamera(error.name === "NotAllowedError");
  }
}

/**
 * The actor, who hears `alicem:action` on the document.
 * @param {{origin: string, persona: string, wrong: string | null}} demo @returns {Promise<Camera>}
 */
export async function openActor({ origin, persona, wrong }) {
  const { createActor } = await import(`${origin}/static/actor.js`);
  const spritesUrl = new URL(`/personas/${encodeURIComponent(persona)}/sprites`, origin);
  if (wrong === "face") spritesUrl.searchParams.set("wrong", "face");
  return closable(await createActor({ spritesUrl: spritesUrl.href, persona }));
}

const closable = (stream) => ({ stream, stop: () => stream.getTracks().forEach((track) => track.stop()) });

/** What the browser says of the camera (enrolment.md, `camera`). @param {MediaStream} stream */
export async function describe(stream) {
  const [track] = stream.getVideoTracks();
  const { deviceId, width = 0, height = 0, frameRate = 0 } = track.getSettings();
  const devices = await navigator.mediaDevices?.enumerateDevices?.().catch(() => []);
  const device = (devices ?? []).some((one) => one.kind === "videoinput" && one.deviceId === deviceId && deviceId !== "");
  return { label: track.label.slice(0, 200), device, width, height, frame_rate: Math.min(1000, frameRate) };
}

/** Tell whoever watches (the actor) what the screen asks, or which colour it has. @param {"action" | "light"} kind */
export const announce = (kind, detail) => document.dispatchEvent(new CustomEvent(`alicem:${kind}`, { detail }));

/**
 * Take pictures of a playing video, about ten a second, one at a time.
 * @param {HTMLVideoElement} video
 * @param {(capturedAtMs: number, jpeg: Uint8Array) => Promise<void>} use A picture that is still being used delays the next.
 * @returns {() => void} Stops.
 */
export const takePictures = (video, use) => takeParts(video, [0, 0, WIDTH, HEIGHT], PERIOD_MS, use);

/** As `takePictures`, of the eyes alone and faster. @param {[number, number, number, number]} part Left, top, width, height within the picture. */
export const takeEyes = (video, part, use) => takeParts(video, part, EYES_PERIOD_MS, use);

function takeParts(video, [x, y, width, height], period, use) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const pen = canvas.getContext("2d", { alpha: false });
  pen.translate(-x, -y);
  let busy = false;
  const timer = setInterval(async () => {
    if (busy || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
    busy = true;
    try {
      const capturedAt = performance.now();
      drawCentred(pen, video);
      await use(capturedAt, jpegOf(canvas));
    } finally {
      busy = false;
    }
  }, period);
  return () => clearInterval(timer);
}

/** The middle of the picture at 4:3, whatever the camera's own shape. @param {CanvasRenderingContext2D} pen Of 640 × 480. @param {HTMLVideoElement} video */
export function drawCentred(pen, video) {
  const { videoWidth, videoHeight } = video;
  const width = Math.min(videoWidth, (videoHeight * WIDTH) / HEIGHT);
  const height = (width * HEIGHT) / WIDTH;
  pen.drawImage(video, (videoWidth - width) / 2, (videoHeight - height) / 2, width, height, 0, 0, WIDTH, HEIGHT);
}

/** @param {HTMLCanvasElement} canvas @returns {Uint8Array} */
export function jpegOf(canvas) {
  for (const quality of QUALITIES) {
    // `toBlob` waits until the page is idle, for a second where it never is: the picture would come too late.
    const jpeg = fromBase64(canvas.toDataURL("image/jpeg", quality).split(",")[1]);
    if (jpeg.length <= MOST_BYTES) return jpeg;
  }
  return new Uint8Array(); // never: noise at 640 × 480 and quality 0.3 stays under the limit
}
