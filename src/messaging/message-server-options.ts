import type { Registry } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import type { Gate } from "../core/admission/gate.ts";
import type { FaultLogOptions } from "../core/call/fault-log.ts";
import type { Interceptor } from "../core/call/interceptors.ts";
import type { CallObserver } from "../core/call/observer.ts";
import { checkOptions, checkRequired, hasFunctions, show } from "../core/config/check-options.ts";
import type { DialableServer, DialOptions } from "../core/dial.ts";
import type { Code } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { Clock } from "../core/time/clock.ts";
import type { BreakerOptions } from "../core/resilience/breaker-options.ts";
import type { Principal } from "../core/security/principal.ts";
import { checkUpstream } from "../core/upstream/upstream.ts";
import type { BodyFraming } from "./body-codec.ts";
import type { Broker } from "./broker.ts";
import type { Outcome } from "./consume-settings.ts";
import type { Inbox } from "./inbox.ts";
import type { ConsumedMessage } from "./message-context.ts";
import type { RetryOptions } from "./retry.ts";

/** Options of `MessageServer`. Sizes are in bytes, times in milliseconds. */
export interface MessageServerOptions extends FaultLogOptions {
  readonly broker: Broker;
  /** What answers the calls that messages become: a server of this process, a target, or a transport. */
  readonly upstream: DialableServer | string | Transport;
  /** How a server of this process is called. Default: `in-process`. */
  readonly dial: "in-process" | "network";
  /** Options of connections over the network. */
  readonly dialOptions: Partial<Omit<DialOptions, "interceptors" | "network">>;
  /** Decide on each call before its body is read; they see the door `queue`. Default: none. */
  readonly gates: readonly Gate[];
  /** Around each call, the outermost first. Default: none. */
  readonly interceptors: readonly Interceptor[];
  /** Notified of each call. Default: none. */
  readonly observers: readonly CallObserver[];
  /** Who makes the calls: messages say nothing that is believed. Default: an anonymous client. */
  readonly identity: Principal | ((message: ConsumedMessage) => Principal | undefined) | undefined;
  /** Names of further headers of messages that become metadata. Default: none. */
  readonly forwardHeaders: readonly string[];
  /** Handlers at once, for each subscription of this process. Default: 32. */
  readonly concurrency: number;
  /** Deliveries that are not settled, for each subscription; on Kafka for each partition. Default: 64. */
  readonly prefetch: number;
  /** What waits in one subscription. Default: 16 MiB. */
  readonly maxBufferedBytes: number;
  /** One body, after decompression. Default: 4 MiB. */
  readonly maxMessageBytes: number;
  /** All headers of a message. Default: 16 KiB. */
  readonly maxHeaderBytes: number;
  /** The longest time of one run. Default: 30,000. */
  readonly timeoutMs: number;
  /** How messages are tried again. Default: after 1 s, 5 s, 30 s and 2 min. */
  readonly retry: RetryOptions;
  /** What becomes of messages by the codes of errors, where contracts do not say it. Default: see `verdictOf`. */
  readonly outcomes: ReadonlyMap<Code, Outcome>;
  /** Whether messages that cannot be handled are kept; otherwise they are dropped and logged. Default: true. */
  readonly deadLetters: boolean;
  /** Pauses a subscription while a dependency of its handlers is away. Default: see `consumeBreakerDefaults`. */
  readonly breaker: false | Partial<BreakerOptions>;
  /** Knows which messages are done, so that each has its effect once. Default: none. */
  readonly inbox: Inbox | undefined;
  /** Whether the inbox is asked before each run. Default: true. */
  readonly inboxPrecheck: boolean;
  /**
   * What becomes of a type that no rpc of the group takes. Default: `skip` where a group reads events, `retry` where it
   * takes commands.
   */
  readonly unknownType: "skip" | "retry" | "dead" | undefined;
  /** The rpc, `package.Service/Method`, of messages without attributes. Default: `dead`. */
  readonly untyped: string;
  /** What stands before the message in a body. Default: nothing. */
  readonly framing: BodyFraming;
  /** What becomes of messages without a body. Default: `skip`. */
  readonly tombstones: "skip" | "dead";
  /** After how many deliveries, or with an inbox runs that did not end, a message is a dead letter. */
  readonly crashLimit: { readonly deliveries: number; readonly runs: number };
  /** How long a delivery may be unsettled. Default: 1,500,000. */
  readonly ackTimeoutMs: number;
  /** Where a new group begins. Default: `start`. */
  readonly from: "start" | "new";
  /** Whether missing queues and topics are made. Default: true. */
  readonly declare: boolean;
  /** Whether every process reads everything, by a group that ends with it. Default: false. */
  readonly broadcast: boolean;
  /** Types that `google.protobuf.Any` in JSON bodies may contain. Default: none. */
  readonly registry: Registry | undefined;
  /** Whether services come later, by `serveContracts`: until then the server is not ready. Default: false. */
  readonly awaitServices: boolean;
}

/** What only the library and its tests set. */
export interface MessageServerParts {
  readonly clock?: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs?: () => number;
  /** Returns numbers from 0 to 1. */
  readonly random?: () => number;
}

