import type { JsonObject } from "@bufbuild/protobuf";
import type { DescType, Namer } from "./namer.ts";

/** What a schema is of: a request, a reply, or a part of a request of which a mask says which fields count. */
export type Side = "output" | "input" | "patch";

const sides: readonly Side[] = ["output", "input", "patch"];
const suffixes: Readonly<Record<Side, string>> = { output: "", input: "Input", patch: "Patch" };

/** The text of a reference, which is known when all definitions are: in JSON it is a text. */
class LateReference {
  readonly #names: SchemaNames;
  readonly #type: DescType;
  readonly #side: Side;

  constructor(names: SchemaNames, type: DescType, side: Side) {
    this.#names = names;
    this.#type = type;
    this.#side = side;
  }

  toJSON(): string {
    return this.#names.textOf(this.#type, this.#side);
  }
}

/** A type with a side. */
interface Sided {
  readonly type: DescType;
  readonly side: Side;
}

/** The definition of one side of a type. */
interface Body {
  readonly schema: JsonObject;
  /** Its text with the names of types as references, whatever their sides; set by `settle`. */
  text: string;
  refs: readonly Sided[];
  /** The first side whose definition is equal. */
  leader: Side;
}

/** The definitions of one type, by their sides. */
interface Described {
  readonly type: DescType;
  readonly bodies: Map<Side, Body>;
  readonly names: Map<Side, string>;
}

/**
 * The names of definitions. A type has one for all sides whose definitions are equal, with all that they refer to; others
 * get `Input` or `Patch` behind them, and a number if that is the name of another type.
 */
export class SchemaNames {
  readonly #namer: Pick<Namer, "type">;
  readonly #prefix: string;
  readonly #types = new Map<string, Described>();
  /** References in the text that is being written; undefined where they are named. */
  #found: Sided[] | undefined;

  constructor(namer: Pick<Namer, "type">, prefix: string) {
    this.#namer = namer;
    this.#prefix = prefix;
  }

  /** Adds a side of a type. @returns whether it is new, and has to be described */
  add(type: DescType, side: Side): boolean {
    const known = this.#types.get(type.typeName);
    if (known?.bodies.has(side) === true) return false;
    const described = known ?? { type, bodies: new Map(), names: new Map() };
    described.bodies.set(side, { schema: {}, text: "", refs: [], leader: side });
    this.#types.set(type.typeName, described);
    return true;
  }

  describe({ typeName }: DescType, side: Side, schema: JsonObject): void {
    this.#types.get(typeName)?.bodies.set(side, { schema, text: "", refs: [], leader: side });
  }

  /** A schema that refers to the definition of a type. */
  reference(type: DescType, side: Side): JsonObject {
    return { $ref: new LateReference(this, type, side) as unknown as string }; // It becomes one as JSON.
  }

  /** The text of a reference, as far as names are known. */
  textOf(type: DescType, side: Side): string {
    this.#found?.push({ type, side });
    return this.#prefix + (this.#types.get(type.typeName)?.names.get(side) ?? type.typeName);
  }

  /** Names all definitions, in steps. */
  *settle(): Generator<void> {
    const parents = yield* this.#read();
    yield* this.#divide(parents);
    const plainNames = new Set([...this.#types.values()].map(({ type }) => this.#namer.type(type)));
    for (const { type, bodies, names } of this.#types.values()) {
      const base = this.#namer.type(type);
      for (const side of sides) {
        const leader = bodies.get(side)?.leader;
        if (leader === undefined) continue;
        const isFirst = names.size === 0;
        names.set(side, names.get(leader) ?? (isFirst ? base : free(base + suffixes[side], plainNames)));
      }
      yield;
    }
  }

  /** All definitions by their names, in the order of these. Their references are texts as soon as they are JSON. */
  definitions(): Readonly<Record<string, JsonObject>> {
    const found = new Map<string, JsonObject>();
    for (const { bodies, names } of this.#types.values()) {
      for (const [side, name] of names) {
        const body = bodies.get(side);
        if (body !== undefined && !found.has(name)) found.set(name, body.schema);
      }
    }
    return Object.fromEntries([...found].toSorted(([one], [other]) => (one < other ? -1 : 1)));
  }

  /** Reads texts and references of all definitions. @returns the types that refer to a type, by its name */
  *#read(): Generator<void, ReadonlyMap<string, ReadonlySet<Described>>> {
    const parents = new Map<string, Set<Described>>();
    for (const described of this.#types.values()) {
      if (described.bodies.size < 2) continue;
      for (const body of described.bodies.values()) {
        const refs: Sided[] = [];
        this.#found = refs;
        body.text = JSON.stringify(body.schema);
        this.#found = undefined;
        body.refs = refs;
        for (const { type } of refs) {
          const above = parents.get(type.typeName) ?? new Set();
          parents.set(type.typeName, above.add(described));
        }
      }
      yield;
    }
    return parents;
  }

  /** Begins with one definition for all sides of a type, and divides those that differ until nothing changes. */
  *#divide(parents: ReadonlyMap<string, ReadonlySet<Described>>): Generator<void> {
    const open = new Set<Described>();
    for (const described of this.#types.values()) {
      const [first] = sides.filter((side) => described.bodies.has(side));
      for (const body of described.bodies.values()) body.leader = first ?? body.leader;
      if (described.bodies.size > 1) open.add(described);
    }
    for (const described of open) {
      open.delete(described);
      if (this.#isDivided(described))
        for (const parent of parents.get(described.type.typeName) ?? []) open.add(parent);
      yield;
    }
  }

  /** Divides the definitions of one type. @returns whether that has changed anything */
  #isDivided({ bodies }: Described): boolean {
    const leaders = new Map<string, Side>();
    let changed = false;
    for (const side of sides) {
      const body = bodies.get(side);
      if (body === undefined) continue;
      const below = body.refs.map((ref) => this.#types.get(ref.type.typeName)?.bodies.get(ref.side)?.leader);
      const key = `${body.text} ${below.join()}`;
      const leader = leaders.get(key) ?? side;
      leaders.set(key, leader);
      if (body.leader !== leader) changed = true;
      body.leader = leader;
    }
    return changed;
  }
}

function free(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) return name;
  let number = 2;
  while (taken.has(name + number)) number++;
  return name + number;
}
