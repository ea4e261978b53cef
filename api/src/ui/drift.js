// The drift report, live. Everything that comes from the server is put into the page as text and as nothing else.
"use strict";

const TOKEN = "skep-token";
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 30000;
// Three of the server's signs of life, which come every 15 s.
const SILENCE = 45000;
// The server ends streams now and then. One that lived as long as this may be followed by another at once, and nobody need know.
const LIVED = 10000;
// The past grows without end; what is older than these is read with the command.
const PAST_MAX = 500;
// No event of the server comes near this.
const EVENT_MAX = 4 * 1024 * 1024;

const at = (id) => document.getElementById(id);
const state = { drift: new Map(), open: true, org: "", text: "", cards: new Map(), stop: null, asOf: null };

// ---- Time ----

const clock = (date) => date.toLocaleTimeString("en-GB");
const moment = (text) => new Date(text).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });

function span(millis) {
  const seconds = Math.max(0, Math.floor(millis / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

function exact(millis) {
  return millis < 1000 ? `${millis} ms` : millis < 120000 ? `${(Math.floor(millis / 100) / 10).toFixed(1)} s` : span(millis);
}

// ---- Making elements ----

function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

function chip(text, tone) {
  const element = make("span", "chip", text);
  element.dataset.tone = tone;
  return element;
}

// ---- One difference ----

const RESPONSES = {
  "correct": ["being corrected", "warn"],
  "report": ["reported", "calm"],
  "ignore": ["ignored", "plain"],
  "paused": ["paused", "calm"],
  "give-up": ["gave up", "bad"],
};
const CLASSES = { "modified": "modified", "rolled-back": "rolled back", "missing": "missing", "replaced": "replaced", "foreign": "foreign", "orphan": "orphan" };
const NOTICED = { "event": "noticed by an event", "change": "noticed while converging", "resync": "noticed by the regular look" };

const isOpen = (drift) => drift.outcome === undefined;
const orgOf = (drift) => drift.resource.org ?? (drift.resource.kind === "Organization" ? drift.resource.name : "");
const tone = (drift) => isOpen(drift) ? (RESPONSES[drift.response] ?? ["", "plain"])[1] : drift.outcome === "corrected" ? "good" : "plain";

function shown(value) {
  return typeof value === "string" ? JSON.stringify(value) : JSON.stringify(value, null, 2);
}

/** The value, with what differs from the other one marked. */
function side(name, value, other) {
  const cell = make("dd", name);
  if (value === undefined) {
    cell.append(make("span", "nothing", "nothing"));
    return cell;
  }
  const text = shown(value);
  if (text.length > 400) {
    cell.tabIndex = 0;
  }
  if (other === undefined) {
    cell.textContent = text;
    return cell;
  }
  const against = shown(other);
  const least = Math.min(text.length, against.length);
  let head = 0;
  while (head < least && text[head] === against[head]) head += 1;
  let tail = 0;
  while (tail < least - head && text[text.length - 1 - tail] === against[against.length - 1 - tail]) tail += 1;
  const end = text.length - tail;
  // When nearly nothing is the same, marking everything says nothing.
  if (head + tail < 3 || end <= head) {
    cell.textContent = text;
    return cell;
  }
  cell.append(text.slice(0, head), make("mark", "", text.slice(head, end)), text.slice(end));
  return cell;
}

function diff(drift) {
  const list = make("dl", "diff");
  list.append(
    make("dt", "live", "live"), side("live", drift.live, drift.desired),
    make("dt", "wanted", "wanted"), side("wanted", drift.desired, drift.live),
  );
  return list;
}

function card(drift) {
  const item = make("li", "card");
  item.dataset.id = String(drift.id);
  item.dataset.tone = tone(drift);
  const top = make("div", "top");
  const resource = make("h3", "resource");
  const place = drift.resource.org ? `${drift.resource.org} / ${drift.resource.kind} / ` : `${drift.resource.kind} / `;
  resource.append(make("span", "path", place), drift.resource.name);
  const since = make("time", "since");
  if (isOpen(drift)) {
    since.dataset.since = drift.firstSeen;
    since.dateTime = drift.firstSeen;
    since.textContent = `for ${span(Date.now() - Date.parse(drift.firstSeen))}`;
  } else {
    since.dataset.ended = drift.endedAt;
    since.dateTime = drift.endedAt;
    since.textContent = `${span(Date.now() - Date.parse(drift.endedAt))} ago`;
  }
  top.append(resource, chip(drift.ending, tone(drift)), chip(CLASSES[drift.class] ?? drift.class, "plain"), since);
  const where = make("p", "where");
  where.append(make("code", "", drift.pointer === "" ? "the whole object" : drift.pointer), ` of ${drift.object.kind} ${drift.object.name}`);
  const meta = make("p", "meta");
  meta.append(make("span", "", NOTICED[drift.noticed] ?? drift.noticed), make("span", "", `first seen ${moment(drift.firstSeen)}`));
  if (isOpen(drift)) {
    meta.append(make("span", "", `last seen ${moment(drift.lastSeen)}`));
  } else {
    // How long a corrected one stood its ending says already.
    if (drift.outcome !== "corrected") meta.append(make("span", "", `stood ${exact(drift.millis ?? 0)}`));
    meta.append(make("span", "", `ended ${moment(drift.endedAt)}`));
  }
  item.append(top, where, diff(drift), meta);
  return item;
}

// ---- The report ----

function wanted(drift) {
  if (isOpen(drift) !== state.open) return false;
  if (state.org !== "" && orgOf(drift) !== state.org) return false;
  if (state.text === "") return true;
  const all = [orgOf(drift), drift.resource.kind, drift.resource.name, drift.object.kind, drift.object.name, drift.pointer, drift.class,
    drift.ending, shown(drift.live) ?? "", shown(drift.desired) ?? ""];
  return all.join("\n").toLowerCase().includes(state.text);
}

/** Current: what needs a person first, then the newest. Past: the newest end first. */
function order(a, b) {
  if (!state.open) return Date.parse(b.endedAt) - Date.parse(a.endedAt) || b.id - a.id;
  const rank = (drift) => ["give-up", "correct", "report", "paused", "ignore"].indexOf(drift.response);
  return rank(a) - rank(b) || Date.parse(b.firstSeen) - Date.parse(a.firstSeen) || b.id - a.id;
}

function number(id, value, mood) {
  at(id).textContent = value;
  at(id).parentElement.className = mood ? `tile ${mood}` : "tile";
}

function median(sorted) {
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : Math.round((sorted[middle - 1] + sorted[middle]) / 2);
}

function summary(all) {
  const standing = all.filter(isOpen);
  const contested = standing.filter((drift) => drift.response === "give-up").length;
  const corrected = all.filter((drift) => drift.outcome === "corrected").map((drift) => drift.millis ?? 0).sort((a, b) => a - b);
  number("n-standing", standing.length, standing.length === 0 ? "fine" : "attention");
  number("n-contested", contested, contested === 0 ? "" : "alarm");
  number("n-corrected", corrected.length, "");
  number("n-median", corrected.length === 0 ? "–" : exact(median(corrected)), "");
  at("count-current").textContent = standing.length;
  at("count-past").textContent = all.length - standing.length;
}

function organisations(all) {
  const names = [...new Set(all.map(orgOf).filter((name) => name !== ""))].sort();
  const select = at("org");
  const known = [...select.options].slice(1).map((option) => option.value);
  // The chosen one stays, also when nothing of it is left.
  if (state.org !== "" && !names.includes(state.org)) names.push(state.org);
  if (known.join("\n") === names.join("\n")) return;
  select.replaceChildren(select.options[0], ...names.map((name) => {
    const option = make("option", "", name);
    option.value = name;
    return option;
  }));
  select.value = state.org;
}

function paint() {
  const all = [...state.drift.values()];
  summary(all);
  organisations(all);
  const visible = all.filter(wanted).sort(order);
  const list = at("cards");
  const kept = new Map();
  for (const drift of visible) {
    const old = state.cards.get(drift.id);
    const element = old && old.serial === drift.serial ? old.element : card(drift);
    if (!old && state.known) element.classList.add("fresh");
    kept.set(drift.id, { serial: drift.serial, element });
  }
  state.cards = kept;
  state.known = true;
  let place = list.firstChild;
  for (const { element } of kept.values()) {
    if (place === element) place = place.nextSibling;
    else list.insertBefore(element, place);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
  at("none").hidden = visible.length > 0;
  const filtered = state.org !== "" || state.text !== "";
  at("none-title").textContent = filtered ? "Nothing matches." : state.open ? "No drift." : "No past drift.";
  at("none-text").textContent = filtered ? "Choose another organisation, or other words."
    : state.open ? "Everything in the Swarm is as it was last converged." : "Nobody has changed anything that was noted.";
}

let due = false;
function repaint() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => { due = false; paint(); });
}

function trim(drift) {
  const past = [...drift.values()].filter((one) => !isOpen(one));
  past.sort((a, b) => b.serial - a.serial);
  for (const one of past.slice(PAST_MAX)) drift.delete(one.id);
}

function choose(open) {
  state.open = open;
  state.known = false;
  for (const [id, chosen] of [["tab-current", open], ["tab-past", !open]]) {
    at(id).setAttribute("aria-selected", String(chosen));
    at(id).tabIndex = chosen ? 0 : -1;
  }
  at("list").setAttribute("aria-labelledby", open ? "tab-current" : "tab-past");
  paint();
}

// ---- The connection ----

function tell(name, text) {
  at("state").dataset.state = name;
  if (at("state-text").textContent !== text) at("state-text").textContent = text;
  at("report").dataset.stale = String(name === "lost");
}

class Refused extends Error {}

/** Gives each event of a stream to `take`. Ends with the stream; fails when it breaks or falls silent. */
async function events(response, controller, take) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let timer = 0;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => controller.abort(), SILENCE);
  };
  try {
    for (;;) {
      alive();
      const { done, value } = await reader.read();
      if (done) return;
      rest += value;
      if (rest.length > EVENT_MAX) throw new Error("an event is too large");
      const blocks = rest.split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = { name: "", data: [] };
        for (const line of block.split("\n")) {
          if (line.startsWith("event:")) event.name = line.slice(6).trim();
          if (line.startsWith("data:")) event.data.push(line.slice(5).trimStart());
        }
        if (event.name !== "") take(event.name, JSON.parse(event.data.join("\n")));
      }
      state.asOf = new Date();
    }
  } finally {
    clearTimeout(timer);
  }
}

