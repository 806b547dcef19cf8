import type { DescMethod, JsonObject, Message } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { CallHead } from "./call-head.ts";

/** A document for clients that want to be let in. @param request how the client has addressed this server */
export type GateDocument = (request: {
  /** `http` or `https`. */
  readonly scheme: string;
  /** Host and port. */
  readonly authority: string;
}) => JsonObject;

/** Whether credentials of a call are looked at: not at all, those that there are, or there must be good ones. */
export type CredentialNeed = "none" | "optional" | "required";

/** How clients can show who they are. */
export interface ShownCredential {
  /** Where it stands in a request: behind `Bearer` or `Basic`, in a header, in a cookie, or in a client certificate. */
  readonly in: "bearer" | "basic" | "header" | "cookie" | "certificate";
  /** Name of the header or the cookie; undefined for other places. */
  readonly name?: string | undefined;
  /** What it is, such as `jwt`. */
  readonly kind: string;
  /** Who gives it to clients, a URL; undefined where no server does. */
  readonly issuer?: string | undefined;
}

/** Looks at the messages of requests, of calls whose heads were let through. */
export interface MessageCheck {
  /** Whether there is something to look at now, for a gate whose rules can change. Default: always. */
  isDue?(): boolean;
  /** @throws ConnectError to refuse the call */
  check(message: Message, context: HandlerContext): void;
}

/**
 * Decides whether a call may go on, by its head alone: at every door, before the body of the request is read.
 *
 * Authentication, access rules, limits and overload control are gates.
 */
export interface Gate {
  /** Names the gate in errors of the start and in logs. */
  readonly name: string;
  /** Whether the gate is to be asked about the calls of an rpc; asked once, at registration. Default: every rpc. */
  concerns?(method: DescMethod): boolean;
  /**
   * Returns for a call that may go on, with or without a promise; without one the call costs none. What the gate finds
   * out is left in `call.context.values`.
   *
   * @throws ConnectError to refuse the call, best made by `refusal`; anything else becomes INTERNAL
   */
  admit(call: CallHead): void | Promise<void>;
  /**
   * Whether it counts calls, or lets each request in once. Such a gate is not asked when the client of calls under way shows
   * other credentials for them. Default: false.
   */
  readonly countsCalls?: boolean;
  /** Documents by their paths, all below `/.well-known/`, with which HTTP servers answer GET. Default: none. */
  readonly documents?: Readonly<Record<string, GateDocument>>;
  /**
   * What the gate looks at in every message of a request, once it is read; asked once for each rpc. Default: nothing, so
   * that a gateway can pass messages on as bytes.
   */
  messages?(method: DescMethod): MessageCheck | undefined;
  /** The credentials that it takes, by the names of who vouches for them; documents show them. Default: none. */
  credentials?(): Readonly<Record<string, ShownCredential>>;
  /** Whether calls of an rpc need credentials, which documents show. Default: the gate does not say. */
  needs?(method: DescMethod): CredentialNeed;
  /** Resolves when the gate can decide. Servers wait for it before they serve, and do not start if it rejects. */
  ready?(): Promise<void>;
}
