/** How calls end, read of what the server says. */
import { indented, memberTexts } from "./json-text.js";
import { codeNames } from "./codes.js";

/** @import { Header, Outcome } from "./calls.js" */
/** @import { Violation } from "./form.js" */

/**
 * The end of a call that was not refused.
 *
 * @param {readonly Header[]} trailers
 * @returns {Outcome}
 */
export function okOutcome(trailers) {
  return { code: 0, message: "", details: undefined, violations: [], trailers };
}

/**
 * The end of a call that the page has seen itself.
 *
 * @param {number} code
 * @param {string} message
 * @returns {Outcome}
 */
export function ownOutcome(code, message) {
  return { code, message, details: undefined, violations: [], trailers: [] };
}

/**
 * The error in a text: `google.rpc.Status`, an error of Connect, or one of another format of the server.
 *
 * @param {string} text
 * @param {number} httpStatus
 * @param {readonly Header[]} trailers
 * @returns {Outcome}
 */
export function errorOutcome(text, httpStatus, trailers) {
  const members = text.trimStart().startsWith("{") ? memberTexts(text) : {};
  const inner = members["error"]?.startsWith("{") === true ? memberTexts(members["error"]) : members;
  const code = codeOf(plain(inner["code"]) ?? plain(inner["status"]), httpStatus);
  const message =
    plain(inner["message"]) ??
    plain(inner["detail"]) ??
    plain(inner["title"]) ??
    (Object.keys(inner).length > 0 ? "" : text.slice(0, 1000));
  const details = inner["details"];
  const isEmpty = details === undefined || details === "[]";
  return {
    code,
    message,
    details: isEmpty ? undefined : indented(details),
    violations: violationsOf(isEmpty ? text : details),
    trailers,
  };
}

/**
 * @param {string | undefined} text
 * @param {number} httpStatus
 */
function codeOf(text, httpStatus) {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0 && number < 100) return number;
  const name = (text ?? "").toUpperCase().replace("CANCELED", "CANCELLED");
  const known = codeNames.indexOf(name);
  if (known > 0) return known;
  /** @type {Record<number, number>} */
  const byStatus = {
    400: 3,
    401: 16,
    403: 7,
    404: 5,
    409: 6,
    412: 9,
    413: 8,
    415: 3,
    429: 8,
    499: 1,
    500: 13,
    501: 12,
    503: 14,
    504: 4,
  };
  return byStatus[httpStatus] ?? 2;
}

/** @param {string | undefined} json the value of a string or a number */
function plain(json) {
  if (json === undefined || json === "null") return undefined;
  return json.startsWith('"') ? /** @type {string} */ (JSON.parse(json)) : json;
}

/**
 * Violations of fields in the details of an error, wherever they stand: in an Any, in the debug member of Connect, or by
 * another format.
 *
 * @param {string} text
 * @returns {Violation[]}
 */
function violationsOf(text) {
  /** @type {unknown} */
  let details;
  try {
    details = JSON.parse(text);
  } catch {
    return [];
  }
  /** @type {Violation[]} */
  const found = [];
  const walk = (/** @type {unknown} */ value, /** @type {number} */ depth) => {
    if (typeof value !== "object" || value === null || depth > 6) return;
    if (
      "field" in value &&
      typeof value.field === "string" &&
      "description" in value &&
      typeof value.description === "string"
    ) {
      found.push({ field: value.field, description: value.description });
    }
    for (const inner of Object.values(value)) walk(inner, depth + 1);
  };
  walk(details, 0);
  return found;
}

/**
 * @param {string | undefined} json an object of texts, or of lists of texts
 * @returns {Header[]}
 */
export function headersIn(json) {
  if (json === undefined) return [];
  return Object.entries(/** @type {Record<string, string | string[]>} */ (JSON.parse(json))).flatMap(
    ([name, values]) => [values].flat().map((value) => /** @type {Header} */ ([name, value])),
  );
}
