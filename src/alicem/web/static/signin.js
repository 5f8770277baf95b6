// The waiting page of a sign-in: renews the QR code, counts the minutes, and goes on when the phone has answered.
// Without this module the page refreshes by itself (see signin.html).

const page = document.getElementById("sign-in");
const news = document.getElementById("news");
const left = document.getElementById("left");
const texts = document.getElementById("texts").dataset;

const SHOWN = 1200; // ms a person has to read why the page leaves
const started = performance.now();
const life = Number(page.dataset.secondsLeft);

// A reload must show this sign-in again, not begin another one.
if (location.pathname !== "/signin") history.replaceState(null, "", "/signin");

function say(text) {
  if (news.textContent !== text) news.textContent = text;
}

function countDown() {
  const seconds = life - (performance.now() - started) / 1000;
  const minutes = Math.ceil(seconds / 60);
  const text = minutes < 1 ? left.dataset.none : minutes === 1 ? texts.leftOne : texts.leftOther.replace("{}", String(minutes));
  if (left.textContent !== text) left.textContent = text;
}

function leave(source, text, url) {
  source.close();
  clearInterval(timer);
  say(text);
  setTimeout(() => location.replace(url), SHOWN);
}

function listen() {
  const source = new EventSource(page.dataset.events);
  source.addEventListener("open", () => say(texts.waiting));
  source.addEventListener("reference", (event) => {
    const { link, qr } = JSON.parse(event.data);
    page.dataset.link = link;
    document.getElementById("qr").src = qr;
    document.getElementById("same-device").href = link;
  });
  source.addEventListener("approved", (event) => leave(source, texts.approved, JSON.parse(event.data).url));
  source.addEventListener("refused", (event) => {
    const { url, reason } = JSON.parse(event.data);
    leave(source, reason === "signin_expired" ? texts.expired : texts.refused, url);
  });
  source.addEventListener("replaced", () => {
    source.close();
    clearInterval(timer);
    say(texts.replaced);
  });
  source.addEventListener("error", () => {
    // The browser comes back by itself after a stream's end; only a refusal by status closes for good.
    if (source.readyState !== EventSource.CLOSED) return;
    say(texts.lost);
    setTimeout(listen, 5000);
  });
}

const timer = setInterval(countDown, 1000);
listen();
