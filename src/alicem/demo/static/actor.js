// The actor in the browser: a specimen person drawn on a canvas, whose stream stands in for the camera.
// It plays the sprites of `alicem.demo.actor.manifest` and does what the page announces, as a person who reads
// the screen would:  document.dispatchEvent(new CustomEvent("alicem:action", {detail: {action: "smile"}})).
// Stopping the stream's track stops the drawing.

const FRAMES_A_SECOND = 25;
const LIGHT_AFTER = 120; // milliseconds: to the face, and back to the camera
const LIGHT_SHARE = 0.04; // of the light that the screen gives, the room the rest
const SPANS = [1700, 2300, 1300, 900]; // milliseconds: no two movements of the head keep the same pace

export async function createActor({ spritesUrl, persona = null, fetchJson = null }) {
  const sheet = await (fetchJson ?? loadJson)(spritesUrl, persona);
  const pictures = await decodeAll(sheet.sprites);
  const canvas = Object.assign(document.createElement("canvas"), { width: sheet.width, height: sheet.height });
  const draw = painter(canvas, pictures, grain(sheet.width, sheet.height));
  const play = script(sheet.scripts);

  const onAction = (event) => play.tell(event.detail?.action ?? "none", performance.now());
  document.addEventListener("alicem:action", onAction);
  const onLight = (event) => setTimeout(() => draw.light(event.detail.colour), LIGHT_AFTER);
  document.addEventListener("alicem:light", onLight);

  draw({ name: "neutral", share: 0 }, performance.now());
  const stream = canvas.captureStream(FRAMES_A_SECOND);
  const [track] = stream.getVideoTracks();
  const timer = setInterval(() => {
    if (track.readyState === "ended") {
      clearInterval(timer);
      document.removeEventListener("alicem:action", onAction);
      document.removeEventListener("alicem:light", onLight);
      return;
    }
    const now = performance.now();
    draw(play.at(now), now);
  }, 1000 / FRAMES_A_SECOND);
  return stream;
}

async function loadJson(url, persona) {
  const address = new URL(url, document.baseURI);
  if (persona !== null) address.searchParams.set("persona", persona);
  const response = await fetch(address);
  if (!response.ok) throw new Error(`actor: ${address.pathname} answered ${response.status}`);
  return response.json();
}

async function decodeAll(sprites) {
  const decoded = {};
  for (const [name, urls] of Object.entries(sprites)) {
    decoded[name] = await Promise.all(urls.map(decode));
  }
  return decoded;
}

async function decode(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

// What is played at a moment: { name, share } with share 0 at rest … 1 at the end of the movement.
function script(scripts) {
  let shown = "none"; // on the page now
  let told = "none"; // last asked, and played from `since` on
  let since = 0;
  let blink = performance.now() + pause();

  function tell(action, now) {
    if (action === shown) return;
    shown = action;
    if (!(action in scripts)) return; // what is under way is finished, as people do
    told = action;
    since = now + Math.random() * 150;
  }

  function ended(now) {
    return told === "none" || now - since > scripts[told].at(-1)[0];
  }

  function at(now) {
    if (!ended(now)) {
      const share = shareAt(scripts[told], now - since);
      if (share > 0) return { name: told, share };
    }
    if (now > blink + 160) blink = now + pause();
    return now >= blink ? { name: "blink", share: 1 } : { name: "neutral", share: 0 };
  }

  return { tell, at };
}

function pause() {
  return 2500 + Math.random() * 3000;
}

function shareAt(steps, after) {
  let [start, low] = [0, 0];
  for (const [end, high] of steps) {
    if (after >= start && after < end) return low + ((high - low) * (after - start)) / (end - start);
    [start, low] = [end, high];
  }
  return 0;
}

// A head that sways a little, a light that breathes, a sensor that is not perfect.
function painter(canvas, pictures, noise) {
  const context = canvas.getContext("2d", { alpha: false });
  const { width, height } = canvas;
  const phases = SPANS.map(() => Math.random() * 2 * Math.PI);
  let light = "#ffffff";
  const draw = ({ name, share }, now) => {
    const sheet = name === "neutral" ? pictures.neutral : [...pictures.neutral, ...pictures[name]];
    const picture = sheet[Math.round(share * (sheet.length - 1))];
    const [a, b, c, d] = SPANS.map((span, index) => Math.sin(now / span + phases[index]));
    const zoom = 1.02 + 0.012 * b;
    context.save();
    context.fillStyle = "#bebebe";
    context.fillRect(0, 0, width, height);
    context.translate(width / 2 + 3 * c, height * 0.9 + 1.5 * d);
    context.rotate((0.7 * a * Math.PI) / 180);
    context.scale(zoom, zoom);
    context.drawImage(picture, -width / 2, -height * 0.9, width, height);
    context.restore();
    context.fillStyle = b > 0 ? `rgba(255,255,255,${0.012 * b})` : `rgba(0,0,0,${-0.012 * b})`;
    context.fillRect(0, 0, width, height);
    context.globalCompositeOperation = "multiply";
    context.fillStyle = light;
    context.fillRect(0, 0, width, height);
    context.globalCompositeOperation = "source-over";
    context.drawImage(noise, -Math.floor(Math.random() * 64), -Math.floor(Math.random() * 64));
  };
  draw.light = (colour) => (light = ofScreen(colour));
  return draw;
}

// What is left of the light of a face when the screen shows a colour.
function ofScreen(colour) {
  if (!/^#[0-9a-f]{6}$/.test(colour)) return "#ffffff";
  const parts = [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16));
  return `rgb(${parts.map((value) => 255 - LIGHT_SHARE * (255 - value)).join(", ")})`;
}

// One sheet of grain, drawn at another place for each frame.
function grain(width, height) {
  const sheet = Object.assign(document.createElement("canvas"), { width: width + 64, height: height + 64 });
  const context = sheet.getContext("2d");
  const pixels = context.createImageData(sheet.width, sheet.height);
  for (let index = 0; index < pixels.data.length; index += 4) {
    const value = Math.random() < 0.5 ? 0 : 255;
    pixels.data.fill(value, index, index + 3);
    pixels.data[index + 3] = Math.random() * 10;
  }
  context.putImageData(pixels, 0, 0);
  return sheet;
}
