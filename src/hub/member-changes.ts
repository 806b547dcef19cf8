import type { HandlerContext } from "@connectrpc/connect";
import { Code, ConnectError, invalidArgument, toCallError } from "../core/errors/errors.ts";
import type { HubOutcome } from "./connections/close.ts";
import type { Entry } from "./connections/entry.ts";
import { checkedIdentity, type Identity } from "./connections/identity.ts";
import { forSelected, type SelectedCalls } from "./connections/selected.ts";
import type { Matches } from "./connections/selectable.ts";
import type { LiveConnections } from "./live-connections.ts";
import { Member } from "./room/member.ts";
import type { HubTopic } from "./topic.ts";
import type { Topics } from "./topics.ts";

/** Codes of errors that say nothing about what a client may: the call ends with them as they are. */
const notDecided: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Internal,
  Code.Unknown,
]);

/** Changes from outside the calls: further rooms, fewer rooms, decisions that are taken again. */
export class MemberChanges {
  readonly #live: LiveConnections;
  readonly #topics: Topics;
  readonly #identify: (context: HandlerContext) => Identity | Promise<Identity>;

  constructor(
    live: LiveConnections,
    topics: Topics,
    identify: (context: HandlerContext) => Identity | Promise<Identity>,
  ) {
    this.#live = live;
    this.#topics = topics;
    this.#identify = identify;
  }

  /** See `Hub.join`. */
  async join(matches: Matches, path: string): Promise<HubOutcome> {
    const { topic, room } = this.roomOf(path);
    return forSelected(this.#live.table, matches, async (entry, calls) => {
      const reading = membersOf(entry, calls).filter((member) => member.reads(topic.name));
      const joined = await Promise.allSettled(reading.map((member) => topic.members.add(member, room)));
      return joined.length > 0 && joined.every(({ status }) => status === "fulfilled");
    });
  }

  /** See `Hub.leave`. */
  async leave(matches: Matches, path: string): Promise<HubOutcome> {
    this.roomOf(path);
    return forSelected(this.#live.table, matches, async (entry, calls) => {
      const there = membersOf(entry, calls).filter((member) => member.isIn(path));
      for (const member of there) {
        const membership = member.memberships.find(({ room }) => room.path === path);
        if (membership !== undefined) member.leave(membership);
      }
      return there.length > 0;
    });
  }

  /** See `Hub.recheck`. */
  async recheck(matches: Matches): Promise<HubOutcome> {
    return forSelected(this.#live.table, matches, async (entry, calls) => {
      const results = await Promise.all(membersOf(entry, calls).map((member) => this.#recheck(member)));
      return results.every(Boolean);
    });
  }

  /** Asks again where a grant has ended. @returns when the next one of a connection does; Infinity for never */
  recheckDue(entry: Entry, nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const member of membersOf(entry, "all")) {
      let isDue = false;
      for (const membership of member.memberships) {
        const { endsAtMs } = membership.grant;
        if (endsAtMs === undefined) continue;
        if (endsAtMs > nowMs) nextMs = Math.min(nextMs, endsAtMs);
        else {
          isDue = true;
          membership.grant = { ...membership.grant, endsAtMs: undefined }; // It is asked once.
        }
      }
      if (isDue) void this.#recheck(member);
    }
    return nextMs;
  }

  /** Asks `authorize` again for calls whose identity is another one now. */
  renewed(entry: Entry, calls: readonly HandlerContext[]): void {
    for (const member of membersOf(entry, "all")) {
      if (calls.includes(member.context)) void this.#recheck(member, member.identity);
    }
  }

  /** Never rejects. @param known the identity of the call; asked for by default. @returns whether the call may go on */
  async #recheck(member: Member, known?: Identity): Promise<boolean> {
    const { entry, context, memberships } = member;
    const topic = this.#topics.find(memberships[0]?.room.topic ?? "");
    if (topic === undefined || member.isOver) return !member.isOver;
    try {
      if (known === undefined) {
        const identity = checkedIdentity(await this.#identify(context));
        entry.identifiedAgain(context, identity);
        this.#live.ends(identity.expiresAtMs);
      }
      await topic.members.recheck(member);
      return !member.isOver;
    } catch (reason) {
      context.abort(refusedAgain(toCallError(reason)));
      return false;
    }
  }

  /** @param field where the path comes from. @throws ConnectError INVALID_ARGUMENT naming it */
  roomOf(path: string, field = "room"): { readonly topic: HubTopic; readonly room: string } {
    if (typeof path !== "string") throw invalidArgument(`${field}: a text is expected`);
    const end = path.indexOf("/");
    const topic = this.#topics.named(end === -1 ? path : path.slice(0, end), field);
    const room = end === -1 ? "" : path.slice(end + 1);
    topic.checkRoom(room, field);
    return { topic, room };
  }
}

function membersOf({ readers }: Entry, calls: SelectedCalls): readonly Member[] {
  const members = readers.filter((reader) => reader instanceof Member);
  return calls === "all" ? members : members.filter(({ context }) => calls.includes(context));
}

function refusedAgain(error: ConnectError): ConnectError {
  if (error.code === Code.PermissionDenied || notDecided.has(error.code)) return error;
  const refused = new ConnectError(error.rawMessage, Code.PermissionDenied);
  refused.details = error.details;
  return refused;
}
