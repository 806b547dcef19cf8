import {
  type DescFile,
  type DescMessage,
  fromBinary,
  isMessage,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import { replyTypeOf } from "../core/call/client-services.ts";
import { Code, ConnectError } from "../core/errors/errors.ts";
import type { RecordedMessage } from "./journal.ts";

/** Finds the types of the replies of a saga's steps. */
export class ReplyTypes {
  readonly #files = new Set<DescFile>();
  readonly #saga: string;

  /** @param types the saga's input and output: what is in their files, and in what these import, is known */
  constructor(saga: string, types: readonly DescMessage[]) {
    this.#saga = saga;
    for (const { file } of types) this.#add(file);
  }

  /**
   * A reply as it is recorded; undefined for none.
   *
   * @throws ConnectError FAILED_PRECONDITION for what is no message, or one of an unknown type
   */
  write(step: string, reply: unknown, given: DescMessage | undefined): RecordedMessage | undefined {
    if (reply === undefined) return undefined;
    if (!isMessage(reply))
      throw this.#unusable(step, "has given what is no message", "return a message or nothing");
    const type = reply.$typeName;
    return { type, bytes: toBinary(this.#of(step, type, given), reply) };
  }

  /** The message of a record. @throws ConnectError as `write` */
  read(
    step: string,
    recorded: RecordedMessage | undefined,
    given: DescMessage | undefined,
  ): Message | undefined {
    if (recorded === undefined) return undefined;
    return fromBinary(this.#of(step, recorded.type, given), recorded.bytes);
  }

  #of(step: string, type: string, given: DescMessage | undefined): DescMessage {
    if (given?.typeName === type) return given;
    const found = type === EmptySchema.typeName ? EmptySchema : (replyTypeOf(type) ?? this.#inFiles(type));
    if (found !== undefined) return found;
    throw this.#unusable(
      step,
      `has replied ${type}, a type that is unknown here`,
      "make its client with createClient of ts-ms before the sagas start, or give the step `reply`",
    );
  }

  #add(file: DescFile): void {
    if (this.#files.has(file)) return;
    this.#files.add(file);
    for (const other of file.dependencies) this.#add(other);
  }

  #inFiles(type: string): DescMessage | undefined {
    for (const file of this.#files) {
      const found = inTypes(file.messages, type);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #unusable(step: string, problem: string, cure: string): ConnectError {
    return new ConnectError(
      `step ${step} of saga ${this.#saga} ${problem}: ${cure}`,
      Code.FailedPrecondition,
    );
  }
}

function inTypes(types: readonly DescMessage[], name: string): DescMessage | undefined {
  for (const type of types) {
    const found = type.typeName === name ? type : inTypes(type.nestedMessages, name);
    if (found !== undefined) return found;
  }
  return undefined;
}
