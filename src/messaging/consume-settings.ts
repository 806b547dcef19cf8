import type { MessageShape } from "@bufbuild/protobuf";
import {
  Consume_Ordering as StatedOrdering,
  ConsumeOutcome_Then as Then,
  type ConsumeSchema,
} from "../../gen/ts_ms/v1/messaging_pb.ts";
import { checkOptions, show } from "../core/config/check-options.ts";
import { codeName } from "../core/errors/code-name.ts";
import { type Code, largestKnownCode } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { BodyFraming } from "./body-codec.ts";
import { durationOf } from "./contract-text.ts";

/** What is handled in order: the messages of a key, those of a partition, or nothing. */
export type Ordering = "key" | "partition" | "none";

/** What becomes of a message whose run has failed: it is run again, is a dead letter at once, or is settled. */
export type Outcome = "retry" | "dead" | "drop";

/** What is said of an rpc otherwise than in its contract; what is left out is as the contract has it. */
export interface ConsumeOverride {
  /** What is read. */
  readonly topic?: string;
  /** With whom the work is shared. */
  readonly group?: string;
  /** The CloudEvents type that it takes. */
  readonly type?: string;
  /** Path of the field that orders commands. */
  readonly key?: string;
  readonly ordering?: Ordering;
  /** Whether the reply is dropped although it is not Empty. */
  readonly oneWay?: boolean;
  /** Of client-streaming rpcs: most messages of a run, and how long the first one waits in milliseconds. */
  readonly batch?: { readonly max?: number; readonly waitMs?: number };
  /** The longest time of a run, in milliseconds. */
  readonly timeoutMs?: number;
  /** Most runs of a message. */
  readonly attempts?: number;
  /** By names of codes, such as `NOT_FOUND`; other codes are as the contract has them. */
  readonly outcomes?: Readonly<Record<string, Outcome>>;
  /** What stands before the message in a body. */
  readonly framing?: BodyFraming;
}

/** What contract and override say together. */
export interface ConsumeSettings {
  readonly topic: string;
  readonly group: string;
  readonly type: string;
  readonly key: string;
  readonly ordering: Ordering | undefined;
  readonly oneWay: boolean;
  readonly batch: { readonly max: number; readonly waitMs: number } | undefined;
  readonly timeoutMs: number | undefined;
  readonly attempts: number | undefined;
  readonly outcomes: ReadonlyMap<Code, Outcome>;
  readonly framing: BodyFraming | undefined;
}

type Stated = MessageShape<typeof ConsumeSchema>;

/** The bounds of a batch of which the contract says no more. */
export const batchDefaults = Object.freeze({ max: 100, waitMs: 200 });

const orderings: ReadonlyMap<StatedOrdering, Ordering> = new Map([
  [StatedOrdering.KEY, "key"],
  [StatedOrdering.PARTITION, "partition"],
  [StatedOrdering.NONE, "none"],
]);
const outcomes: ReadonlyMap<Then, Outcome> = new Map([
  [Then.RETRY, "retry"],
  [Then.DEAD, "dead"],
  [Then.DROP, "drop"],
]);
const framings: readonly BodyFraming[] = ["none", "confluent"];
const codes: ReadonlyMap<string, Code> = new Map(
  Array.from({ length: largestKnownCode }, (_, place): [string, Code] => [codeName(place + 1), place + 1]),
);

const known = {
  topic: undefined,
  group: undefined,
  type: undefined,
  key: undefined,
  ordering: undefined,
  oneWay: undefined,
  batch: undefined,
  timeoutMs: 0,
  attempts: 0,
  outcomes: undefined,
  framing: undefined,
};

/**
 * What a contract and an override say of an rpc; the override wins field by field.
 *
 * @param owner the rpc with its file
 * @throws SetupError naming owner and field
 */
