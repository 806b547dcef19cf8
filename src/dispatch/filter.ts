import { type Registry, toBinary } from "@bufbuild/protobuf";
import { type Filter, FilterSchema } from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { compileEventCondition, type ConditionEvent } from "../core/condition/event-condition.ts";
import { type ConnectError, invalidArgument } from "../core/errors/errors.ts";
import { type EventTypes, unknownType } from "./event-types.ts";
import {
  AllOfTest,
  AllTest,
  AnyOfTest,
  AttributeTest,
  type Comparison,
  ConditionTest,
  type FilterTest,
  type Finding,
  NotTest,
  TypesTest,
} from "./filter-tests.ts";

/** A filter that was compiled. */
export interface EventFilter {
  /** Filters with equal keys are equal. */
  readonly key: string;
  /** The types of the events that can match; undefined: events of any type can. */
  readonly types: readonly string[] | undefined;
  /** Whether it has a condition in CEL. */
  readonly hasCondition: boolean;
  /** Whether an event of one of `types` matches. @throws Error what a condition cannot compute, for people */
  holds(event: ConditionEvent): boolean;
  /** What is found of each part; a part that cannot be computed does not hold. */
  findings(event: ConditionEvent): readonly Finding[];
  /** The same filter for events of some types alone, unless it names some itself. */
  narrowed(types: readonly string[]): EventFilter;
}

/** What filters are compiled against. */
export interface FilterScope {
  readonly types: EventTypes;
  readonly registry: Registry;
}

/** A filter in so many others, and so many parts of one, are refused. */
const deepest = 8;
const mostParts = 128;
/** The most bytes of the texts of a filter but for conditions. */
const mostBytes = 16_384;

const attributeName = /^[a-z0-9]{1,64}$/;

/** What a filter has used up of its limits. */
interface Budget {
  parts: number;
  bytes: number;
  hasCondition: boolean;
}

/**
 * Compiles a filter.
 *
 * @param place where it is, for errors
 * @throws ConnectError INVALID_ARGUMENT naming the part and what is wrong with it; SetupError where it has a condition and
 *   the package `@bufbuild/cel` is not installed
 */
export async function compileFilter(
  filter: Filter | undefined,
  scope: FilterScope,
  place = "filter",
): Promise<EventFilter> {
  if (filter === undefined)
    return new CompiledFilter("", undefined, { place, tests: [], hasCondition: false });
  const budget: Budget = { parts: 0, bytes: 0, hasCondition: false };
  const types = typesOf(filter);
  const possible = types && [...types].map((type) => scope.types.get(type)?.type ?? type);
  const tests = await testsOf(filter, { ...scope, possible, budget }, place, 1);
  const key = Buffer.from(toBinary(FilterSchema, filter)).toString("latin1");
  return new CompiledFilter(key, possible, { place, tests, hasCondition: budget.hasCondition });
}

/** What a filter is made of besides its types. */
interface FilterParts {
  readonly place: string;
  readonly tests: readonly FilterTest[];
  readonly hasCondition: boolean;
}

class CompiledFilter implements EventFilter {
  readonly key: string;
  readonly types: readonly string[] | undefined;
  readonly #parts: FilterParts;
  /** What is asked of an event of one of the types. */
  readonly #others: FilterTest;

  constructor(key: string, types: readonly string[] | undefined, parts: FilterParts) {
    this.key = key;
    this.types = types;
    this.#parts = parts;
    const { tests } = parts;
    this.#others = allOf(tests[0] instanceof TypesTest ? tests.slice(1) : tests);
  }

  get hasCondition(): boolean {
    return this.#parts.hasCondition;
  }

  holds(event: ConditionEvent): boolean {
    return this.#others.holds(event);
  }

  findings(event: ConditionEvent): readonly Finding[] {
    const { tests, place } = this.#parts;
    return tests.flatMap((test) => test.findings(event, place));
  }