/** What must be given. */
export type RequiredMessageOptions = Pick<MessageServerOptions, "broker" | "upstream">;

/** The defaults of `MessageServerOptions`. */
export const messageServerDefaults: Omit<MessageServerOptions, keyof RequiredMessageOptions> = Object.freeze({
  dial: "in-process",
  dialOptions: {},
  gates: [],
  interceptors: [],
  observers: [],
  logger: undefined,
  identity: undefined,
  forwardHeaders: [],
  concurrency: 32,
  prefetch: 64,
  maxBufferedBytes: 16 * 1024 * 1024,
  maxMessageBytes: 4 * 1024 * 1024,
  maxHeaderBytes: 16 * 1024,
  timeoutMs: 30_000,
  retry: Object.freeze({
    delaysMs: Object.freeze([1_000, 5_000, 30_000, 120_000]),
    mode: "auto",
    jitter: 0.2,
  }),
  outcomes: new Map(),
  deadLetters: true,
  breaker: {},
  inbox: undefined,
  inboxPrecheck: true,
  unknownType: undefined,
  untyped: "dead",
  framing: "none",
  tombstones: "skip",
  crashLimit: Object.freeze({ deliveries: 50, runs: 5 }),
  ackTimeoutMs: 1_500_000,
  from: "start",
  declare: true,
  broadcast: false,
  registry: undefined,
  awaitServices: false,
});

/** What a caller gives: groups of options may be given in part. */
export type GivenMessageOptions = Partial<Omit<MessageServerOptions, "retry" | "crashLimit">> &
  RequiredMessageOptions & {
    readonly retry?: Partial<RetryOptions>;
    readonly crashLimit?: Partial<MessageServerOptions["crashLimit"]>;
  };

const owner = "MessageServer";

/** The options with their defaults. @throws SetupError naming the option that cannot be used, and what it must be */
export function mergeMessageOptions(given: GivenMessageOptions): MessageServerOptions {
  const known = { ...messageServerDefaults, broker: undefined, upstream: undefined };
  checkOptions<MessageServerOptions>(owner, given, known);
  const { broker } = given;
  checkRequired(
    owner,
    "broker",
    broker,
    hasFunctions(broker, "publish", "subscribe"),
    "a broker, as openBroker makes",
  );
  checkUpstream(owner, given.upstream);
  const { retry, crashLimit } = messageServerDefaults;
  const merged: MessageServerOptions = {
    ...messageServerDefaults,
    ...given,
    retry: { ...retry, ...given.retry },
    crashLimit: { ...crashLimit, ...given.crashLimit },
  };
  checkNumbers(merged);
  checkWords(merged);
  return merged;
}

function checkNumbers(options: MessageServerOptions): void {
  const { retry, crashLimit } = options;
  const counts = [
    "concurrency",
    "prefetch",
    "maxBufferedBytes",
    "maxMessageBytes",
    "maxHeaderBytes",
  ] as const;
  for (const name of counts) checkCount(name, options[name]);
  checkCount("crashLimit.deliveries", crashLimit.deliveries);
  checkCount("crashLimit.runs", crashLimit.runs);
  for (const name of ["timeoutMs", "ackTimeoutMs"] as const) {
    const ms = options[name];
    check(name, ms, ms > 0 && ms < 2 ** 31, "a number of milliseconds above 0 and below 24 days");
  }
  const { delaysMs, jitter } = retry;
  const isDelays =
    Array.isArray(delaysMs) && delaysMs.every((ms) => Number.isInteger(ms) && ms > 0 && ms < 2 ** 31);
  check("retry.delaysMs", delaysMs, isDelays, "a list of whole numbers of milliseconds above 0");
  check("retry.jitter", jitter, jitter >= 0 && jitter <= 1, "a number from 0 to 1");
}

function checkWords(options: MessageServerOptions): void {
  const { retry, unknownType, framing, tombstones, from, untyped } = options;
  checkWord("retry.mode", retry.mode, ["auto", "hold", "later"]);
  if (unknownType !== undefined) checkWord("unknownType", unknownType, ["skip", "retry", "dead"]);
  checkWord("framing", framing, ["none", "confluent"]);
  checkWord("tombstones", tombstones, ["skip", "dead"]);
  checkWord("from", from, ["start", "new"]);
  const isRpc = untyped === "dead" || /^[\w.]+\/\w+$/.test(untyped);
  check("untyped", untyped, isRpc, '"dead", or an rpc such as shop.v1.StockService/Reserve');
}

function checkCount(name: string, value: number): void {
  check(name, value, Number.isInteger(value) && value >= 1, "a whole number, at least 1");
}

function checkWord(name: string, value: string, words: readonly string[]): void {
  check(name, value, words.includes(value), words.map((word) => JSON.stringify(word)).join(" or "));
}

function check(name: string, value: unknown, isGood: boolean, allowed: string): void {
  if (!isGood) throw new SetupError(`${owner}: the option ${name} must be ${allowed}, not ${show(value)}`);
}
