import { createContextKey, type ContextKey } from "@connectrpc/connect";

/** Where a call entered this process. */
export interface CallOrigin {
  /** Protocol of the request that entered this process: `grpc`, `rest`, `connect`, `in-process` … */
  readonly protocol: string;
  /** Whether the gateway in front already notifies its observers of this call. */
  readonly observed: boolean;
}

/** Context value by which the gateway passes the origin of a call to the in-process transport. */
export const callOrigin: ContextKey<CallOrigin | undefined> = createContextKey<CallOrigin | undefined>(
  undefined,
  { description: "origin of the call" },
);
