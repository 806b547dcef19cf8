import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { nearestName } from "../errors/nearest-name.ts";
import { partsOf, type Term } from "./expression.ts";

const variables: readonly string[] = ["event", "data"];
/** Functions that the library computes itself. */
const builtIn: ReadonlySet<string> = new Set([
  "_&&_",
  "_||_",
  "_?_:_",
  "_[_]",
  "_==_",
  "_!=_",
  "!_",
  "@in",
  "@not_strictly_false",
  "dyn",
]);
/** Functions whose result is true or false. */
const boolean: ReadonlySet<string> = new Set(
  [
    ["_&&_", "_||_", "!_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"],
    ["@in", "@not_strictly_false", "startsWith", "endsWith", "contains", "matches", "bool"],
  ].flat(),
);
/** Functions whose result is known to be something else. */
const others: ReadonlySet<string> = new Set(
  [
    ["_+_", "_-_", "_*_", "_/_", "_%_", "-_", "size", "int", "uint", "double", "string", "bytes"],
    ["duration", "timestamp", "type", "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek"],
    ["getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds"],
  ].flat(),
);

/**
 * What is wrong with a condition over an event; undefined for nothing.
 *
 * @param schemas the types of the event that are possible; none: any
 * @param isFunction whether the library has a function of this name
 */
export function checkExpression(
  term: Term,
  schemas: readonly DescMessage[],
  isFunction: (name: string) => boolean,
): string | undefined {
  return (
    namesProblem(term, new Set(), isFunction) ??
    (hasNestedLoop(term, false) ? "a loop inside another takes too long" : undefined) ??
    fieldProblem(term, schemas) ??
    (isNoBoolean(term, schemas) ? "the result of the condition is neither true nor false" : undefined)
  );
}

function namesProblem(
  term: Term,
  bound: ReadonlySet<string>,
  isFunction: (name: string) => boolean,
): string | undefined {
  if (term.kind === "name") {
    if (bound.has(term.name) || variables.includes(term.name)) return undefined;
    return `a condition knows event and data, and no ${JSON.stringify(term.name)}`;
  }
  if (term.kind === "call" && !builtIn.has(term.name) && !isFunction(term.name)) {
    return `there is no function ${JSON.stringify(term.name)}`;
  }
  if (term.kind !== "loop") return first(partsOf(term), (part) => namesProblem(part, bound, isFunction));
  const hidden = term.names.find((name) => variables.includes(name));
  if (hidden !== undefined) return `a loop cannot name its elements ${JSON.stringify(hidden)}`;
  const inner = new Set([...bound, ...term.names]);
  return (
    namesProblem(term.range, bound, isFunction) ??
    first([term.initial, ...term.inside], (part) => namesProblem(part, inner, isFunction))
  );
}

/** Whether a loop runs for each element of another. One over the result of another is none: their times add up. */
function hasNestedLoop(term: Term, isInside: boolean): boolean {
  if (term.kind !== "loop") return partsOf(term).some((part) => hasNestedLoop(part, isInside));
  if (isInside) return true;
  return hasNestedLoop(term.range, false) || term.inside.some((part) => hasNestedLoop(part, true));
}

/** A field that one of the types lacks. */
function fieldProblem(term: Term, schemas: readonly DescMessage[]): string | undefined {
  const path = pathOf(term);
  if (path === undefined) return first(partsOf(term), (part) => fieldProblem(part, schemas));
  return first(schemas, (schema) => {
    const found = resolve(schema, path);
    return typeof found === "string" ? found : undefined;
  });
}

/** The names behind `data`; undefined for what is no field of it. */
function pathOf(term: Term): string[] | undefined {
  if (term.kind !== "select") return undefined;
  if (term.operand.kind === "name") return term.operand.name === "data" ? [term.field] : undefined;
  const path = pathOf(term.operand);
  return path === undefined ? undefined : [...path, term.field];
}

/** The field at a path, or what is wrong with it; undefined where types do not say it. */
function resolve(schema: DescMessage, path: readonly string[]): DescField | string | undefined {
  let at: DescMessage = schema;
  let field: DescField | undefined;
  for (const [place, name] of path.entries()) {
    if (field?.fieldKind === "list") return `${field.name} of ${at.typeName} is a list, and has no ${name}`;
    if (field?.fieldKind === "map") return undefined;
    if (field !== undefined && field.fieldKind !== "message") {
      return `${path.slice(0, place).join(".")} of ${schema.typeName} has no field ${JSON.stringify(name)}`;
    }
    if (field?.message !== undefined) at = field.message;
    if (place > 0 && at.typeName.startsWith("google.protobuf.")) return undefined; // CEL has values of its own for them.
    const names = at.fields.map((each) => each.name);
    const found: DescField | undefined = at.fields.find((each) => each.name === name);
    if (found === undefined) {
      const near = nearestName(name, names);
      const hint = near === undefined ? "" : `; did you mean ${near}?`;
      return `${at.typeName} has no field ${JSON.stringify(name)}${hint}`;
    }
    field = found;
  }
  return field;
}

/** Whether it is known that the result is neither true nor false. */
function isNoBoolean(term: Term, schemas: readonly DescMessage[]): boolean {
  switch (term.kind) {
    case "constant":
      return term.of !== "boolValue";
    case "name":
      return variables.includes(term.name);
    case "collection":
      return true;
    case "select":
      return !term.isTest && isNoBooleanField(term, schemas);
    case "loop":
      return isNoBoolean(
        term.result.kind === "name" && term.names.includes(term.result.name) ? term.initial : term.result,
        schemas,
      );
    case "call":
      return isNoBooleanCall(term, schemas);
    case "nothing":
      return true;
  }
}

function isNoBooleanCall(
  { name, args, target }: Extract<Term, { kind: "call" }>,
  schemas: readonly DescMessage[],
): boolean {
  if (name === "_?_:_") return args.slice(1).some((branch) => isNoBoolean(branch, schemas));
  if (name === "_[_]") return args[0]?.kind === "name" && args[0].name === "event";
  if (boolean.has(name)) return false;
  // Methods of extensions may have these names too.
  return others.has(name) && (target === undefined || name === "size" || name.startsWith("get"));
}

function isNoBooleanField(term: Extract<Term, { kind: "select" }>, schemas: readonly DescMessage[]): boolean {
  if (term.operand.kind === "name" && term.operand.name === "event") return true; // Attributes are texts.
  const path = pathOf(term);
  if (path === undefined) return false;
  return schemas.some((schema) => {
    const field = resolve(schema, path);
    if (field === undefined || typeof field === "string") return false;
    if (field.fieldKind === "message") return !field.message.typeName.startsWith("google.protobuf.");
    return !(field.fieldKind === "scalar" && field.scalar === ScalarType.BOOL);
  });
}

function first<T>(items: readonly T[], problem: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = problem(item);
    if (found !== undefined) return found;
  }
  return undefined;
}
