import { type Message, toJson } from "@bufbuild/protobuf";
import { ResetSchema } from "../../gen/ts_ms/hub/v1/events_pb.ts";
import type { CallContext } from "../core/call/context.ts";
import { pushesItems, type PushSink, type PushSource } from "../core/call/push-source.ts";
import type { StreamPlace } from "../core/call/stream-place.ts";
import { positionHeader, resetHeader, resumeHeader } from "../core/metadata/stream-position.ts";
import type { Joined } from "./join.ts";
import type { Member } from "./room/member.ts";
import { resetOf } from "./topic-messages.ts";

/** Reads a member that the first `next()` makes, or `push`. */
export class JoiningReader implements PushSource<Message> {
  readonly [pushesItems] = true;
  readonly #join: () => Promise<Pick<Joined, "member">>;
  #joining: Promise<Pick<Joined, "member">> | undefined;
  #member: Member | undefined;

  constructor(join: () => Promise<Pick<Joined, "member">>) {
    this.#join = join;
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    if (this.#member !== undefined) return this.#member.next();
    this.#joining ??= this.#join();
    return this.#joining.then(({ member }) => (this.#member = member).next());
  }

  push(sink: PushSink): void {
    this.#joining ??= this.#join();
    this.#joining.then(
      ({ member }) => (this.#member = member).push(sink),
      (reason: unknown) => sink.failed(reason),
    );
  }

  resume(): void {
    this.#member?.resume();
  }

  async return(): Promise<IteratorResult<Message, undefined>> {
    if (this.#joining !== undefined)
      void this.#joining.then(
        ({ member }) => member.return(),
        () => {},
      ); // Refused: in no room.
    return { done: true, value: undefined };
  }
}

/** Tells the client of a call that it has joined, and where it begins, before the first message. */
export function tellBeginning(context: CallContext, { member, result, resets }: Joined): void {
  const saysResets = member.memberships[0]?.room.kind.resetMessage !== undefined;
  if (result === undefined) context.responseHeaderArrived();
  else tellPlace(context, member, { result, resets, saysResets });
}

/** How a stream begins that has a place. */
export interface PlaceTold extends Pick<Joined, "resets"> {
  readonly result: NonNullable<Joined["result"]>;
  /** Whether messages say what is missing. */
  readonly saysResets: boolean;
}

/** As `tellBeginning`, for any stream whose client may go on from its place. */
export function tellPlace(
  context: CallContext,
  place: StreamPlace,
  { result, resets, saysResets }: PlaceTold,
): void {
  const position = place.positionText() ?? "";
  context.setResponseField(positionHeader, position);
  context.setResponseField(resumeHeader, result);
  if (resets.length > 0 && !saysResets) {
    const said = resets.map((reset) => toJson(ResetSchema, resetOf(reset, position)));
    context.setResponseField(resetHeader, asAscii(JSON.stringify(said)));
  }
  context.setStreamPlace(place);
  context.responseHeaderArrived();
}

/** Headers are of ASCII; JSON can be. */
function asAscii(json: string): string {
  return json.replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
