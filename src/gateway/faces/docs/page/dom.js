/** Elements of the page, made as nodes: no text ever becomes HTML. */

/**
 * What can stand in an element: nodes, texts, and lists of them; nothing for null, undefined and false.
 *
 * @typedef {Node | string | number | null | undefined | false | readonly Child[]} Child
 */

/**
 * Attributes of an element. Functions are listeners of the event behind `on`, `true` is an attribute without a value;
 * null, undefined and false are none.
 *
 * @typedef {Record<string, string | number | boolean | null | undefined | ((event: any) => unknown)>} Attributes
 */

/**
 * Makes an element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag | `${Tag}.${string}`} tag with classes behind dots: `div.row.wide`
 * @param {Attributes | null} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes, ...children) {
  const [name = "div", ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length > 0) element.className = classes.join(" ");
  fill(element, attributes ?? {}, children);
  return /** @type {any} */ (element);
}

/**
 * Makes an element of SVG.
 *
 * @param {string} name
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  fill(element, attributes, children);
  return element;
}

/**
 * @param {Element} element
 * @param {Attributes} attributes
 * @param {readonly Child[]} children
 */
function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  add(element, children);
}

/**
 * Adds children to an element.
 *
 * @param {Element | DocumentFragment} element
 * @param {Child} children
 */
export function add(element, children) {
  if (Array.isArray(children)) for (const child of children) add(element, child);
  else if (children instanceof Node || typeof children === "string") element.append(children);
  else if (typeof children === "number") element.append(`${children}`);
}

/**
 * Replaces all children of an element.
 *
 * @param {Element} element
 * @param {...Child} children
 */
export function replace(element, ...children) {
  element.replaceChildren();
  add(element, children);
}

/** Icons, as paths in a square of 24. */
const icons = {
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M15.5 15.5 20 20",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6 6 18",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6 19 19M5 19l1.4-1.4M17.6 6.4 19 5",
  moon: "M20 14.5A8 8 0 0 1 9.5 4a8 8 0 1 0 10.5 10.5",
  auto: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  send: "M4 12 20 4l-5 16-3.5-6.5z",
  stop: "M7 7h10v10H7z",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  up: "M12 19V5M6 11l6-6 6 6",
  down: "M12 5v14M6 13l6 6 6-6",
  next: "M9 6l6 6-6 6",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  upload: "M12 16V5M7 9l5-5 5 5M5 20h14",
  pause: "M8 6v12M16 6v12",
  play: "M8 5l11 7-11 7z",
  link: "M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 6 6l1-1",
  star: "M12 4l2.5 5 5.5.8-4 3.9 1 5.5-5-2.6-5 2.6 1-5.5-4-3.9 5.5-.8z",
  unary: "M4 9h15M15 5l4 4-4 4M20 15H5M9 11l-4 4 4 4",
  server_streaming: "M4 7h8M20 12H5M9 8l-4 4 4 4M20 17H8",
  client_streaming: "M4 7h12M4 12h15M15 8l4 4-4 4M4 17h12",
  bidi_streaming: "M3 8h18M17 4l4 4-4 4M21 16H3M7 12l-4 4 4 4",
};

/** @typedef {keyof typeof icons} IconName */

/**
 * A small picture that says nothing to a screen reader.
 *
 * @param {IconName} name
 */
export function icon(name) {
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" },
    svg("path", { d: icons[name] }),
  );
}

/**
 * A button with a picture alone.
 *
 * @param {IconName} name
 * @param {string} label what it does
 * @param {(event: Event) => unknown} press
 * @param {Attributes} [attributes]
 */
export function iconButton(name, label, press, attributes = {}) {
  return h(
    "button.quiet.square",
    { type: "button", "aria-label": label, title: label, onclick: press, ...attributes },
    icon(name),
  );
}

let ids = 0;

/** An id that no other element has. */
export function newId() {
  return `e${++ids}`;
}
