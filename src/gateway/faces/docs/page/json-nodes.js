/** JSON in colours. */
import { h } from "./dom.js";

/** Longer texts have one colour: thousands of elements would make the page slow. */
const mostLength = 48 * 1024;
const tokens = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d[\d.eE+-]*|\b(?:true|false|null)\b/g;

/**
 * The nodes of a JSON text.
 *
 * @param {string} text
 */
export function jsonNodes(text) {
  const fragment = document.createDocumentFragment();
  if (text.length > mostLength) {
    fragment.append(text);
    return fragment;
  }
  let end = 0;
  for (const match of text.matchAll(tokens)) {
    const [whole, string, colon] = match;
    fragment.append(text.slice(end, match.index));
    end = match.index + whole.length;
    const kind =
      string === undefined
        ? /^[tfn]/.test(whole)
          ? "word"
          : "digits"
        : colon === undefined
          ? "string"
          : "member";
    fragment.append(h("span", { class: `j-${kind}` }, string ?? whole), colon ?? "");
  }
  fragment.append(text.slice(end));
  return fragment;
}
