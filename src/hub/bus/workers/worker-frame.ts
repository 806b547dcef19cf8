import { deserialize, serialize } from "node:v8";
import type { Position } from "../../room/position.ts";
import type { HistoryBounds } from "../bus.ts";
import type { RecordPage, RoomCopy } from "./owned-room.ts";

/** What the owner of a room, or of a cursor, is asked for. */
export type Question =
  | {
      readonly kind: "publish";
      readonly room: string;
      readonly record: Uint8Array;
      readonly id: string;
      /** Size of the message. */
      readonly bytes: number;
      readonly history: HistoryBounds | undefined;
      readonly dedupeMs: number;
      /** Which publication of its node it is. */
      readonly number: number;
      readonly node: string;
    }
  | {
      readonly kind: "read";
      readonly room: string;
      readonly after: Position | undefined;
      readonly limit: number;
    }
  | { readonly kind: "tops"; readonly rooms: readonly string[] }
  | { readonly kind: "clear"; readonly room: string }
  | {
      readonly kind: "cursor";
      readonly key: string;
      readonly set: Position | undefined;
      readonly ttlMs: number;
    };

/** What is answered to each question. */
export interface Answers {
  publish: { readonly position: Position | undefined; readonly duplicate: boolean };
  read: RecordPage;
  tops: readonly Position[];
  clear: undefined;
  cursor: Position | undefined;
}

/** The answer of a process that does not own all that it was asked for: it was not done. */
export const elsewhere = "elsewhere";

/** A cursor on its way to another process. */
export interface CursorCopy {
  readonly key: string;
  readonly position: Position;
  readonly leftMs: number;
}

/** What the members say to one another. */
export type WorkerFrame =
  /** @param roll number of the roll by which it was found whom to ask */
  | { readonly kind: "ask"; readonly number: number; readonly roll: number; readonly question: Question }
  | { readonly kind: "answer"; readonly number: number; readonly answer: unknown }
  /** Something was published. */
  | {
      readonly kind: "told";
      readonly room: string;
      readonly record: Uint8Array;
      /** Undefined for a publication that is not kept. */
      readonly position: Position | undefined;
      /** Of those that are not kept. */
      readonly live: number;
      readonly node: string;
      readonly number: number;
    }
  | { readonly kind: "cleared"; readonly room: string; readonly top: Position }
  /** A frame of a hub's node. @param to id of the node, or `all` */
  | { readonly kind: "node"; readonly to: string; readonly frame: Uint8Array }
  /** What the member that it is sent to owns from now on. */
  | {
      readonly kind: "moved";
      /** 0 for one that needs no answer. */
      readonly page: number;
      /** The roll by which it is the owner. */
      readonly roll: number;
      readonly rooms: readonly RoomCopy[];
      readonly cursors: readonly CursorCopy[];
    }
  | { readonly kind: "taken"; readonly page: number }
  /** The sender has nothing any more that is another's by this roll. */
  | { readonly kind: "settled"; readonly roll: number }
  | { readonly kind: "settle"; readonly roll: number }
  /** The sender answers nothing any more; what it has answered came before. */
  | { readonly kind: "bye" };

/** A frame as it is sent. */
export interface SentFrame {
  readonly from: number;
  readonly frame: WorkerFrame;
}

const version = 1;

/** @param from the member that says it */
export function writeWorkerFrame(from: number, frame: WorkerFrame): Uint8Array {
  return serialize([version, from, frame]);
}

/** Undefined for a frame that cannot be read, or is of a version that is not known. */
export function readWorkerFrame(bytes: Uint8Array): SentFrame | undefined {
  try {
    const read = deserialize(bytes) as unknown;
    if (!Array.isArray(read) || read[0] !== version || typeof read[1] !== "number") return undefined;
    const frame = read[2] as WorkerFrame | undefined; // As a worker of the same program has written it.
    return typeof frame?.kind === "string" ? { from: read[1], frame } : undefined;
  } catch {
    return undefined;
  }
}
