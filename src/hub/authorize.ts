import type { Message } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { CallContext } from "../core/call/context.ts";
import { Code, ConnectError } from "../core/errors/errors.ts";
import type { Entry } from "./connections/entry.ts";
import { checkTags } from "./connections/identity.ts";
import { compileFilter } from "./room/header-filter.ts";
import type { Patience } from "./patience.ts";
import type { Grant } from "./room/membership.ts";
import type { JoinGrant, TopicInit } from "./topic-options.ts";

/** A call that wants to read rooms. */
export interface Asking {
  readonly entry: Entry;
  readonly context: CallContext;
  /** Undefined where the handler joins rooms itself. */
  readonly request: Message | undefined;
}

/** How a topic decides on its rooms. */
export interface Deciding {
  readonly authorize: TopicInit["authorize"];
  /** Writes what others see of a member; undefined where a topic tells nothing of its members. */
  readonly packInfo: ((info: Message) => Any) | undefined;
}

const everything: Grant = Object.freeze({});

/**
 * What `authorize` grants for each room, asked for all at once with the identity that the call has now. No promise where
 * the topic has none.
 *
 * @throws ConnectError what one of them throws, or UNAVAILABLE when they take too long; PERMISSION_DENIED for a grant
 *   that has ended
 */
export function authorizeRooms(
  { authorize, packInfo }: Deciding,
  { entry, context, request }: Asking,
  rooms: readonly string[],
  wallMs: () => number,
  patience: Patience,
): Promise<readonly Grant[]> | readonly Grant[] {
  if (authorize === undefined) return rooms.map(() => everything);
  const identity = entry.identityOf(context);
  const { user } = identity;
  const asked = rooms.map(async (room) => {
    const { signal } = context;
    const granted = await authorize({ user, identity, room, request, connection: entry.describe(), signal });
    return grantOf(granted ?? {}, wallMs(), packInfo);
  });
  return patience.of(Promise.all(asked));
}

function grantOf(
  { filter, expiresAtMs, tags, info }: JoinGrant,
  nowMs: number,
  packInfo: Deciding["packInfo"],
): Grant {
  if (expiresAtMs !== undefined && !(expiresAtMs > nowMs)) {
    throw new ConnectError("what was granted has ended", Code.PermissionDenied);
  }
  checkTags(tags, "authorize");
  if (info !== undefined && packInfo === undefined) {
    throw new Error("authorize grants an info, and the topic has no presence that tells it");
  }
  return {
    wants: filter && compileFilter(filter),
    endsAtMs: expiresAtMs,
    tags,
    info: info && packInfo?.(info),
  };
}
