import type { Registry } from "@bufbuild/protobuf";
import { show } from "../core/config/check-options.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import { programDefaults } from "../core/targets/program-defaults.ts";
import type { BodyEncoding } from "./body-codec.ts";

/** What publishers and `dial` to a broker have in common. */
export interface SenderOptions {
  /** The CloudEvents `source`, a URI reference. Default: `/` and `app.name` of the configuration, else the name of the program's file. */
  readonly source: string;
  /** How bodies are written. Default: `protobuf`. */
  readonly encoding: BodyEncoding;
  /** `structured` has the attributes in a body of JSON, for readers that do not see headers. Default: `binary`. */
  readonly mode: "binary" | "structured";
  /** The longest wait for the broker's confirm, in milliseconds. Default: 5,000. */
  readonly timeoutMs: number;
  /** Most messages that are sent and not confirmed; further ones wait in order. Default: 1,000. */
  readonly maxInFlight: number;
  /** The same in bytes of their bodies. Default: 16 MiB. */
  readonly maxInFlightBytes: number;
  /** Most messages that wait; further ones are UNAVAILABLE at once. Default: 10,000. */
  readonly maxWaiting: number;
  /** The largest body; a larger one is RESOURCE_EXHAUSTED before anything is sent. Default: 1 MiB. */
  readonly maxMessageBytes: number;
  /** Headers of calls that messages have besides the usual ones. `authorization` may be one. Default: none. */
  readonly forwardHeaders: readonly string[];
  /** Types that `google.protobuf.Any` may hold in bodies of JSON, beside the standard ones. Default: none. */
  readonly registry: Registry | undefined;
}

/** The defaults of `SenderOptions`, but for `source`. */
export const senderDefaults: Omit<SenderOptions, "source"> = Object.freeze({
  encoding: "protobuf",
  mode: "binary",
  timeoutMs: 5_000,
  maxInFlight: 1_000,
  maxInFlightBytes: 16 * 1024 * 1024,
  maxWaiting: 10_000,
  maxMessageBytes: 1024 * 1024,
  forwardHeaders: [],
  registry: undefined,
});

/** @throws SetupError naming the option that cannot be used */
export function checkSender(owner: string, options: SenderOptions): void {
  const { source, encoding, mode, timeoutMs } = options;
  const wrong = (name: keyof SenderOptions, must: string): SetupError =>
    new SetupError(`${owner}: the option ${name} must be ${must}, not ${show(options[name])}`);
  if (source === "" || /\s/.test(source)) throw wrong("source", "a URI reference such as /shop");
  if (!["protobuf", "json"].includes(encoding)) throw wrong("encoding", '"protobuf" or "json"');
  if (!["binary", "structured"].includes(mode)) throw wrong("mode", '"binary" or "structured"');
  if (!(timeoutMs > 0 && timeoutMs < 2 ** 31)) throw wrong("timeoutMs", "above 0 and less than 24 days");
  for (const name of ["maxInFlight", "maxInFlightBytes", "maxMessageBytes"] as const) {
    if (!(options[name] >= 1)) throw wrong(name, "at least 1");
  }
  if (!(options.maxWaiting >= 0)) throw wrong("maxWaiting", "0 or more");
}

/** `/` and the name of the program: `app.name` of its configuration, else that of its file. */
export function defaultSource(): string {
  const name = programDefaults()?.name;
  if (name !== undefined) return `/${encodeURIComponent(name)}`;
  const file = process.argv[1]?.split(/[\\/]/).pop() ?? "";
  return `/${encodeURIComponent(file.replace(/\.[cm]?[jt]s$/, "") || "ts-ms")}`;
}
