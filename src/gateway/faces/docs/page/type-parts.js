/** Types as they are shown: links to them, tables of their fields. */
import { commentNodes } from "./comment-text.js";
import { h } from "./dom.js";
import { shortName } from "./model.js";
import { hashOf } from "./place.js";

/** @import { EnumType, Field, MessageType, Model } from "./model.js" */

/**
 * The name of a type, a link where it is shown.
 *
 * @param {Model} model
 * @param {string} name a scalar, or a full name
 */
export function typeLink(model, name) {
  const text = shortName(name);
  if (!model.types.has(name)) return h("span.type", { title: name }, text);
  return h("a.type", { href: hashOf("type", name), title: name }, text);
}

/**
 * The type of a field, with lists and maps.
 *
 * @param {Model} model
 * @param {Field} field
 */
export function fieldType(model, { type, list, key }) {
  const link = typeLink(model, type);
  if (key !== undefined)
    return h("span.field-type", null, "map<", h("span.type", null, key), ", ", link, ">");
  return h("span.field-type", null, list && "list of ", link);
}

/**
 * What a field is for requests and replies.
 *
 * @param {Field} field
 */
export function roleTags({ required, outputOnly, inputOnly, immutable, deprecated, presence, oneof }) {
  return [
    required && h("span.tag.must", null, "required"),
    outputOnly && h("span.tag", { title: "The server sets it" }, "output only"),
    inputOnly && h("span.tag", { title: "Replies never have it" }, "input only"),
    immutable && h("span.tag", { title: "It can be set once" }, "immutable"),
    presence && oneof === undefined && h("span.tag", { title: "Unset differs from the default" }, "optional"),
    deprecated && h("span.tag.warn", null, "deprecated"),
  ];
}

/**
 * The fields of a message; those of messages within are shown on demand.
 *
 * @param {Model} model
 * @param {MessageType} message
 * @param {number} depth
 * @returns {HTMLElement}
 */
export function fieldsTable(model, message, depth = 1) {
  if (message.fields.length === 0) return h("p.hint", null, "It has no fields.");
  /** @type {Map<string, Field[]>} */
  const oneofs = new Map();
  for (const field of message.fields) {
    if (field.oneof === undefined) continue;
    const members = oneofs.get(field.oneof);
    if (members === undefined) oneofs.set(field.oneof, [field]);
    else members.push(field);
  }
  /** @type {Set<string>} */
  const seen = new Set();
  const rows = message.fields.map((field) => {
    const { oneof } = field;
    if (oneof === undefined || (oneofs.get(oneof)?.length ?? 0) < 2) return fieldRow(model, field, depth);
    if (seen.has(oneof)) return null;
    seen.add(oneof);
    const comment = message.oneofs?.find(({ name }) => name === oneof)?.comment;
    return h(
      "li.oneof",
      null,
      h("p.oneof-name", null, "one of ", h("code", null, oneof)),
      h("div.comment", null, commentNodes(comment)),
      h(
        "ul.fields",
        null,
        (oneofs.get(oneof) ?? []).map((member) => fieldRow(model, member, depth)),
      ),
    );
  });
  return h("ul.fields", null, rows);
}

/**
 * @param {Model} model
 * @param {Field} field
 * @param {number} depth
 */
function fieldRow(model, field, depth) {
  const { name, number, comment, rules, hints, deprecated, refersTo } = field;
  const inner = depth < 8 ? model.message(field.type) : undefined;
  const hasInner =
    inner !== undefined && inner.fields.length > 0 && !inner.name.startsWith("google.protobuf.");
  const values = model.types.get(field.type);
  return h(
    "li.field",
    null,
    h(
      "div.field-head",
      null,
      h("code", { class: deprecated ? "field-name old" : "field-name" }, name),
      fieldType(model, field),
      roleTags(field),
      h("span.number", { title: "Number of the field" }, `= ${number}`),
    ),
    h("div.comment", null, commentNodes(comment)),
    rules !== undefined && h("p.hint", null, rules),
    hints !== undefined && h("p.hint", null, hintText(hints)),
    refersTo !== undefined && h("p.hint", null, "Names a ", h("code", null, refersTo)),
    values?.kind === "enum" && enumLine(values),
    hasInner && innerFields(model, inner, depth),
  );
}

/**
 * @param {Model} model
 * @param {MessageType} inner
 * @param {number} depth
 */
function innerFields(model, inner, depth) {
  let isMade = false;
  const details = h("details.inner", null, h("summary", null, `Fields of ${shortName(inner.name)}`));
  details.addEventListener("toggle", () => {
    if (isMade || !details.open) return;
    isMade = true;
    details.append(fieldsTable(model, inner, depth + 1));
  });
  return details;
}

/** @param {EnumType} type */
function enumLine({ values }) {
  const shown = values.slice(0, 12);
  return h(
    "p.hint.values",
    null,
    shown.map(({ name }, at) => [at > 0 && " ", h("code", null, name)]),
    values.length > shown.length && ` and ${values.length - shown.length} more`,
  );
}

/**
 * Rules as a sentence.
 *
 * @param {Record<string, any>} hints keywords of JSON Schema
 */
export function hintText(hints) {
  const { minLength, maxLength, pattern, format, minimum, maximum, exclusiveMinimum, exclusiveMaximum } =
    hints;
  const {
    const: constant,
    enum: values,
    minItems,
    maxItems,
    uniqueItems,
    minProperties,
    maxProperties,
  } = hints;
  /** @type {string[]} */
  const texts = [];
  const range = (
    /** @type {number | undefined} */ low,
    /** @type {number | undefined} */ high,
    /** @type {string} */ of,
  ) => {
    if (low !== undefined && high !== undefined)
      texts.push(low === high ? `${low}${of}` : `${low} to ${high}${of}`);
    else if (low !== undefined) texts.push(`at least ${low}${of}`);
    else if (high !== undefined) texts.push(`at most ${high}${of}`);
  };
  range(minLength, maxLength, " characters");
  range(minItems, maxItems, " items");
  range(minProperties, maxProperties, " entries");
  range(minimum, maximum, "");
  if (exclusiveMinimum !== undefined) texts.push(`more than ${exclusiveMinimum}`);
  if (exclusiveMaximum !== undefined) texts.push(`less than ${exclusiveMaximum}`);
  if (format !== undefined) texts.push(String(format));
  if (pattern !== undefined) texts.push(`matches ${pattern}`);
  if (constant !== undefined) texts.push(`is ${JSON.stringify(constant)}`);
  if (Array.isArray(values)) texts.push(`one of ${values.map((value) => JSON.stringify(value)).join(", ")}`);
  if (uniqueItems) texts.push("no item twice");
  return texts.join(" · ");
}