  narrowed(types: readonly string[]): EventFilter {
    if (this.types !== undefined) return this;
    // No message of protobuf begins with this letter, so that it is the key of no other filter.
    return new CompiledFilter(`n${JSON.stringify([types, this.key])}`, types, this.#parts);
  }
}

function allOf(tests: readonly FilterTest[]): FilterTest {
  const [only] = tests;
  return only !== undefined && tests.length === 1 ? only : new AllTest(tests);
}

/** The types that can match; undefined for any. Attributes say nothing of them but by `exact`. */
function typesOf({ types, exact, all, any }: Filter): ReadonlySet<string> | undefined {
  const type = exact["type"];
  const ofAny = any.map(typesOf);
  const unions = ofAny.length > 0 && ofAny.every((each) => each !== undefined);
  const narrowing = [
    types.length > 0 ? new Set(types) : undefined,
    type === undefined ? undefined : new Set([type]),
    unions ? new Set(ofAny.flatMap((each) => [...each])) : undefined,
    ...all.map(typesOf),
  ].filter((each) => each !== undefined);
  const [first, ...rest] = narrowing;
  return first && new Set([...first].filter((each) => rest.every((others) => others.has(each))));
}

interface Compiling extends FilterScope {
  /** As `typesOf`, of the whole filter. */
  readonly possible: readonly string[] | undefined;
  readonly budget: Budget;
}

/** The parts of a filter, the cheap ones first: that of `types` before all others. */
async function testsOf(
  filter: Filter,
  compiling: Compiling,
  path: string,
  depth: number,
): Promise<readonly FilterTest[]> {
  if (depth > deepest) throw wrong(path, `filters can be in one another ${deepest} deep`);
  const { types, exact, prefix, suffix, all, any, not, cel } = filter;
  const tests: FilterTest[] = [
    ...(types.length > 0 ? [typesTest(types, compiling, `${path}.types`)] : []),
    ...attributeTests("exact", exact, compiling, path),
    ...attributeTests("prefix", prefix, compiling, path),
    ...attributeTests("suffix", suffix, compiling, path),
  ];
  const inner = async (each: Filter, at: string): Promise<AllTest> =>
    new AllTest(await testsOf(each, compiling, at, depth + 1));
  const innerOf = async (filters: readonly Filter[], at: string): Promise<readonly AllTest[]> => {
    const made: AllTest[] = [];
    for (const [place, each] of filters.entries()) made.push(await inner(each, `${at}[${place}]`));
    return made;
  };
  if (all.length > 0) tests.push(new AllOfTest(await innerOf(all, `${path}.all`)));
  if (any.length > 0) tests.push(new AnyOfTest(await innerOf(any, `${path}.any`)));
  if (not !== undefined) tests.push(new NotTest(await inner(not, `${path}.not`)));
  if (cel !== "") tests.push(await conditionTest(cel, compiling, `${path}.cel`));
  return tests.slice(); // An array that has grown has room to grow further.
}

function typesTest(types: readonly string[], { types: known, budget }: Compiling, path: string): TypesTest {
  return new TypesTest(
    types.map((type) => {
      spend(budget, type.length, path);
      const found = known.get(type);
      if (found === undefined) throw wrong(path, unknownType(known, type));
      return found.type; // The same text for all subscriptions.
    }),
  );
}

function attributeTests(
  by: Comparison,
  values: Readonly<Record<string, string>>,
  { budget }: Compiling,
  path: string,
): AttributeTest[] {
  return Object.entries(values).map(([name, text]) => {
    const at = `${path}.${by}.${name}`;
    spend(budget, name.length + text.length, `${path}.${by}`);
    if (!attributeName.test(name))
      throw wrong(at, "is no name of an attribute: those have a-z and 0-9 alone");
    if (text === "") throw wrong(at, "is empty, and no attribute is");
    return new AttributeTest(by, name, text);
  });
}

async function conditionTest(text: string, compiling: Compiling, path: string): Promise<ConditionTest> {
  const { possible, types, registry, budget } = compiling;
  spend(budget, 0, path);
  budget.hasCondition = true;
  const schemas = (possible ?? []).flatMap((type) => types.get(type)?.schema ?? []);
  return new ConditionTest(await compileEventCondition(text, { registry, schemas }, path));
}

function spend(budget: Budget, bytes: number, path: string): void {
  budget.parts++;
  budget.bytes += bytes;
  if (budget.parts > mostParts) throw wrong(path, `a filter can have ${mostParts} parts`);
  if (budget.bytes > mostBytes) throw wrong(path, `the texts of a filter can have ${mostBytes} characters`);
}

function wrong(path: string, why: string): ConnectError {
  return invalidArgument(`${path}: ${why}`, [{ field: path, description: why }]);
}
