import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";

/** One check of the messages of a request. */
export interface RequestCheck {
  /** Who makes it: of two servers of a process, each calling the other, one makes it. */
  readonly by: object;
  /** Whether there is something to check now. Default: always. */
  readonly isDue?: (() => boolean) | undefined;
  /** Throws the `ConnectError` by which a request is refused. */
  readonly check: (message: Message, context: HandlerContext) => void;
}

/** Checks of the messages of one rpc, beyond what their types say. */
export interface RpcChecks {
  /** Settles when the checks can be used, and rejects if they never can; undefined from then on. */
  readonly ready: Promise<void> | undefined;
  /** Made of each message in this order. Empty: requests are not checked. */
  readonly requests: readonly RequestCheck[];
  /** Throws for a reply that must not be sent. Undefined: replies are not checked. */
  readonly reply: ((message: Message) => void) | undefined;
}

/** The checks of an rpc; undefined where there is nothing to check. */
export type ChecksOf = (method: DescMethod) => RpcChecks | undefined;

/** `checks` and behind them further ones of the requests; undefined for nothing to check. */
export function joinChecks(
  checks: RpcChecks | undefined,
  further: readonly RequestCheck[],
): RpcChecks | undefined {
  if (further.length === 0) return checks;
  return {
    get ready() {
      return checks?.ready;
    },
    requests: [...(checks?.requests ?? []), ...further],
    reply: checks?.reply,
  };
}