export function statedConsume(owner: string, stated: Stated, override: ConsumeOverride): ConsumeSettings {
  checkOptions<ConsumeOverride>(owner, override, known);
  const settings: ConsumeSettings = {
    topic: override.topic ?? stated.topic,
    group: override.group ?? stated.group,
    type: override.type ?? "",
    key: override.key ?? stated.key,
    ordering: override.ordering ?? orderings.get(stated.ordering),
    oneWay: override.oneWay ?? stated.oneWay,
    batch: batchOf(owner, stated, override),
    timeoutMs: override.timeoutMs ?? durationOf(owner, "timeout of (ts_ms.v1.consume)", stated.timeout),
    attempts: override.attempts ?? stated.attempts,
    outcomes: outcomesOf(owner, stated, override),
    framing: override.framing,
  };
  checkSettings(owner, settings);
  return settings;
}

function batchOf(owner: string, stated: Stated, { batch: given }: ConsumeOverride): ConsumeSettings["batch"] {
  const { batch } = stated;
  if (batch === undefined && given === undefined) return undefined;
  return {
    max: given?.max ?? (batch?.max || batchDefaults.max),
    waitMs:
      given?.waitMs ??
      durationOf(owner, "batch.wait of (ts_ms.v1.consume)", batch?.wait ?? "") ??
      batchDefaults.waitMs,
  };
}

function outcomesOf(owner: string, stated: Stated, override: ConsumeOverride): ReadonlyMap<Code, Outcome> {
  const all = new Map<Code, Outcome>();
  for (const { code, then } of stated.outcomes) {
    const outcome = outcomes.get(then);
    if (code < 1 || code > largestKnownCode || outcome === undefined) {
      throw new SetupError(`${owner}: outcomes of (ts_ms.v1.consume) need a code other than OK, and then`);
    }
    all.set(code as number, outcome); // The numbers of both enums are those of gRPC.
  }
  for (const [code, outcome] of outcomesByCode(owner, override.outcomes ?? {})) all.set(code, outcome);
  return all;
}

/**
 * Outcomes by the codes of errors.
 *
 * @param owner begins errors
 * @param byName by names of codes, such as `NOT_FOUND`
 * @throws SetupError naming owner and code
 */
export function outcomesByCode(
  owner: string,
  byName: Readonly<Record<string, Outcome>>,
): ReadonlyMap<Code, Outcome> {
  const all = new Map<Code, Outcome>();
  for (const [name, outcome] of Object.entries(byName)) {
    const code = codes.get(name);
    if (code === undefined) {
      throw new SetupError(
        `${owner}: outcomes names ${JSON.stringify(name)}, which is no code such as NOT_FOUND`,
      );
    }
    if (![...outcomes.values()].includes(outcome)) {
      throw new SetupError(`${owner}: outcomes.${name} must be retry, dead or drop, not ${show(outcome)}`);
    }
    all.set(code, outcome);
  }
  return all;
}

function checkSettings(
  owner: string,
  { ordering, batch, timeoutMs, attempts, framing }: ConsumeSettings,
): void {
  const wrong = (field: string, why: string): SetupError =>
    new SetupError(`${owner}: ${field} must be ${why}`);
  if (ordering !== undefined && ![...orderings.values()].includes(ordering)) {
    throw wrong("ordering", `key, partition or none, not ${show(ordering)}`);
  }
  if (framing !== undefined && !framings.includes(framing)) {
    throw wrong("framing", `none or confluent, not ${show(framing)}`);
  }
  if (timeoutMs !== undefined && !(timeoutMs > 0 && timeoutMs < 2 ** 31)) {
    throw wrong("timeoutMs", `above 0 and less than 24 days, not ${timeoutMs}`);
  }
  for (const [field, value] of [
    ["attempts", attempts],
    ["batch.max", batch?.max],
  ] as const) {
    if (value !== undefined && !(Number.isInteger(value) && value >= 1)) {
      throw wrong(field, `a whole number of at least 1, not ${value}`);
    }
  }
  if (batch !== undefined && !(batch.waitMs >= 0 && batch.waitMs < 2 ** 31)) {
    throw wrong("batch.waitMs", `0 or more and less than 24 days, not ${batch.waitMs}`);
  }
}
