import type { DescField, Message, Registry } from "@bufbuild/protobuf";
import type { Int64Format, ValueWriter } from "./write-scalars.ts";

/** The choices that are compiled into a writer. */
export interface WriteFormat {
  readonly fieldNames: "json" | "proto";
  readonly enums: "name" | "number";
  readonly defaults: "emit" | "omit";
  readonly int64: Int64Format;
}

/** What a writer needs at the call: types by name, and how deep it is inside of `Any`s. */
export interface WriteContext {
  readonly registry: Registry | undefined;
  anyDepth: number;
}

/** The compiled writer of one message type. */
export interface MessageWriter extends ValueWriter<WriteContext> {
  /** Appends the members of a message that is an object in JSON; each gets a comma unless it begins at `base`. */
  members(out: string, message: Message, context: WriteContext, base: number): string;
  /** The JSON text of the value of one field; `null` where a field with presence is unset. */
  writeField(desc: DescField, message: Message, context: WriteContext): string;
}
