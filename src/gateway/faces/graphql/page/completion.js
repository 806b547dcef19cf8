/** Names that fit where the cursor is. */

/**
 * What a completion reads of an introspected schema.
 *
 * @typedef {{ name: string | null, ofType?: TypeRef | null }} TypeRef
 * @typedef {{ name: string, args: { name: string, type?: { kind: string } }[], type: TypeRef }} Field
 * @typedef {{ name: string, kind: string, fields: Field[] | null, possibleTypes: { name: string }[] | null }} Type
 * @typedef {{ queryType: { name: string }, mutationType: { name: string } | null, subscriptionType: { name: string } | null, types: Type[] }} Schema
 */

const token = /#[^\n]*|"""[\s\S]*?"""|"(?:\\.|[^"\\\n])*"|[A-Za-z_]\w*|\.\.\.|[{}()]/g;

/**
 * The names that may follow a text, those that begin as its last word.
 *
 * @param {string} text
 * @param {Schema} schema
 * @returns {{ prefix: string, names: string[] } | undefined}
 */
export function completion(text, schema) {
  const prefix = /\w*$/.exec(text)?.[0] ?? "";
  const place = placeIn(text.slice(0, text.length - prefix.length), schema);
  const names = place.filter((name) => name.toLowerCase().startsWith(prefix.toLowerCase()));
  return { prefix, names };
}

/**
 * @param {string} text
 * @param {Schema} schema
 * @returns {string[]}
 */
function placeIn(text, schema) {
  /** @param {string | null | undefined} name */
  const typeOf = (name) => schema.types.find((type) => type.name === name);
  const roots = new Map([
    ["query", schema.queryType.name],
    ["mutation", schema.mutationType?.name],
    ["subscription", schema.subscriptionType?.name],
  ]);
  /** @type {(Type | undefined)[]} */
  const stack = [];
  /** @type {Type | undefined} */
  let next = typeOf(schema.queryType.name);
  /** @type {Field | undefined} */
  let field;
  let arguments_ = 0;
  let before = "";
  for (const [word] of text.matchAll(token)) {
    if (word.startsWith("#") || word.startsWith('"')) continue;
    if (word === "(") arguments_++;
    else if (word === ")") arguments_--;
    else if (arguments_ > 0) continue;
    else if (word === "{") stack.push(next);
    else if (word === "}") stack.pop();
    else if (before === "on") next = typeOf(word);
    else if (stack.length === 0) next = roots.has(word) ? typeOf(roots.get(word)) : next;
    else if (word !== "..." && before !== "...") {
      field = stack.at(-1)?.fields?.find(({ name }) => name === word);
      next = typeOf(namedIn(field?.type));
    }
    before = word;
  }
  if (arguments_ > 0) return field?.args.map(({ name }) => name) ?? [];
  const type = stack.at(-1);
  if (before === "on")
    return type === undefined ? [] : (type.possibleTypes ?? [type]).map(({ name }) => name);
  if (before === "...") return ["on"];
  if (stack.length === 0)
    return [...roots]
      .filter(([, name]) => name !== undefined)
      .map(([word]) => word)
      .concat("fragment");
  return [...(type?.fields ?? []).map(({ name }) => name), "__typename"];
}

/**
 * The name of a type within lists and what is not null.
 *
 * @param {TypeRef | null | undefined} type
 * @returns {string | null | undefined}
 */
export function namedIn(type) {
  return type?.name ?? (type?.ofType && namedIn(type.ofType));
}
