import { type Registry, toBinary } from "@bufbuild/protobuf";
import { type Filter, FilterSchema } from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { compileEventCondition, type ConditionEvent } from "../core/condition/event-condition.ts";
import { type ConnectError, invalidArgument } from "../core/errors/errors.ts";
import { type EventTypes, unknownType } from "./event-types.ts";

/** What was found of a part of a filter. */
export interface Finding {
  /** Where the part is, such as `filter.any[0].exact.subject`. */
  readonly path: string;
  readonly holds: boolean;
  /** For people. */
  readonly why: string;
}

/** A filter that was compiled. */
export interface EventFilter {
  /** Filters with equal keys are equal. */
  readonly key: string;
  /** The types of the events that can match; undefined: events of any type can. */
  readonly types: ReadonlySet<string> | undefined;
  /** Whether it has a condition in CEL. */
  readonly hasCondition: boolean;
  /** Whether an event of one of `types` matches. @throws Error what a condition cannot compute, for people */
  holds(event: ConditionEvent): boolean;
  /** What is found of each part; a part that cannot be computed does not hold. */
  findings(event: ConditionEvent): readonly Finding[];
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

/** A part of a filter. */
interface Test {
  readonly path: string;
  readonly holds: (event: ConditionEvent) => boolean;
  why(event: ConditionEvent): string;
  /** The filters in it. */
  readonly inner: readonly Test[];
}

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
  if (filter === undefined) {
    return { key: "", types: undefined, hasCondition: false, holds: () => true, findings: () => [] };
  }
  const budget: Budget = { parts: 0, bytes: 0, hasCondition: false };
  const types = typesOf(filter);
  const tests = await testsOf(filter, { ...scope, possible: types, budget }, place, 1);
  return {
    key: Buffer.from(toBinary(FilterSchema, filter)).toString("latin1"),
    types,
    hasCondition: budget.hasCondition,
    holds: allHold(filter.types.length > 0 ? tests.slice(1) : tests), // The first one looks at the type.
    findings: (event) => tests.flatMap((test) => findingsOf(test, event)),
  };
}

function allHold(tests: readonly Test[]): EventFilter["holds"] {
  const [only] = tests;
  if (only !== undefined && tests.length === 1) return only.holds;
  return (event) => tests.every((test) => test.holds(event));
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
  readonly possible: ReadonlySet<string> | undefined;
  readonly budget: Budget;
}

/** The parts of a filter, the cheap ones first: that of `types` before all others. */
async function testsOf(filter: Filter, compiling: Compiling, path: string, depth: number): Promise<Test[]> {
  if (depth > deepest) throw wrong(path, `filters can be in one another ${deepest} deep`);
  const { types, exact, prefix, suffix, all, any, not, cel } = filter;
  const tests = [
    ...(types.length > 0 ? [typesTest(types, compiling, `${path}.types`)] : []),
    ...attributeTests(exact, "is", (value, text) => value === text, compiling, `${path}.exact`),
    ...attributeTests(prefix, "begins with", startsWith, compiling, `${path}.prefix`),
    ...attributeTests(suffix, "ends with", endsWith, compiling, `${path}.suffix`),
  ];
  const inner = async (each: Filter, at: string): Promise<Test> =>
    allTest(await testsOf(each, compiling, at, depth + 1), at);
  for (const [place, each] of all.entries()) tests.push(await inner(each, `${path}.all[${place}]`));
  if (any.length > 0) {
    const choices: Test[] = [];
    for (const [place, each] of any.entries()) choices.push(await inner(each, `${path}.any[${place}]`));
    tests.push(anyTest(choices, `${path}.any`));
  }
  if (not !== undefined) tests.push(notTest(await inner(not, `${path}.not`), `${path}.not`));
  if (cel !== "") tests.push(await conditionTest(cel, compiling, `${path}.cel`));
  return tests;
}

function typesTest(types: readonly string[], { types: known, budget }: Compiling, path: string): Test {
  for (const type of types) {
    spend(budget, type.length, path);
    if (!known.has(type)) throw wrong(path, unknownType(known, type));
  }
  const set = new Set(types);
  return {
    path,
    inner: [],
    holds: ({ attributes }) => set.has(attributes.get("type") ?? ""),
    why: ({ attributes }) => `type is ${JSON.stringify(attributes.get("type"))}`,
  };
}

function attributeTests(
  values: Readonly<Record<string, string>>,
  verb: string,
  isMatch: (value: string, text: string) => boolean,
  { budget }: Compiling,
  path: string,
): Test[] {
  return Object.entries(values).map(([name, text]) => {
    const at = `${path}.${name}`;
    spend(budget, name.length + text.length, path);
    if (!attributeName.test(name))
      throw wrong(at, "is no name of an attribute: those have a-z and 0-9 alone");
    if (text === "") throw wrong(at, "is empty, and no attribute is");
    return {
      path: at,
      inner: [],
      holds: ({ attributes }) => {
        const value = attributes.get(name);
        return value !== undefined && isMatch(value, text);
      },
      why({ attributes }) {
        const value = attributes.get(name);
        const asked = `asked is that it ${verb} ${JSON.stringify(text)}`;
        return value === undefined
          ? `the event has no ${name}`
          : `${name} is ${JSON.stringify(value)}; ${asked}`;
      },
    };
  });
}

function startsWith(value: string, text: string): boolean {
  return value.startsWith(text);
}

function endsWith(value: string, text: string): boolean {
  return value.endsWith(text);
}

function allTest(inner: readonly Test[], path: string): Test {
  return {
    path,
    inner,
    holds: allHold(inner),
    why: () => "all of it must hold",
  };
}

function anyTest(inner: readonly Test[], path: string): Test {
  return {
    path,
    inner,
    holds: (event) => inner.some((test) => test.holds(event)),
    why: () => "one of it must hold",
  };
}

function notTest(inner: Test, path: string): Test {
  return { path, inner: [], holds: (event) => !inner.holds(event), why: () => "it must not hold" };
}

async function conditionTest(text: string, compiling: Compiling, path: string): Promise<Test> {
  const { possible, types, registry, budget } = compiling;
  spend(budget, 0, path);
  budget.hasCondition = true;
  const schemas = [...(possible ?? [])].flatMap((type) => types.get(type)?.schema ?? []);
  const condition = await compileEventCondition(text, { registry, schemas }, path);
  return {
    path,
    inner: [],
    holds: (event) => condition.holds(event),
    why: () => "the condition is computed",
  };
}

function findingsOf(test: Test, event: ConditionEvent): Finding[] {
  const { path } = test;
  const inner = test.inner.flatMap((each) => findingsOf(each, event));
  try {
    return [{ path, holds: test.holds(event), why: test.why(event) }, ...inner];
  } catch (reason) {
    const why = reason instanceof Error ? reason.message : String(reason);
    return [{ path, holds: false, why: `it cannot be computed: ${why}` }, ...inner];
  }
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