/** One connection: a snapshot, which takes the place of what was known in one step, and then changes. */
async function connect(token, controller) {
  const response = await fetch("/v1/drift?watch=true", {
    headers: { authorization: `Bearer ${token}`, accept: "text/event-stream" },
    signal: controller.signal, cache: "no-store", credentials: "omit", redirect: "error",
  });
  if (response.status === 401 || response.status === 403) {
    throw new Refused(response.status === 401 ? "The server does not accept this token, or the session has ended." : "This token may not read resources.");
  }
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  let snapshot = new Map();
  await events(response, controller, (name, data) => {
    if (name === "problem") throw new Error(data.detail ?? "the stream ended");
    if (name === "drift") {
      const target = snapshot ?? state.drift;
      target.set(data.drift.id, data.drift);
      if (!snapshot) {
        trim(state.drift);
        repaint();
      }
    }
    if (name === "bookmark") {
      state.drift = snapshot;
      snapshot = null;
      state.pause = FIRST_PAUSE;
      state.asOf = new Date();
      tell("live", "Live");
      enterReport();
      paint();
    }
  });
}

const wait = (millis, signal) => new Promise((done) => {
  const timer = setTimeout(done, millis);
  signal.addEventListener("abort", () => { clearTimeout(timer); done(); });
});

