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

/** The definitions of one type, by their sides. */
interface Described {
  readonly type: DescType;
  readonly bodies: Map<Side, JsonObject>;
  readonly names: Map<Side, string>;
}

/**
 * The names of definitions. A type has one for all sides whose definitions are equal, with all that they refer to; others
 * get `Input` or `Patch` behind them, and a number if that is the name of another type.
 */
export class SchemaNames {
  /** Whether a type is being described. */
  isBusy = false;
  readonly #namer: Pick<Namer, "type">;
  readonly #prefix: string;
  readonly #types = new Map<string, Described>();

  constructor(namer: Pick<Namer, "type">, prefix: string) {
    this.#namer = namer;
    this.#prefix = prefix;
  }

  /** Adds a side of a type. @returns whether it is new, and has to be described */
  add(type: DescType, side: Side): boolean {
    const known = this.#types.get(type.typeName);
    if (known?.bodies.has(side) === true) return false;
    const described = known ?? { type, bodies: new Map(), names: new Map() };
    described.bodies.set(side, {});
    this.#types.set(type.typeName, described);
    return true;
  }

  describe({ typeName }: DescType, side: Side, body: JsonObject): void {
    this.#types.get(typeName)?.bodies.set(side, body);
  }

  /** A schema that refers to the definition of a type. */
  reference(type: DescType, side: Side): JsonObject {
    return { $ref: new LateReference(this, type, side) as unknown as string }; // It becomes one as JSON.
  }

  /** The text of a reference, as far as names are known. */
  textOf({ typeName }: DescType, side: Side): string {
    return this.#prefix + (this.#types.get(typeName)?.names.get(side) ?? typeName);
  }

  /** Names all definitions. @returns them by their names, in the order of these */
  finish(): Readonly<Record<string, JsonObject>> {
    this.#settle();
    const found = new Map<string, JsonObject>();
    for (const { bodies, names } of this.#types.values()) {
      for (const [side, name] of names) {
        const body = bodies.get(side);
        if (body !== undefined && !found.has(name)) found.set(name, plain(body));
      }
    }
    return Object.fromEntries([...found].toSorted(([one], [other]) => (one < other ? -1 : 1)));
  }

  /** Begins with one name for all sides of a type, and divides those that differ until nothing changes. */
  #settle(): void {
    const types = [...this.#types.values()];
    const plainNames = new Set(types.map(({ type }) => this.#namer.type(type)));
    for (const { type, bodies, names } of types) {
      for (const side of bodies.keys()) names.set(side, this.#namer.type(type));
    }
    for (let changed = true; changed;) {
      const next = types.map((described) => this.#divided(described, plainNames));
      changed = false;
      for (const [at, { names }] of types.entries()) {
        for (const [side, name] of next[at] ?? []) {
          if (names.get(side) !== name) changed = true;
          names.set(side, name);
        }
      }
    }
  }

  #divided({ type, bodies }: Described, plainNames: ReadonlySet<string>): ReadonlyMap<Side, string> {
    const base = this.#namer.type(type);
    const byText = new Map<string, string>();
    const names = new Map<Side, string>();
    for (const side of sides) {
      const body = bodies.get(side);
      if (body === undefined) continue;
      const text = JSON.stringify(body);
      const name = byText.get(text) ?? (byText.size === 0 ? base : free(base + suffixes[side], plainNames));
      byText.set(text, name);
      names.set(side, name);
    }
    return names;
  }
}

function free(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) return name;
  let number = 2;
  while (taken.has(name + number)) number++;
  return name + number;
}

/** The definition with its references written out. */
function plain(body: JsonObject): JsonObject {
  return JSON.parse(JSON.stringify(body)) as JsonObject; // It was one before.
}
