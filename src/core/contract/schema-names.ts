import type { JsonObject } from "@bufbuild/protobuf";
import { LateReference, type LateText, lateText } from "./late-text.ts";
import type { DescType, Namer } from "./namer.ts";

/** What a schema is of: a request, a reply, or a part of a request of which a mask says which fields count. */
export type Side = "output" | "input" | "patch";

const sides: readonly Side[] = ["output", "input", "patch"];
const suffixes: Readonly<Record<Side, string>> = { output: "", input: "Input", patch: "Patch" };

/** A type with a side. */
export interface Sided {
  readonly type: DescType;
  readonly side: Side;
}

/** The definition of one side of a type. */
interface Body {
  /** Undefined until it is described. */
  readonly text: LateText<Sided> | undefined;
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
  readonly #indent: number;
  readonly #types = new Map<string, Described>();

  /** @param indent of the texts of definitions. Default: 2 */
  constructor(namer: Pick<Namer, "type">, prefix: string, indent = 2) {
    this.#namer = namer;
    this.#prefix = prefix;
    this.#indent = indent;
  }

  /** Adds a side of a type. @returns whether it is new, and has to be described */
  add(type: DescType, side: Side): boolean {
    const known = this.#types.get(type.typeName);
    if (known?.bodies.has(side) === true) return false;
    const described = known ?? { type, bodies: new Map(), names: new Map() };
    described.bodies.set(side, { text: undefined, leader: side });
    this.#types.set(type.typeName, described);
    return true;
  }

  describe({ typeName }: DescType, side: Side, schema: JsonObject): void {
    this.#types.get(typeName)?.bodies.set(side, { text: lateText(schema, this.#indent), leader: side });
  }

  /** A schema that refers to the definition of a type. */
  reference(type: DescType, side: Side): JsonObject {
    const text = (): string =>
      this.#prefix + (this.#types.get(type.typeName)?.names.get(side) ?? type.typeName);
    return { $ref: new LateReference<Sided>({ type, side }, text) as unknown as string }; // It becomes one as JSON.
  }

  /** Names all definitions, in steps. */
  *settle(): Generator<void> {
    yield* this.#divide(this.#parents());
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

  /** All definitions by their names, in the order of these. */
  definitions(): ReadonlyMap<string, LateText<Sided>> {
    const found = new Map<string, LateText<Sided>>();
    for (const { bodies, names } of this.#types.values()) {
      for (const [side, name] of names) {
        const text = bodies.get(side)?.text;
        if (text !== undefined && !found.has(name)) found.set(name, text);
      }
    }
    return new Map([...found].toSorted(([one], [other]) => (one < other ? -1 : 1)));
  }

  /** The types with several definitions that refer to a type, by its name. */
  #parents(): ReadonlyMap<string, ReadonlySet<Described>> {
    const parents = new Map<string, Set<Described>>();
    for (const described of this.#types.values()) {
      if (described.bodies.size < 2) continue;
      for (const { text } of described.bodies.values()) {
        for (const { subject } of text?.references ?? []) {
          const above = parents.get(subject.type.typeName) ?? new Set();
          parents.set(subject.type.typeName, above.add(described));
        }
      }
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
    const seen: [Side, Body][] = [];
    let changed = false;
    for (const side of sides) {
      const body = bodies.get(side);
      if (body === undefined) continue;
      const leader = seen.find(([, other]) => this.#areEqual(body, other))?.[0] ?? side;
      seen.push([side, body]);
      if (body.leader !== leader) changed = true;
      body.leader = leader;
    }
    return changed;
  }

  /** Whether two definitions are equal, with all that they refer to, as far as that is divided. */
  #areEqual({ text: one }: Body, { text: other }: Body): boolean {
    if (one === undefined || other === undefined || !one.isLike(other)) return false;
    return one.references.every(({ subject }, at) => {
      const opposite = other.references[at]?.subject;
      return opposite?.type === subject.type && this.#leaderOf(opposite) === this.#leaderOf(subject);
    });
  }

  #leaderOf({ type, side }: Sided): Side | undefined {
    return this.#types.get(type.typeName)?.bodies.get(side)?.leader;
  }
}

function free(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) return name;
  let number = 2;
  while (taken.has(name + number)) number++;
  return name + number;
}