async function follow(token) {
  const stop = new AbortController();
  state.stop = stop;
  state.pause = FIRST_PAUSE;
  tell("opening", "Connecting…");
  while (!stop.signal.aborted) {
    const controller = new AbortController();
    const end = () => controller.abort();
    const begun = Date.now();
    let ended = false;
    stop.signal.addEventListener("abort", end);
    try {
      await connect(token, controller);
      ended = Date.now() - begun > LIVED;
    } catch (error) {
      if (stop.signal.aborted) return;
      if (error instanceof Refused) return leave(error.message);
    } finally {
      stop.signal.removeEventListener("abort", end);
      controller.abort();
    }
    if (stop.signal.aborted) return;
    if (ended) continue;
    tell("lost", state.asOf ? `Connection lost, as of ${clock(state.asOf)}` : "No connection, trying again");
    // Spread, so that not everybody comes back at the same moment.
    await wait(state.pause * (0.75 + Math.random() / 2), stop.signal);
    state.pause = Math.min(state.pause * 2, LONGEST_PAUSE);
  }
}

// ---- Coming and going ----

function enterReport() {
  at("enter").hidden = true;
  at("report").hidden = false;
  at("leave").hidden = false;
}

/** A session was made for this tab alone, so it ends with it; a token that was typed in is somebody's. */
function endSession() {
  const token = sessionStorage.getItem(TOKEN);
  sessionStorage.removeItem(TOKEN);
  if (!token?.startsWith("skeps_")) return;
  const request = { method: "DELETE", headers: { authorization: `Bearer ${token}` }, keepalive: true, credentials: "omit" };
  // It ends by itself if this does not arrive.
  fetch("/v1/session", request).catch(() => {});
}

