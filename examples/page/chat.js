/** The page of the chat: rooms over one connection, by `ts-ms/hub-client` as the server hands it out. */
import { connectHub } from "/page/hub-client.js";

const rpc = (name) => `chat.v1.ChatService/${name}`;
const nameOfRoom = /^[\w-]{1,40}$/;
/** The most lines of a room that are shown. */
const maxLines = 500;
/** How long a person is shown as writing who has said so once, in milliseconds. */
const typingMs = 5_000;
/** Code of errors that pass: it is tried again. */
const unavailable = 14;

const at = (id) => document.getElementById(id);
const cutConnections = watchConnections();
const hub = connectHub(location.origin, {
  client: "chat page",
  backoff: { initialMs: 4_000, maxMs: 30_000 }, // Slow enough to be seen.
});

/** Rooms by their names. */
const rooms = new Map();
/** Lines that the server has not confirmed yet, in their order. */
const unsent = [];
/** Ids of the lines of this page. */
const sent = new Set();
/** The room on the page. */
let shown;
let name = localStorage.getItem("chat name") ?? madeUpName();
let isSending = false;
/** Who writes in the room on the page. */
let typing;
/** When the room was told that this page writes; 0 for not at all. */
let toldMs = 0;

/** A room that is watched, with its lines. */
class Room {
  unread = 0;
  people = new Map();
  /** Who writes, and until when. */
  writers = new Map();
  state = { kind: "connecting" };
  list = element("ol", "");
  lines = new Map();
  #watching;
  #lostMs;

  constructor(room) {
    this.name = room;
    this.log = element("div", "log", this.list);
    this.log.setAttribute("role", "log");
    this.log.setAttribute("aria-label", `Lines of ${room}`);
    this.log.tabIndex = 0;
    this.log.hidden = true;
    at("logs").append(this.log);
    this.link = element("a", "", element("span", "name", room));
    this.link.href = `#${room}`;
    this.badge = element("span", "unread");
    this.link.append(this.badge);
    const item = element("li", "", this.link);
    at("rooms").append(item);
    this.watch();
  }

