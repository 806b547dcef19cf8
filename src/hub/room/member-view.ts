import type { Message } from "@bufbuild/protobuf";
import type { Membership } from "./membership.ts";
import type { ResetMessage } from "./resets.ts";
import type { Room } from "./room.ts";

/** How a call sees rooms whose messages are not of the type of its replies. */
export interface MemberView {
  /** Where the call stands in all its rooms, of other topics too; undefined where publications have no positions. */
  positionText(): string | undefined;
  /** A reply for a message. @param place undefined for one that was sent to the call itself */
  seen(message: Message, place: Membership | undefined): Message;
  /** Makes the reply that says that some are missing. Default: as the topic does. */
  resetMessage?(room: Room): ResetMessage;
}
