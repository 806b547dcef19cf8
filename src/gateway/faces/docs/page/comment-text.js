/** Comments of contracts as nodes: paragraphs, lists, `code` and links by http and https. Everything else is text. */
import { h } from "./dom.js";

/** @import { Child } from "./dom.js" */

/**
 * The nodes of a comment.
 *
 * @param {string | undefined} comment
 * @returns {HTMLElement[]}
 */
export function commentNodes(comment) {
  if (comment === undefined || comment.trim() === "") return [];
  return comment.split(/\n\s*\n/).flatMap(blockNodes);
}

/**
 * @param {string} block lines without an empty one between them
 * @returns {HTMLElement[]}
 */
function blockNodes(block) {
  const lines = block.split("\n");
  if (lines.every((line) => /^(?: {4}|\t)/.test(line))) {
    return [
      h(
        "pre",
        { tabindex: "0" },
        h("code", null, lines.map((line) => line.replace(/^(?: {4}|\t)/, "")).join("\n")),
      ),
    ];
  }
  /** @type {HTMLElement[]} */
  const nodes = [];
  /** @type {string[]} */
  let paragraph = [];
  /** @type {{ ordered: boolean, items: string[] } | undefined} */
  let list;
  const flush = () => {
    if (paragraph.length > 0) nodes.push(h("p", null, inlineNodes(paragraph.join(" "))));
    if (list !== undefined) {
      const items = list.items.map((item) => h("li", null, inlineNodes(item)));
      nodes.push(list.ordered ? h("ol", null, items) : h("ul", null, items));
    }
    paragraph = [];
    list = undefined;
  };
  for (const line of lines) {
    const item = /^\s*(?:([-*+])|(\d{1,3})[.)])\s+(.*)$/.exec(line);
    if (item !== null) {
      const ordered = item[1] === undefined;
      if (list === undefined || list.ordered !== ordered) flush();
      list ??= { ordered, items: [] };
      list.items.push(item[3] ?? "");
    } else if (list !== undefined && /^\s/.test(line)) {
      list.items.push(`${list.items.pop() ?? ""} ${line.trim()}`);
    } else {
      if (list !== undefined) flush();
      paragraph.push(line.trim());
    }
  }
  flush();
  return nodes;
}

const inline =
  /`([^`\n]+)`|\[([^\]\n]+)\]\((https?:\/\/[^\s)]+)\)|(https?:\/\/[^\s<>"'`)\]]*[^\s<>"'`)\].,;:!?])/g;

/**
 * A text with `code` and links.
 *
 * @param {string} text
 * @returns {Child[]}
 */
export function inlineNodes(text) {
  /** @type {Child[]} */
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(inline)) {
    const [whole, code, label, target, bare] = match;
    nodes.push(text.slice(end, match.index));
    end = match.index + whole.length;
    if (code !== undefined) nodes.push(h("code", null, code));
    else nodes.push(link(target ?? bare ?? "", label ?? bare ?? ""));
  }
  nodes.push(text.slice(end));
  return nodes;
}

/**
 * @param {string} target
 * @param {string} label
 */
function link(target, label) {
  return h("a", { href: target, rel: "noopener noreferrer", target: "_blank" }, label);
}