  /** Watches the room under the present name, from where it has been watched. */
  watch() {
    const after = this.#watching?.position;
    this.#watching?.close();
    const request = { room: this.name, user: name };
    this.#watching = hub.subscribe(rpc("WatchRoom"), request, {
      ...(after !== undefined && { after }),
      message: (event) => this.#take(event),
      reset: ({ missed }) => this.#missed(missed),
      state: (state) => this.#changed(state),
    });
  }

  #take({ line, presence, reset }) {
    if (line) this.add(line);
    if (presence) this.#met(presence);
    if (reset) this.#missed(Number(reset.missed));
  }

  /** A line of the server, or one of this page that is still on its way. */
  add({ id, user, text, saidAt }, isOnItsWay = false) {
    const known = this.lines.get(id);
    if (known?.classList.contains("waiting")) known.remove(); // Its place is that which the server gives it.
    else if (known !== undefined) return;
    const isMine = sent.has(id);
    const item = element("li", isMine ? "line mine" : "line");
    item.dataset.id = id;
    item.dataset.user = user;
    if (isOnItsWay) item.classList.add("waiting");
    const said = saidAt === undefined ? new Date() : new Date(saidAt);
    const time = element("time", "", clock(said, false));
    time.dateTime = said.toISOString();
    const by = element("p", "by", element("span", "who", user));
    by.append(time);
    item.append(avatar(user), by, element("p", "text", text));
    this.lines.set(id, item);
    this.#append(item);
    this.writers.delete(user);
    if (!isMine && (this !== shown || document.hidden)) this.unread++;
    showUnread();
    showTyping();
  }

  note(text) {
    this.#append(element("li", "note", text));
  }

  /** Shows the last line, as when it was seen before. */
  toEnd() {
    this.log.scrollTop = this.log.scrollHeight;
  }

  /** Adds it at the end, before lines on their way. */
  #append(item) {
    const { log } = this;
    const list = this.list;
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    const isWaiting = item.classList.contains("waiting");
    list.insertBefore(item, isWaiting ? null : list.querySelector(".waiting"));
    group(item);
    if (item.nextElementSibling !== null) group(item.nextElementSibling);
    while (list.children.length > maxLines) {
      this.lines.delete(list.firstElementChild.dataset.id);
      list.firstElementChild.remove();
    }
    if (isAtEnd) this.toEnd();
  }

  /** Lines were lost: the last ones of the room come anew, and those that are known are known. */
  #missed(count) {
    this.note(count > 0 ? `${count} lines were missed here.` : "Lines may have been missed here.");
  }

  #met({ kind = "", members = [], more, users }) {
    const what = kind.replace("PRESENCE_KIND_", "");
    if (what === "SYNC" && !this.isSyncing) this.people.clear();
    this.isSyncing = what === "SYNC" && more === true;
    for (const { user, connection, info } of members) {
      const key = user || connection;
      if (what === "LEAVE") this.people.delete(key);
      else this.people.set(key, info?.value || user || "guest");
    }
    this.users = users;
    showPeople();
  }

  #changed(state) {
    this.state = state;
    if (state.kind === "waiting" && this.#lostMs === undefined) {
      this.#lostMs = Date.now();
      this.note(`The connection was lost at ${clock(new Date())}.`);
    }
    if (state.kind === "open" && this.#lostMs !== undefined) {
      const seconds = Math.max(1, Math.round((Date.now() - this.#lostMs) / 1_000));
      this.#lostMs = undefined;
      this.note(`Back after ${seconds} s. What was said meanwhile follows.`);
    }
    showState();
    if (state.kind === "open") void sendAll();
  }
}

at("name").value = name;
at("cut").addEventListener("click", cutConnections);
at("say").addEventListener("submit", say);
at("text").addEventListener("input", () => showThatIWrite(at("text").value !== ""));
at("enter").addEventListener("submit", enter);
at("rename").addEventListener("submit", (event) => event.preventDefault());
at("name").addEventListener("change", rename);
addEventListener("hashchange", () => show(roomOfAddress()));
document.addEventListener("visibilitychange", () => show(shown));
if (matchMedia("(width < 46rem)").matches) at("here").open = false;
setInterval(tick, 250);
await begin();

async function begin() {
  show(roomOfAddress());
  const { rooms: known } = await hub.call(rpc("ListRooms"), {}).catch(() => ({ rooms: [] }));
  for (const { name: room } of known) roomOf(room);
  arrange();
}

function roomOf(room) {
  if (!rooms.has(room)) rooms.set(room, new Room(room));
  return rooms.get(room);
}

function roomOfAddress() {
  const room = decodeURIComponent(location.hash.slice(1));
  return roomOf(nameOfRoom.test(room) ? room : "lobby");
}

function enter(event) {
  event.preventDefault();
  location.hash = at("other").value;
  at("enter").reset();
}

/** Shows a room, whose lines are read now. */
function show(room) {
  if (room !== shown) {
    stopTyping();
    shown = room;
    for (const { log, link } of rooms.values()) {
      log.hidden = log !== room.log;
      if (link === room.link) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    at("room-title").textContent = room.name;
    room.link.scrollIntoView({ block: "nearest", inline: "nearest" });
    room.toEnd();
    watchTyping(room);
    showTyping();
    showPeople();
    showState();
  }
  if (!document.hidden) room.unread = 0;
  showUnread();
}

/** Puts the rooms in the order of their names, the lobby first. */
function arrange() {
  const order = [...rooms.values()].sort(({ name: a }, { name: b }) =>
    a === "lobby" ? -1 : b === "lobby" ? 1 : a.localeCompare(b),
  );
  at("rooms").append(...order.map(({ link }) => link.parentElement));
}

function say(event) {
  event.preventDefault();
  const text = at("text").value.trim();
  if (text === "") return;
  const line = { room: shown.name, user: name, text, id: randomId() };
  sent.add(line.id);
  unsent.push(line);
  shown.add(line, true);
  shown.toEnd();
  at("say").reset();
  stopTyping();
  void sendAll();
}

/** Sends what waits, one after the other. A line whose answer was lost is sent again: its id makes it one line. */
async function sendAll() {
  if (isSending) return;
  isSending = true;
  try {
    for (let line = unsent[0]; line !== undefined; line = unsent[0]) {
      await hub.call(rpc("Say"), line);
      unsent.shift();
      at("problem").textContent = "";
    }
  } catch (error) {
    if (error.code === unavailable) {
      // It goes on when the room is open again, or soon where it never was lost.
      setTimeout(() => void sendAll(), 1_000);
    } else {
      at("problem").textContent = error.message;
      unsent.shift();
    }
  } finally {
    isSending = false;
  }
}

/** Shows a line without its name, behind one of the same person. */
function group(item) {
  const before = item.previousElementSibling?.dataset.user;
  item.classList.toggle("more", before !== undefined && before === item.dataset.user);
}

function rename() {
  const wanted = at("name").value.trim();
  if (wanted === "") at("name").value = name;
  if (wanted === "" || wanted === name) return;
  name = wanted;
  localStorage.setItem("chat name", name);
  for (const room of rooms.values()) room.watch();
}

// Who is writing.

function watchTyping(room) {
  typing?.close();
  typing = hub.subscribe(
    rpc("WatchTyping"),
    { room: room.name, user: name },
    {
      message({ user, typing: isWriting }) {
        if (isWriting) room.writers.set(user, Date.now() + typingMs);
        else room.writers.delete(user);
        showTyping();
      },
    },
  );
}

function showThatIWrite(isWriting) {
  if (isWriting && Date.now() - toldMs < typingMs - 2_000) return;
  if (!isWriting && toldMs === 0) return;
  toldMs = isWriting ? Date.now() : 0;
  hub.call(rpc("ShowTyping"), { room: shown.name, user: name, typing: isWriting }).catch(() => {}); // It matters little.
}

function stopTyping() {
  if (shown !== undefined) showThatIWrite(false);
}

function showTyping() {
  const writers = [...(shown?.writers.keys() ?? [])].filter((user) => user !== name);
  const who = writers.length > 2 ? `${writers.length} people` : writers.join(" and ");
  const text = who === "" ? "" : `${who} ${writers.length === 1 ? "is" : "are"} writing`;
  if (at("typing").textContent !== text) at("typing").textContent = text;
}

// What is shown beside the lines.

function showUnread() {
  let all = 0;
  for (const { badge, unread } of rooms.values()) {
    all += unread;
    const text = unread === 0 ? "" : String(unread);
    if ((badge.firstChild?.textContent ?? "") === text) continue;
    badge.replaceChildren(...(unread === 0 ? [] : [text, element("span", "hidden", " unread")]));
  }
  document.title = `${all > 0 ? `(${all}) ` : ""}${shown?.name ?? ""} · Chat`;
}

function showPeople() {
  if (shown === undefined) return;
  const counts = new Map();
  for (const user of shown.people.values()) counts.set(user, (counts.get(user) ?? 0) + 1);
  const people = [...counts.keys()].sort((a, b) => a.localeCompare(b));
  const total = shown.users ?? people.length;
  at("here-title").textContent = total > 0 ? `${total} here` : "People";
  at("people").replaceChildren(
    ...people.map((user) => {
      const item = element("li", "", avatar(user));
      item.append(element("span", "who", user));
      if (user === name) item.append(element("span", "you", "you"));
      return item;
    }),
  );
}

function showState() {
  if (shown === undefined) return;
  const { state } = shown;
  const text = textOfState(state);
  if (at("state").textContent !== text) at("state").textContent = text;
  at("state").parentElement.className = `state ${state.kind}`;
  at("cut").disabled = state.kind !== "open";
  tick();
}

function textOfState({ kind, link, untilMs, error }) {
  if (kind === "open") {
    const ways = { websocket: "WebSocket", sse: "server-sent events", poll: "long polling" };
    return `Live by ${ways[link] ?? link}`;
  }
  if (kind === "waiting") return `Cut off, next attempt at ${clock(new Date(untilMs))}`;
  if (kind === "moving") return "Moving to another server";
  if (kind === "closed") return error === undefined ? "Closed" : `Closed: ${error.message}`;
  return "Connecting";
}

/** Shows what time changes. */
function tick() {
  const nowMs = Date.now();
  const { state } = shown;
  const seconds = state.kind === "waiting" ? Math.max(0, Math.ceil((state.untilMs - nowMs) / 1_000)) : 0;
  at("countdown").textContent = state.kind === "waiting" ? `in ${seconds} s` : "";
  for (const { writers } of rooms.values()) {
    for (const [user, untilMs] of writers) if (untilMs < nowMs) writers.delete(user);
  }
  showTyping();
}

// Parts.

/** Remembers the connections of the page. Returns what cuts them, as a bad network would. */
function watchConnections() {
  const open = new Set();
  const { WebSocket: Socket, fetch: request } = globalThis;
  globalThis.WebSocket = class extends Socket {
    constructor(...args) {
      super(...args);
      const cut = () => this.close();
      open.add(cut);
      this.addEventListener("close", () => open.delete(cut));
    }
  };
  globalThis.fetch = (resource, { signal, ...options } = {}) => {
    const own = new AbortController();
    const cut = () => own.abort(new TypeError("the connection was cut"));
    open.add(cut);
    return request(resource, {
      ...options,
      signal: signal ? AbortSignal.any([signal, own.signal]) : own.signal,
    });
  };
  return () => {
    for (const cut of open) cut();
    open.clear();
  };
}

/** A circle with the first letter of a name, in a colour of that name. */
function avatar(user) {
  let hash = 0;
  for (const letter of user) hash = (hash * 31 + letter.codePointAt(0)) % 360;
  const made = element("span", "avatar", [...user][0]?.toUpperCase() ?? "?");
  made.style.setProperty("--hue", hash);
  made.setAttribute("aria-hidden", "true");
  return made;
}

function clock(date, hasSeconds = true) {
  const second = hasSeconds ? { second: "2-digit" } : {};
  return date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", ...second });
}

/** As `crypto.randomUUID`, which pages of other machines do not have without TLS. */
function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

function madeUpName() {
  const of = (words) => words[Math.floor(Math.random() * words.length)];
  const first = of(["Quiet", "Brave", "Early", "Sunny", "Clever", "Gentle", "Curious", "Merry"]);
  return `${first} ${of(["Otter", "Heron", "Badger", "Lynx", "Wren", "Hare", "Finch", "Marten"])}`;
}

function element(name, className, content) {
  const made = document.createElement(name);
  made.className = className;
  if (content !== undefined) made.append(content);
  return made;
}
