import { nearestName } from "../../core/errors/nearest-name.ts";
import { type ConnectError, invalidArgument } from "../../core/errors/errors.ts";
import { IpRanges, parseIpRange } from "../../core/config/ip-ranges.ts";
import type { DoorName } from "../../core/admission/call-head.ts";
import type { Matches } from "./selectable.ts";

/**
 * Which connections are meant. All fields that are given must hold; of a field with several values one must, so that an
 * empty list selects nothing.
 */
export interface Selector {
  /** Ids. */
  readonly connections?: readonly string[];
  readonly users?: readonly string[];
  /** Rooms that a connection is in: `topic/room`, or `topic` for that without a name. */
  readonly rooms?: readonly string[];
  /** Topics that a connection reads. */
  readonly topics?: readonly string[];
  readonly doors?: readonly DoorName[];
  /** Ids of nodes. */
  readonly nodes?: readonly string[];
  /** Addresses and ranges such as `10.0.0.0/8`. */
  readonly addresses?: readonly string[];
  /** Tags that a connection must all have. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Connections that are not meant. */
  readonly except?: Selector;
  /** Every connection. */
  readonly everybody?: boolean;
}

/** What each field asks of an entry. @throws ConnectError INVALID_ARGUMENT naming the field */
type Compile<F extends keyof Selector> = (value: NonNullable<Selector[F]>, kit: SelectorKit) => Matches;

/** For what selectors are compiled. */
export interface SelectorScope {
  /** Id of the process. */
  readonly node: string;
  /** Whether there is a topic of a name. */
  hasTopic(name: string): boolean;
}

/** One selector that is compiled. */
interface SelectorKit {
  readonly scope: SelectorScope;
  /** Path of the selector, for errors. */
  readonly path: string;
  readonly depth: number;
}

const doorNames: ReadonlySet<string> = new Set<DoorName>([
  "grpc",
  "rest",
  "connect",
  "grpc-web",
  "sse",
  "ndjson",
  "websocket",
  "long-poll",
  "graphql",
  "mcp",
  "queue",
  "in-process",
]);

/** How deep selectors may be within one another. */
const maxDepth = 4;

const fields: { readonly [F in keyof Required<Selector>]: Compile<F> } = {
  connections(ids, { path }) {
    const wanted = textSet(ids, `${path}.connections`);
    return (entry) => wanted.has(entry.id);
  },
  users(users, { path }) {
    const wanted = textSet(users, `${path}.users`);
    return ({ user }) => user !== undefined && wanted.has(user);
  },
  doors(doors, { path }) {
    const wanted = textSet(doors, `${path}.doors`);
    for (const door of wanted) {
      if (!doorNames.has(door)) {
        throw wrong(`${path}.doors`, `${JSON.stringify(door)} is no door: ${[...doorNames].join(", ")}`);
      }
    }
    return ({ door }) => wanted.has(door);
  },
  rooms(rooms, { scope, path }) {
    const wanted = [...textSet(rooms, `${path}.rooms`)];
    for (const room of wanted) checkTopic(room.split("/", 1)[0] ?? "", `${path}.rooms`, scope);
    return (entry) => wanted.some((room) => entry.isIn(room));
  },
  topics(topics, { scope, path }) {
    const wanted = [...textSet(topics, `${path}.topics`)];
    for (const topic of wanted) checkTopic(topic, `${path}.topics`, scope);
    return (entry) => wanted.some((topic) => entry.reads(topic));
  },
  nodes(nodes, { scope, path }) {
    const isHere = textSet(nodes, `${path}.nodes`).has(scope.node);
    return () => isHere;
  },
  addresses(addresses, { path }) {
    const ranges = rangesOf(addresses, `${path}.addresses`);
    return ({ address }) => ranges.has(address);
  },
  tags(tags, { path }) {
    if (!isPlain(tags)) throw wrong(`${path}.tags`, "names with their values are expected");
    const wanted = Object.entries(tags);
    return (entry) => wanted.every(([name, value]) => entry.tag(name) === value);
  },
  except(selector, { scope, path, depth }) {
    const matches = compile(selector, { scope, path: `${path}.except`, depth: depth + 1 });
    return (entry) => !matches(entry);
  },
  everybody: (isEverybody) => () => isEverybody,
};

/**
 * Compiles a selector for the connections of one process.
 *
 * @param needsField whether a selector without any field is an error. Default: it selects every connection
 * @throws ConnectError INVALID_ARGUMENT naming the field
 */
export function compileSelector(selector: Selector, scope: SelectorScope, needsField = false): Matches {
  const { everybody, ...others } = isPlain(selector) ? selector : {};
  const isEmpty =
    everybody !== true && Object.values(others).every((value) => value === undefined || value === null);
  if (needsField && isEmpty) throw invalidArgument("a selector needs a field, or everybody: true");
  return compile(selector, { scope, path: "selector", depth: 1 });
}

/** @throws ConnectError INVALID_ARGUMENT naming the address that is none */
export function rangesOf(addresses: readonly string[], path: string): IpRanges {
  const texts = [...textSet(addresses, path)];
  return new IpRanges(
    texts.map((text) => {
      const range = parseIpRange(text);
      if (range !== undefined) return range;
      throw wrong(path, `${JSON.stringify(text)} is no address and no range such as 10.0.0.0/8`);
    }),
  );
}

function compile(selector: Selector, kit: SelectorKit): Matches {
  const { path, depth } = kit;
  if (!isPlain(selector)) throw wrong(path, "an object with fields is expected");
  if (depth > maxDepth) throw wrong(path, `selectors are at most ${maxDepth} deep within one another`);
  const tests: Matches[] = [];
  for (const [name, value] of Object.entries(selector)) {
    if (value === undefined || value === null || (name === "everybody" && value === false)) continue;
    if (!isField(name)) {
      const near = nearestName(name, Object.keys(fields));
      throw wrong(
        `${path}.${name}`,
        `there is no such field${near === undefined ? "" : `; did you mean ${near}?`}`,
      );
    }
    const field = fields[name] as Compile<keyof Selector>; // The value is that of the name.
    tests.push(field(value, kit));
  }
  const [only] = tests;
  if (only === undefined) return () => true;
  return tests.length === 1 ? only : (entry) => tests.every((test) => test(entry));
}

function checkTopic(topic: string, path: string, scope: SelectorScope): void {
  if (!scope.hasTopic(topic)) throw wrong(path, `there is no topic ${JSON.stringify(topic)}`);
}

function isField(name: string): name is keyof Selector {
  return Object.hasOwn(fields, name);
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textSet(values: unknown, path: string): ReadonlySet<string> {
  const isList = Array.isArray(values) && values.every((value) => typeof value === "string");
  if (!isList) throw wrong(path, "a list of texts is expected");
  return new Set<string>(values);
}

function wrong(field: string, description: string): ConnectError {
  return invalidArgument(`${field}: ${description}`, [{ field, description }]);
}
