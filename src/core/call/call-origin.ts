import { createContextKey, type ContextKey } from "@connectrpc/connect";

/** Where a call entered this process. */
export interface CallOrigin {
  /** Protocol that the outermost caller spoke: `grpc`, `rest`, `connect`, `in-process` … */
  readonly protocol: string;
  /** Whether a server in front (the gateway) counts and logs this call already. */
  readonly observed: boolean;
}

/** Context value by which the gateway tells the in-process transport where a call came from. */
export const callOrigin: ContextKey<CallOrigin | undefined> = createContextKey<CallOrigin | undefined>(
  undefined,
  { description: "origin of the call" },
);
