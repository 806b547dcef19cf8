import { BinaryPutters } from "./binary-to-json-code.ts";
import { MessagePutters } from "./message-to-json-code.ts";
import type { WriteFormat } from "./message-writer.ts";
import { WriterCompiler } from "./write-message.ts";

/** What writes JSON of one format, for all message types. */
export interface CompiledFormat {
  /** Messages as text. */
  readonly text: WriterCompiler;
  /** Messages as bytes, by generated code. */
  readonly messages: MessagePutters;
  /** Protobuf bytes as bytes, by generated code. */
  readonly binary: BinaryPutters;
}

const formats = new Map<string, CompiledFormat>();

/** The writers of a format: the same ones at every call, so that a message type is compiled once for each format. */
export function compiledFormat({ fieldNames, enums, defaults, int64 }: WriteFormat): CompiledFormat {
  const key = `${fieldNames} ${enums} ${defaults} ${int64}`;
  let format = formats.get(key);
  if (format === undefined) {
    const text = new WriterCompiler({ fieldNames, enums, defaults, int64 });
    format = { text, messages: new MessagePutters(text), binary: new BinaryPutters(text) };
    formats.set(key, format);
  }
  return format;
}
