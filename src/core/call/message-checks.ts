import type { DescMethod, Message } from "@bufbuild/protobuf";

/** Checks of the messages of one rpc, beyond what their types say. */
export interface RpcChecks {
  /** Settles when the checks can be used, and rejects if they never can; undefined from then on. */
  readonly ready: Promise<void> | undefined;
  /** Throws the `ConnectError` by which a request is refused. Undefined: requests are not checked. */
  readonly request: ((message: Message) => void) | undefined;
  /** Throws for a reply that must not be sent. Undefined: replies are not checked. */
  readonly reply: ((message: Message) => void) | undefined;
}

/** The checks of an rpc; undefined where there is nothing to check. */
export type ChecksOf = (method: DescMethod) => RpcChecks | undefined;