function leave(why) {
  state.stop?.abort();
  endSession();
  state.drift = new Map();
  state.cards = new Map();
  state.asOf = null;
  at("cards").replaceChildren();
  at("report").hidden = true;
  at("leave").hidden = true;
  at("enter").hidden = false;
  at("refusal").hidden = !why;
  at("refusal").textContent = why ?? "";
  at("token").value = "";
  tell("idle", "Signed out");
  at("token").focus();
}

at("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = at("token").value.trim();
  // What a header cannot carry is no token; the browser would only say that the request failed.
  if (!/^[\x21-\x7e]+$/.test(token)) return leave("This is not a token.");
  sessionStorage.setItem(TOKEN, token);
  at("token").value = "";
  at("refusal").hidden = true;
  state.stop?.abort();
  follow(token);
});
at("leave").addEventListener("click", () => leave());
at("org").addEventListener("change", (event) => { state.org = event.target.value; state.known = false; paint(); });
at("text").addEventListener("input", (event) => { state.text = event.target.value.trim().toLowerCase(); state.known = false; paint(); });
at("tab-current").addEventListener("click", () => choose(true));
at("tab-past").addEventListener("click", () => choose(false));
document.querySelector(".tabs").addEventListener("keydown", (event) => {
  if (!["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) return;
  event.preventDefault();
  choose(event.key === "Home" || (event.key !== "End" && !state.open));
  at(state.open ? "tab-current" : "tab-past").focus();
});
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? "");
  if (event.key === "/" && !typing && !at("report").hidden) {
    event.preventDefault();
    at("text").focus();
  }
});
setInterval(() => {
  for (const element of document.querySelectorAll("[data-since]")) {
    element.textContent = `for ${span(Date.now() - Date.parse(element.dataset.since))}`;
  }
  for (const element of document.querySelectorAll("[data-ended]")) {
    element.textContent = `${span(Date.now() - Date.parse(element.dataset.ended))} ago`;
  }
}, 1000);

const kept = sessionStorage.getItem(TOKEN);
if (kept) follow(kept);
else at("token").focus();
