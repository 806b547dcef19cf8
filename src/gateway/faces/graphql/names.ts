import type { DescField, DescMessage, DescOneof } from "@bufbuild/protobuf";
import type { DescType, Namer } from "../../../core/contract/namer.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";

const graphqlName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Whether a text can be the name of something in GraphQL that is not GraphQL's own. */
export function isName(text: string): boolean {
  return graphqlName.test(text) && !text.startsWith("__");
}

/** The names of types in one schema, each given once. */
export class TypeNames {
  readonly #namer: Namer;
  readonly #taken = new Set<string>();
  readonly #own: ReadonlyMap<string, string>;

  /** @param reserved names of GraphQL and of scalars @param types whose names others must leave free */
  constructor(namer: Namer, reserved: readonly string[], types: readonly DescType[]) {
    this.#namer = namer;
    for (const name of reserved) this.#taken.add(name);
    this.#own = new Map(types.map((type) => [type.typeName, this.claim(this.#baseOf(type))]));
  }

  /** The name of a message or an enum. */
  of(type: DescType): string {
    return this.#own.get(type.typeName) ?? this.claim(this.#baseOf(type));
  }

  /** `base`, numbered where another type has that name. */
  claim(base: string): string {
    let name = base;
    for (let number = 2; this.#taken.has(name); number++) name = `${base}${number}`;
    this.#taken.add(name);
    return name;
  }

  /** The short name, or one with the package in front where GraphQL or a scalar has that. */
  #baseOf(type: DescType): string {
    const short = this.#namer.type(type).replace(/^__+/, "");
    if (isName(short) && !this.#taken.has(short)) return short;
    return upperCamel(`${type.file.proto.package}.${short}`);
  }
}

/** As `fieldName`; undefined for a field without a name of GraphQL. */
export function nameIn(field: DescField): string | undefined {
  const { jsonName } = field;
  if (isName(jsonName)) return jsonName;
  const name = lowerCamel(field.name);
  return isName(name) ? name : undefined;
}

/**
 * The name of a field: that of JSON, else its proto name in lowerCamelCase.
 *
 * @throws SetupError for a field without a name of GraphQL
 */
export function fieldName(field: DescField): string {
  const name = nameIn(field);
  if (name === undefined) {
    throw new SetupError(`graphql: ${field.toString()} has no name that GraphQL allows: give it a json_name`);
  }
  return name;
}

/** The name of the field that stands for a oneof. */
export function oneofName(oneof: DescOneof): string {
  return lowerCamel(oneof.name);
}

/** The members of a message as fields of GraphQL: fields, and oneofs where these are unions. */
export function* namedMembers(
  message: DescMessage,
  unions: boolean,
  shows: (field: DescField) => boolean,
): Generator<readonly [name: string, member: DescField | DescOneof]> {
  const owners = new Map<string, DescField | DescOneof>();
  const seen = new Set<DescOneof>();
  for (const field of message.fields) {
    if (!shows(field)) continue;
    const member = unions ? (field.oneof ?? field) : field;
    if (member.kind === "oneof") {
      if (seen.has(member)) continue;
      seen.add(member);
    }
    const name = member.kind === "oneof" ? oneofName(member) : fieldName(member);
    const other = owners.get(name);
    if (other !== undefined) {
      const cure = 'give one of them another name, or set oneofs: "fields"';
      throw new SetupError(
        `graphql: ${member.toString()} and ${other.toString()} are both called ${name}: ${cure}`,
      );
    }
    owners.set(name, member);
    yield [name, member];
  }
}

/** `pageCount` of `page_count`. */
export function lowerCamel(name: string): string {
  const camel = upperCamel(name);
  return camel.slice(0, 1).toLowerCase() + camel.slice(1);
}

/** `PageCount` of `page_count`. */
export function upperCamel(name: string): string {
  return name
    .split(/[._]/)
    .map((part) => part.slice(0, 1).toUpperCase() + part.slice(1))
    .join("");
}
