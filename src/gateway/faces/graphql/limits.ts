import {
  type DocumentNode,
  type FragmentDefinitionNode,
  Kind,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from "graphql";
import type { GraphqlOptions } from "./graphql-options.ts";
import { Refusal } from "./refusal.ts";

/** What limits count of an operation, with all fragments in place. */
interface Counts {
  readonly depth: number;
  readonly aliases: number;
  readonly directives: number;
  /** Fields at the root of the selection. */
  readonly fields: number;
  /** Whether introspection is in it. */
  readonly introspects: boolean;
}

/** What is known of a document that is within the limits. */
export interface Measured {
  /** Whether operations of it ask for the schema. */
  readonly introspects: boolean;
}

/** The options that limit documents. */
export type DocumentLimits = Pick<
  GraphqlOptions,
  "maxDepth" | "maxAliases" | "maxDirectives" | "maxRootFields"
>;

/** How deep lists of introspection may be in one another. */
const maxIntrospectionLists = 3;

/** Lists of types and fields by which introspection grows. */
const introspectionLists: ReadonlySet<string> = new Set([
  "fields",
  "interfaces",
  "possibleTypes",
  "inputFields",
]);

/** Fragments that include themselves are refused, so that no count is without end. */
const none: Counts = { depth: 0, aliases: 0, directives: 0, fields: 0, introspects: false };

/**
 * Counts what a document asks for, each fragment once, before it is validated.
 *
 * @throws Refusal naming the limit and the value that is over it
 */
export function checkLimits(document: DocumentNode, limits: DocumentLimits): Measured {
  const counter = new Counter(document);
  let introspects = false;
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const counts = counter.operation(definition);
    check("depth", "maxDepth", counts.depth, limits.maxDepth, "levels of fields");
    check("aliases", "maxAliases", counts.aliases, limits.maxAliases, "aliases");
    check("directives", "maxDirectives", counts.directives, limits.maxDirectives, "directives");
    check("root_fields", "maxRootFields", counts.fields, limits.maxRootFields, "fields at its root");
    introspects ||= counts.introspects;
  }
  counter.checkRest();
  return { introspects };
}

function check(reason: string, option: string, value: number, limit: number, what: string): void {
  if (value <= limit) return;
  throw new Refusal(reason, `the operation has ${value} ${what}, and may have ${limit} (${option})`);
}

class Counter {
  readonly #fragments = new Map<string, FragmentDefinitionNode>();
  readonly #counted = new Map<string, Counts>();
  readonly #open = new Set<string>();
  readonly #listDepths = new Map<string, number>();

  constructor(document: DocumentNode) {
    for (const definition of document.definitions) {
      if (definition.kind === Kind.FRAGMENT_DEFINITION)
        this.#fragments.set(definition.name.value, definition);
    }
  }

  operation({ selectionSet, directives, variableDefinitions }: OperationDefinitionNode): Counts {
    const counts = this.#selection(selectionSet);
    let own = directives?.length ?? 0;
    for (const variable of variableDefinitions ?? []) own += variable.directives?.length ?? 0;
    return { ...counts, directives: counts.directives + own };
  }

  /** Fragments that no operation has: those that include themselves are refused too. */
  checkRest(): void {
    for (const name of this.#fragments.keys()) this.#fragment(name);
  }

  #selection({ selections }: SelectionSetNode): Counts {
    let { depth, aliases, directives, fields, introspects } = none;
    for (const node of selections) {
      const counts = this.#node(node);
      depth = Math.max(depth, counts.depth);
      aliases += counts.aliases;
      directives += counts.directives;
      fields += counts.fields;
      introspects ||= counts.introspects;
    }
    return { depth, aliases, directives, fields, introspects };
  }

  #node(node: SelectionNode): Counts {
    const own = node.directives?.length ?? 0;
    if (node.kind === Kind.INLINE_FRAGMENT) {
      const counts = this.#selection(node.selectionSet);
      return { ...counts, directives: counts.directives + own };
    }
    if (node.kind === Kind.FRAGMENT_SPREAD) {
      const counts = this.#fragment(node.name.value);
      return { ...counts, directives: counts.directives + own };
    }
    const name = node.name.value;
    const below = node.selectionSet === undefined ? none : this.#selection(node.selectionSet);
    const introspects = name === "__schema" || name === "__type";
    if (introspects && node.selectionSet !== undefined) this.#checkIntrospection(node.selectionSet, 0);
    return {
      depth: introspects ? 0 : below.depth + 1,
      aliases: below.aliases + (node.alias === undefined ? 0 : 1),
      directives: below.directives + own,
      fields: 1,
      introspects: introspects || below.introspects,
    };
  }

  #fragment(name: string): Counts {
    const known = this.#counted.get(name);
    if (known !== undefined) return known;
    const fragment = this.#fragments.get(name);
    if (fragment === undefined) return none; // Validation names it.
    if (this.#open.has(name)) throw new Refusal("fragments", `the fragment ${name} includes itself`);
    this.#open.add(name);
    const counts = this.#selection(fragment.selectionSet);
    this.#open.delete(name);
    const own = fragment.directives?.length ?? 0;
    const all = { ...counts, directives: counts.directives + own };
    this.#counted.set(name, all);
    return all;
  }

  /** Refuses lists that nest too deeply. @param depth of the lists around the selection */
  #checkIntrospection({ selections }: SelectionSetNode, depth: number): void {
    for (const node of selections) {
      if (node.kind === Kind.FRAGMENT_SPREAD) {
        const name = node.name.value;
        const fragment = this.#fragments.get(name);
        const before = this.#listDepths.get(name);
        if (fragment === undefined || (before !== undefined && before >= depth)) continue;
        this.#listDepths.set(name, depth);
        this.#checkIntrospection(fragment.selectionSet, depth);
        continue;
      }
      const isList = node.kind === Kind.FIELD && introspectionLists.has(node.name.value);
      const inside = isList ? depth + 1 : depth;
      if (inside >= maxIntrospectionLists) {
        const reason = `lists of introspection are ${inside} deep, and may be ${maxIntrospectionLists - 1}`;
        throw new Refusal("introspection", reason);
      }
      if (node.selectionSet !== undefined) this.#checkIntrospection(node.selectionSet, inside);
    }
  }
}
