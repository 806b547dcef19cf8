import { type DescField, type DescFile, getOption, hasOption } from "@bufbuild/protobuf";
import { resource } from "../../../gen/google/api/resource_pb.ts";
import { nameFieldOf, resourceOf } from "../../core/contract/resource-names.ts";
import type { Route, RouteVariable } from "../../core/http-rule/route.ts";

/** A parameter of a path: one wildcard of a template. */
export interface PathParameter {
  readonly name: string;
  /** The field that it sets whole; undefined where its value is a part of a field's. */
  readonly field: DescField | undefined;
  /** Whether it may have slashes. */
  readonly multiSegment: boolean;
}

/** A template as documents have it. */
export interface PathText {
  readonly text: string;
  readonly parameters: readonly PathParameter[];
}

/**
 * Writes templates as paths in which each wildcard is a parameter. Templates of one shape get the names of the
 * first, for they are one path item.
 */
export class PathTexts {
  readonly #byShape = new Map<string, readonly string[]>();

  of({ template, variables }: Pick<Route, "template" | "variables">): PathText {
    const { segments, verb } = template;
    const shape = `${segments.map((one) => (one.kind === "literal" ? one.text : "*")).join("/")}:${verb}`;
    const parameters: PathParameter[] = [];
    const known = this.#byShape.get(shape);
    const used = new Set<string>();
    const parts = segments.map((segment, at) => {
      if (segment.kind === "literal") return segment.text;
      const index = template.variables.findIndex(({ start, end }) => start <= at && at < end);
      const variable = variables[index];
      const { start = at, end = at + 1 } = template.variables[index] ?? {};
      const isWhole = end - start === 1;
      const before = segments[at - 1];
      const literal = before?.kind === "literal" ? before.text : undefined;
      const place = at - start;
      const usual =
        known?.[parameters.length] ?? nameOf(variable, isWhole, literal, place, parameters.length);
      const name = unused(usual, used);
      used.add(name);
      parameters.push({
        name,
        field: isWhole ? variable?.fields.at(-1) : undefined,
        multiSegment: segment.kind === "rest",
      });
      return `{${name}}`;
    });
    if (known === undefined)
      this.#byShape.set(
        shape,
        parameters.map(({ name }) => name),
      );
    return { text: `/${parts.join("/")}${verb === "" ? "" : `:${verb}`}`, parameters };
  }
}

/** @param place of the wildcard in the pattern of its variable */
function nameOf(
  variable: RouteVariable | undefined,
  isWhole: boolean,
  literal: string | undefined,
  place: number,
  index: number,
): string {
  if (variable !== undefined && isWhole) return variable.name.replaceAll(".", "_"); // Linters take no dots.
  const patterned = variable && patternName(variable, place);
  if (patterned !== undefined) return patterned;
  return literal === undefined ? `segment${index + 1}` : singular(literal);
}

/** The name in the pattern of the resource whose name the variable is: `shelf` of `shelves/{shelf}`. */
function patternName({ fields }: RouteVariable, place: number): string | undefined {
  const last = fields.at(-1);
  if (last === undefined) return undefined;
  for (const text of patternsOf(last)) {
    const name = /^\{([^}]+)\}$/.exec(text.split("/")[place] ?? "")?.[1];
    if (name !== undefined) return name;
  }
  return undefined;
}

/** The patterns of the resource whose name a field is: of its own message, or of the one that it refers to. */
function patternsOf(field: DescField): readonly string[] {
  const { parent, name } = field;
  const own = hasOption(parent, resource) ? getOption(parent, resource) : undefined;
  if (own !== undefined && own.type !== "" && name === nameFieldOf(parent)) return own.pattern;
  const type = resourceOf(field);
  return type === undefined ? [] : knownPatterns(type, parent.file);
}

/** Those of a type of resources that a message of a file, or of one that it imports, defines. */
function knownPatterns(type: string, file: DescFile): readonly string[] {
  for (const { messages } of [file, ...file.dependencies]) {
    for (const message of messages) {
      if (!hasOption(message, resource)) continue;
      const found = getOption(message, resource);
      if (found.type === type) return found.pattern;
    }
  }
  return [];
}

/** `shelf` of `shelves`, `city` of `cities`, `box` of `boxes`. */
function singular(literal: string): string {
  const word = literal.replaceAll(/[^\w-]/g, "");
  if (/ves$/i.test(word)) return `${word.slice(0, -3)}f`;
  if (/ies$/i.test(word)) return `${word.slice(0, -3)}y`;
  if (/(?:ses|xes|ches|shes)$/i.test(word)) return word.slice(0, -2);
  if (/[^s]s$/i.test(word)) return word.slice(0, -1);
  return word === "" ? "segment" : word;
}

function unused(name: string, used: ReadonlySet<string>): string {
  let free = name;
  for (let number = 2; used.has(free); number++) free = `${name}${number}`;
  return free;
}
