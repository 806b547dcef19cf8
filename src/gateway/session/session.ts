import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { principalKey, type Principal } from "../../core/security/principal.ts";
import { type LiveSession, sessionKey } from "./live-session.ts";

/** The session of a call, as one message of the program. */
export interface Session<T extends DescMessage> {
  /** What the session has; the empty message where it has none. Its changes are of no effect: see `update`. */
  readonly data: MessageShape<T>;
  /** What pages send as `x-csrf-token`; undefined before something was kept. */
  readonly csrfToken: string | undefined;
  /**
   * Changes the message and keeps it, in this session or a new one.
   *
   * @param change changes the message that it gets, or returns another one
   * @throws ConnectError INTERNAL for a session that is larger than a cookie can be, FAILED_PRECONDITION where the answer
   * can have no cookie: over gRPC, on a WebSocket, or behind the first message of a stream
   */
  update(change: (data: MessageShape<T>) => unknown): void;
}

type Call = Pick<HandlerContext, "values">;

/**
 * The session of a call. Several messages can be in one, by their types.
 *
 * @throws ConnectError UNAVAILABLE while the store of sessions is away
 * @throws TypeError where the server that the client has called has no sessions
 */
export function session<T extends DescMessage>(context: Call, schema: T): Session<T> {
  const live = liveOf(context);
  return {
    get data() {
      return live.read(schema);
    },
    get csrfToken() {
      return live.csrfToken;
    },
    update(change) {
      const data = live.read(schema);
      change(data);
      live.write(schema, data);
    },
  };
}

/**
 * Logs a principal in: the session of the call takes a new name, and cookies of the old one are of no use any more. What
 * the session holds stays.
 *
 * @param who for example what an identity provider has said
 * @returns the principal as it is for this and later calls, of the kind `session`
 * @throws ConnectError as `session` and `Session.update`
 */
export async function login(
  context: Call,
  who: Pick<Principal, "id"> & Partial<Pick<Principal, "issuer" | "scopes" | "roles" | "claims">>,
): Promise<Principal> {
  const { id, issuer, scopes = new Set(), roles = new Set(), claims = {} } = who;
  const found = await liveOf(context).login({ id, issuer, scopes, roles, claims });
  context.values.set(principalKey, found);
  return found;
}

/**
 * Ends the session of a call, all that it holds included: copies of its cookie are of no use from then on.
 *
 * @throws ConnectError UNAVAILABLE while the store of sessions is away
 */
export async function logout(context: Call): Promise<void> {
  await liveOf(context).logout();
  context.values.set(principalKey, undefined);
}

function liveOf({ values }: Call): LiveSession {
  const live = values.get(sessionKey);
  if (live !== undefined) return live;
  throw new TypeError(
    "the call has no session: give HttpServer the gate of sessions(…), and run the handler in its process",
  );
}
