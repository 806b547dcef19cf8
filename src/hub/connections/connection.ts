import type { DoorName } from "../../core/admission/call-head.ts";

/** A live connection as it is listed. */
export interface Connection {
  /** `NODE-NUMBER`. */
  readonly id: string;
  /** Id of the process that has it. */
  readonly node: string;
  /** The protocol by which it entered. */
  readonly door: DoorName;
  /** `package.Service/Method`; undefined for a WebSocket that carries calls of several rpcs. */
  readonly rpc: string | undefined;
  /** Undefined for an anonymous client. */
  readonly user: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  /** Address of the client; empty where it has none. */
  readonly address: string;
  /** What the client calls itself, at most 256 characters; empty where it does not say. */
  readonly userAgent: string;
  /** The name that the client has given itself by a hello, at most 128 characters; empty where it has not. */
  readonly client: string;
  readonly connectedAt: Date;
  /** When bytes of the client, or its answer to a ping of WebSocket, came last. */
  readonly lastSeenAt: Date;
  /** The rooms that it is in: `topic/room`, or `topic` for that without a name. */
  readonly rooms: readonly string[];
  /** Messages that were handed to the connection. */
  readonly sent: number;
  /** Messages that came. */
  readonly received: number;
  /** Messages that it did not get, as it was behind or had no room for them. */
  readonly dropped: number;
  /** How long the oldest message waits that is published in its rooms and not handed to it yet, in milliseconds; 0 for none. */
  readonly lagMs: number;
  /** Bytes that wait to be sent: of a WebSocket all of them, of other connections those of messages for it alone. */
  readonly waitingBytes: number;
  /** Bytes that were sent: of answers, of messages with their framing over gRPC, of the connection of a WebSocket. */
  readonly bytes: number;
  /** When the identity ends; undefined for never. */
  readonly expiresAt: Date | undefined;
}

/** Why a connection is no more, as the metric `ts_ms_hub_closed_total` labels it. */
export type CloseReason = "ended" | "left" | "failed" | "closed" | "user_limit";
