/** The page of the example: watches a shelf by EventSource, changes it by REST, and chats over WebSocket. */
const shelf = "/v1/shelves/1/books";
const maxEvents = 100;

const at = (id) => document.getElementById(id);
const books = new Map();

watch();
at("add").addEventListener("submit", (event) => void add(event));
at("books").addEventListener("click", (event) => void lendOrReturn(event));
at("ask").addEventListener("submit", ask);
let desk = openDesk();

/** Receives the current books, then every change; EventSource reconnects automatically when the connection is lost. */
function watch() {
  const source = new EventSource(`${shelf}:watch`);
  source.addEventListener("open", () => {
    books.clear();
    show("shelf-state", "connecting", false);
  });
  source.addEventListener("error", () => show("shelf-state", "reconnecting", false));
  source.addEventListener("message", ({ data }) => {
    const { type, book, revision } = JSON.parse(data);
    const kind = type.replace("CHANGE_TYPE_", "").toLowerCase();
    if (kind === "synced") show("shelf-state", "live", true);
    else if (kind === "deleted") books.delete(book.name);
    else books.set(book.name, book);
    showBooks();
    showEvent(kind, kind === "synced" ? "all that is there has been told" : describe(book), revision);
  });
}

function describe({ title, loan }) {
  return loan ? `${title}, lent to ${loan.borrower}` : title;
}

function showBooks() {
  const focused = document.activeElement?.dataset.name;
  at("books").replaceChildren(
    ...[...books.values()].map((book) => {
      const text = element("div", "", element("span", "title", book.title));
      text.append(element("span", "by", [...book.authors, ...(book.loan ? ["lent"] : [])].join(" · ")));
      const button = element("button", "", book.loan ? "Return" : "Lend");
      button.type = "button";
      button.dataset.name = book.name;
      button.setAttribute("aria-label", `${button.textContent} ${book.title}`);
      const item = element("li", "", text);
      item.append(button);
      return item;
    }),
  );
  if (focused)
    at("books")
      .querySelector(`[data-name="${CSS.escape(focused)}"]`)
      ?.focus();
}

function showEvent(kind, text, revision) {
  const item = element("li", "", element("span", "revision", revision));
  item.append(element("span", `kind ${kind}`, kind), element("span", "", text));
  at("changes").prepend(item);
  while (at("changes").children.length > maxEvents) at("changes").lastElementChild.remove();
}

async function add(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const { title, author } = Object.fromEntries(new FormData(form));
  if (await post(shelf, { title, authors: author === "" ? [] : [author] })) form.reset();
}

async function lendOrReturn({ target }) {
  const { name } = target.dataset;
  const book = books.get(name);
  if (book === undefined) return;
  if (book.loan) await post(`/v1/${name}:return`, {});
  else await post(`/v1/${name}:checkout`, { borrower: "you" });
}

/** Whether a request succeeded; shows the error if it failed. */
async function post(path, message) {
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(message),
    });
    at("problem").textContent = response.ok ? "" : (await response.json()).message;
    return response.ok;
  } catch {
    at("problem").textContent = "The server cannot be reached.";
    return false;
  }
}

function openDesk() {
  const socket = new WebSocket(`${location.origin.replace("http", "ws")}/v1/helpdesk:chat`);
  show("desk-state", "connecting", false);
  socket.addEventListener("open", () => show("desk-state", "live", true));
  socket.addEventListener("close", () => show("desk-state", "closed, ask to open it again", false));
  socket.addEventListener("message", ({ data }) => {
    const { text } = JSON.parse(data);
    if (text !== undefined) say(text, "theirs"); // The last frame is the status of the call.
  });
  return socket;
}

function ask(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const text = new FormData(form).get("text");
  const send = () => desk.send(JSON.stringify({ text }));
  if (desk.readyState > WebSocket.OPEN) desk = openDesk();
  if (desk.readyState === WebSocket.OPEN) send();
  else desk.addEventListener("open", send, { once: true });
  say(text, "mine");
  form.reset();
}

function say(text, who) {
  const item = element("li", who, text);
  at("chat").append(item);
  item.scrollIntoView({ block: "nearest" });
}

function show(id, text, live) {
  at(id).textContent = text;
  at(id).classList.toggle("live", live);
}

function element(name, className, content) {
  const made = document.createElement(name);
  made.className = className;
  made.append(content);
  return made;
}
