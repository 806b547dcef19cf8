import { checkOptions, show } from "../core/config/check-options.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import { checkSender, defaultSource, type SenderOptions, senderDefaults } from "./sender-options.ts";

/** Options of `dial` to a broker, beside `interceptors`, `ambient` and `defaultTimeoutMs`. */
export interface BrokerDialOptions extends Omit<SenderOptions, "timeoutMs"> {
  /**
   * The longest wait for the broker's confirm of a command, and for the reply of a call without a deadline, in
   * milliseconds. Default: 5,000 for a confirm, 30,000 for a reply.
   */
  readonly timeoutMs: number | undefined;
  /** Most calls that wait for their replies; further ones are UNAVAILABLE at once. Default: 1,000. */
  readonly maxCalls: number;
  /**
   * Which rpcs are called, so that their reply is waited for: `auto` those whose reply is neither Empty nor `one_way`,
   * `always` all, `never` none; the others are sent, and answered when the broker has stored them. Default: `auto`.
   */
  readonly call: "auto" | "always" | "never";
}

/** The defaults of `BrokerDialOptions`, but for `source`. */
export const brokerDialDefaults: Omit<BrokerDialOptions, "source"> = Object.freeze({
  ...senderDefaults,
  timeoutMs: undefined,
  maxCalls: 1_000,
  call: "auto",
});

/** How long a reply is waited for without a deadline and an option, in milliseconds. */
export const replyTimeoutMs = 30_000;

/** The options with their defaults. @throws SetupError naming the option that cannot be used */
export function mergeBrokerDialOptions(options: Partial<BrokerDialOptions>): BrokerDialOptions {
  checkOptions<BrokerDialOptions>("dial", options, { ...brokerDialDefaults, source: "" });
  const merged = { source: defaultSource(), ...brokerDialDefaults, ...options };
  checkSender("dial", { ...merged, timeoutMs: merged.timeoutMs ?? senderDefaults.timeoutMs });
  if (!(merged.maxCalls >= 1))
    throw new SetupError(`dial: the option maxCalls must be at least 1, not ${merged.maxCalls}`);
  if (!["auto", "always", "never"].includes(merged.call)) {
    throw new SetupError(
      `dial: the option call must be "auto", "always" or "never", not ${show(merged.call)}`,
    );
  }
  return merged;
}
