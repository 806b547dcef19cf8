/** An operation to begin with, made of the schema. */
import { namedIn } from "./completion.js";

/** @import { Field, Schema, Type } from "./completion.js" */

const mostFields = 6;

/**
 * The first query that needs no argument, with its leaves; else the name of the root.
 *
 * @param {Schema} schema
 */
export function sampleQuery(schema) {
  const root = typeOf(schema, schema.queryType.name);
  for (const field of root?.fields ?? []) {
    if (needsArguments(field)) continue;
    const inner = selection(schema, typeOf(schema, namedIn(field.type)), 2, "    ");
    if (inner !== undefined) return `query {\n  ${field.name}${inner}\n}\n`;
  }
  return "query {\n  __typename\n}\n";
}

/**
 * @param {Schema} schema
 * @param {Type | undefined} type
 * @param {number} depth
 * @param {string} indent
 * @returns {string | undefined} nothing for a leaf, undefined where nothing can be selected
 */
function selection(schema, type, depth, indent) {
  if (type === undefined) return undefined;
  if (type.kind === "SCALAR" || type.kind === "ENUM") return "";
  if (depth === 0) return undefined;
  const lines = [];
  for (const field of type.fields ?? []) {
    if (needsArguments(field)) continue;
    const inner = selection(schema, typeOf(schema, namedIn(field.type)), depth - 1, `${indent}  `);
    if (inner !== undefined) lines.push(`${indent}${field.name}${inner}`);
    if (lines.length === mostFields) break;
  }
  return lines.length === 0 ? undefined : ` {\n${lines.join("\n")}\n${indent.slice(2)}}`;
}

/** @param {Field} field */
function needsArguments({ args }) {
  return args.some(({ type }) => type?.kind === "NON_NULL");
}

/**
 * @param {Schema} schema
 * @param {string | null | undefined} name
 */
function typeOf({ types }, name) {
  return types.find((type) => type.name === name);
}
