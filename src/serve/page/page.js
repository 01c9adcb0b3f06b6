// The page: listens to the state, draws it, plays, hints and turns knobs. All paths are relative to this file's own, so that
// it works below a token or another server's path, with a slash at the end of the page's or without.
import { drawMap, drawWaits, quantile } from "./map.js";

const HINT_PAUSE = 80; // milliseconds between hints
const SKIP = 10; // seconds that an arrow key skips

const address = (path) => new URL(`../${path}`, import.meta.url).href;
const byId = (id) => document.getElementById(id);
const cards = new Map();
const units = ["B", "KiB", "MiB", "GiB", "TiB"];

function bytes(count) {
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) [count, unit] = [count / 1024, unit + 1];
  return `${unit && count < 100 ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}

function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const part = (n) => String(n).padStart(2, "0");
  const minutes = `${part(Math.floor(whole / 60) % 60)}:${part(whole % 60)}`;
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${minutes}` : minutes;
}

const millis = (ms) => (ms === null ? "-" : ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`);

// One medium on the page.
class Card {
  constructor(medium) {
    this.root = byId("medium").content.firstElementChild.cloneNode(true);
    this.map = this.root.querySelector(".map");
    this.waits = this.root.querySelector(".waits");
    this.pointed = null;
    this.resting = null;
    this.hinting = null;
    this.history = [];
    this.element = null;
    this.path = address(encodeURIComponent(medium.name));
    const link = document.createElement("a");
    link.href = this.path;
    link.textContent = medium.name;
    this.root.querySelector("h2").append(link);
    this.root.querySelector(".url").textContent = medium.url;
    this.offer(medium);
    this.listen();
    byId("media").append(this.root);
  }

  // A button in place of a player that would fetch unasked.
  offer(medium) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Play";
    button.addEventListener("click", () => this.play(medium));
    this.root.querySelector(".player").replaceChildren(button);
  }

  play(medium) {
    const sound = /^audio\//.test(this.last?.open?.contentType ?? "") || /\.(mp3|flac|ogg|opus|m4a|wav)$/i.test(medium.name);
    const element = document.createElement(sound ? "audio" : "video");
    element.controls = true;
    element.preload = "metadata";
    element.src = this.path;
    element.addEventListener("error", () => this.trouble(`The browser cannot play this: ${element.error?.message || "unknown format"}`));
    for (const event of ["timeupdate", "seeking", "loadedmetadata"]) element.addEventListener(event, () => this.draw());
    this.element = element;
    this.root.querySelector(".player").replaceChildren(element);
    element.play().catch(() => {});
  }

  get duration() {
    const duration = this.element?.duration;
    return Number.isFinite(duration) ? duration : null;
  }

  listen() {
    const place = (event) => {
      const box = this.map.getBoundingClientRect();
      return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    };
    this.map.addEventListener("pointermove", (event) => {
      this.pointed = place(event);
      if (event.buttons & 1) this.seek(this.pointed);
      else this.hint(this.pointed);
      this.draw();
    });
    this.map.addEventListener("pointerdown", (event) => {
      this.map.setPointerCapture(event.pointerId);
      this.seek(place(event));
    });
    this.map.addEventListener("pointerleave", () => {
      this.pointed = null;
      this.resting = null;
      this.draw();
    });
    this.map.addEventListener("keydown", (event) => {
      const duration = this.duration;
      if (duration === null) return;
      const now = this.element.currentTime;
      const to = { ArrowLeft: now - SKIP, ArrowRight: now + SKIP, Home: 0, End: duration - SKIP }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      this.seek(Math.min(1, Math.max(0, to / duration)));
    });
  }

  seek(place) {
    if (this.duration !== null) this.element.currentTime = place * this.duration;
    this.draw();
  }

  // The first place is told at once, and after a pause the latest: so where the pointer comes to rest is told in any case.
  hint(place) {
    this.resting = place;
    if (this.hinting === null) this.tellHint();
  }

  tellHint() {
    const len = this.last?.open?.len;
    this.hinting = null;
    if (!len || this.resting === null) return;
    const at = Math.min(len - 1, Math.floor(this.resting * len));
    this.resting = null;
    this.hinting = setTimeout(() => this.tellHint(), HINT_PAUSE);
    send("_/hint", { id: this.last.id, at }).catch(() => {});
  }

  trouble(text) {
    const line = this.root.querySelector(".trouble");
    line.hidden = !text;
    line.textContent = text ?? "";
  }

  update(medium) {
    this.last = medium;
    if (medium.trouble) this.trouble(medium.trouble);
    if (medium.open) {
      this.history.push([Date.now(), medium.open.fetched]);
      while (this.history.length > 2 && this.history[0][0] < Date.now() - 1500) this.history.shift();
    }
    this.figures(medium.open);
    this.draw();
  }

  // Body bytes per second that came in the last second and a half.
  throughput() {
    const [first, last] = [this.history[0], this.history.at(-1)];
    const time = Math.max(Date.now() - (first?.[0] ?? 0), 500);
    return first ? ((last[1] - first[1]) / time) * 1000 : 0;
  }

  figures(open) {
    const list = this.root.querySelector("dl");
    if (!open) return list.replaceChildren();
    const trip = open.roundTrip === null ? null : open.roundTrip / 1000;
    const asked = open.hits + open.waits;
    const rows = [
      ["stored", open.len ? `${bytes(open.coveredBytes)} of ${bytes(open.len)}` : bytes(open.coveredBytes)],
      ["read ahead", bytes(open.window)],
      ["arriving", `${((this.throughput() * 8) / 1e6).toFixed(1)} Mbit/s`],
      ["round trip", millis(trip)],
      ["requests", open.hedges ? `${open.requests}, ${open.hedges} of them hedges` : open.requests],
      ["connections", open.connections],
      ["received", bytes(open.fetched)],
      ["wasted", bytes(open.wasted)],
      ["given to players", bytes(open.read)],
      ["reads without a wait", asked ? `${((open.hits / asked) * 100).toFixed(1)} %` : "-"],
    ];
    list.replaceChildren(...rows.map(([name, value]) => {
      const [row, term, text] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
      [term.textContent, text.textContent] = [name, value];
      row.append(term, text);
      return row;
    }));
    drawWaits(this.waits, open.seeks);
    const [median, slow] = [quantile(open.seeks, 0.5), quantile(open.seeks, 0.9)];
    const trips = (ms) => (trip && ms !== null ? ` (${(ms / trip).toFixed(2)}\u00a0R)` : "");
    this.root.querySelector("figcaption").textContent = open.seekCount
      ? `first byte, last ${open.seeks.length} requests: median ${millis(median)}${trips(median)}, nine of ten within ${millis(slow)}${trips(slow)}`
      : "first byte: no request yet";
  }

  draw() {
    const open = this.last?.open ?? null;
    const duration = this.duration;
    const played = duration === null ? null : this.element.currentTime / duration;
    drawMap(this.map, open, played, this.pointed);
    this.root.querySelector(".now").textContent = duration === null ? "" : `${clock(this.element.currentTime)} of ${clock(duration)}`;
    const under = this.pointed === null || !open?.len ? "" : duration === null ? bytes(this.pointed * open.len) : clock(this.pointed * duration);
    this.root.querySelector(".under").textContent = under;
    this.map.setAttribute("aria-valuemin", "0");
    this.map.setAttribute("aria-valuemax", String(Math.floor(duration ?? 0)));
    this.map.setAttribute("aria-valuenow", String(Math.floor(this.element?.currentTime ?? 0)));
    this.map.setAttribute("aria-valuetext", duration === null ? "not playing" : clock(this.element.currentTime));
  }
}

async function send(path, value) {
  const answer = await fetch(address(path), { method: "POST", body: JSON.stringify(value) });
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer;
}

function show(state) {
  const known = new Set(state.media.map((medium) => medium.id));
  for (const [id, card] of cards) {
    if (!known.has(id)) {
      card.root.remove();
      cards.delete(id);
    }
  }
  for (const medium of state.media) {
    if (!cards.has(medium.id)) cards.set(medium.id, new Card(medium));
    cards.get(medium.id).update(medium);
  }
  byId("nothing").hidden = state.media.length > 0;
}

function listen() {
  const link = byId("link");
  const tell = (text, broken) => {
    link.textContent = text;
    link.classList.toggle("broken", broken);
  };
  const events = new EventSource(address("_/state"));
  events.onopen = () => tell("live", false);
  events.onerror = () => tell("the server does not answer; trying again", true);
  events.onmessage = (event) => show(JSON.parse(event.data));
}

// Windows are shown by their powers of two.
const inputs = () => [...document.querySelectorAll("#knobs input")];
const valueOf = (input) =>
  input.type === "checkbox" ? input.checked : input.dataset.unit === "bytes" ? 2 ** Number(input.value) : Number(input.value);

function label(input) {
  const output = input.parentElement.querySelector("output");
  const value = valueOf(input);
  if (output) output.textContent = input.dataset.unit === "bytes" ? bytes(value) : `${value} ${input.dataset.unit}`.trim();
}

function showKnobs(knobs) {
  for (const input of inputs()) {
    const value = knobs[input.name];
    if (input.type === "checkbox") input.checked = value;
    else input.value = input.dataset.unit === "bytes" ? Math.round(Math.log2(Math.max(1, value))) : value;
    label(input);
  }
}

async function turn(input) {
  try {
    const answer = await send("_/knobs", { [input.name]: valueOf(input) });
    byId("refused").textContent = "";
    showKnobs(await answer.json());
  } catch (error) {
    byId("refused").textContent = error.message;
    fetch(address("_/knobs")).then((answer) => answer.json()).then(showKnobs).catch(() => {});
  }
}

// For the console, and for tests: what was told last of each medium, and so what its map was drawn from.
Object.defineProperty(window, "kithara", {
  value: Object.freeze({
    get media() {
      return structuredClone([...cards.values()].map((card) => card.last));
    },
  }),
});

for (const input of inputs()) {
  input.addEventListener("input", () => label(input));
  input.addEventListener("change", () => turn(input));
}
fetch(address("_/knobs")).then((answer) => answer.json()).then(showKnobs).catch(() => {});
window.addEventListener("resize", () => cards.forEach((card) => card.update(card.last)));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => cards.forEach((card) => card.update(card.last)));
listen();
