import type { DescMessage, DescMethodUnary, Message } from "@bufbuild/protobuf";

/** How what a field refers to is found. */
export interface Reference {
  /** Full name of the rpc, for a second reference by the same way. */
  readonly key: string;
  readonly message: DescMessage;
  /** Finds one. */
  readonly one: {
    readonly method: DescMethodUnary;
    readonly request: (key: string) => Message;
    readonly read: (reply: Message) => Message | undefined;
  };
  /** Finds several at once; undefined where no rpc does. */
  readonly batch: Batch | undefined;
}

/** An rpc that finds several messages at once. */
export interface Batch {
  readonly method: DescMethodUnary;
  readonly request: (keys: readonly string[]) => Message;
  readonly read: (reply: Message) => readonly Message[];
  /** The key of a message that was found; undefined where messages have none. */
  readonly keyOf: ((found: Message) => unknown) | undefined;
}
