import type { Message } from "@bufbuild/protobuf";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import { resetInfo } from "../../core/metadata/stream-position.ts";

/** Why continuity was lost: the names of `ts_ms.hub.v1.ResetReason`, without their prefix. */
export type ResetReason = "EXPIRED" | "UNKNOWN" | "REPLAY_LIMIT" | "LAGGED" | "BUS" | "CLEARED";

/** That publications are missing before what comes next. */
export interface RoomReset {
  readonly room: string;
  readonly reason: ResetReason;
  /** How many are missing; undefined where that is not known. */
  readonly missed: number | undefined;
}

/** Makes the message that says so, where the type of messages has a field for it. */
export type ResetMessage = (reset: RoomReset, position: string | undefined) => Message;

/** With what a call ends whose messages cannot say that some are missing. @param position behind which it goes on */
export function resetError({ room, reason, missed }: RoomReset, position: string | undefined): ConnectError {
  const error = new ConnectError(
    "publications are missing: go on from the position of this error",
    Code.Aborted,
  );
  const metadata = {
    room,
    reason,
    ...(missed !== undefined && { missed: String(missed) }),
    ...(position !== undefined && { position }),
  };
  error.details = [{ desc: ErrorInfoSchema, value: { reason: resetInfo, domain: "ts-ms", metadata } }];
  return error;
}

/** With what a call ends whose client reads so slowly that the ring of a room has gone on. */
export function slowConsumer(position: string | undefined): ConnectError {
  const error = new ConnectError(
    "the client reads more slowly than messages are published: come back",
    Code.ResourceExhausted,
  );
  const metadata: Record<string, string> = position === undefined ? {} : { position };
  error.details = [{ desc: ErrorInfoSchema, value: { reason: "SLOW_CONSUMER", domain: "ts-ms", metadata } }];
  return error;
}
