import { once } from "node:events";
import { type DescMethod, type Message, type Registry, toBinary } from "@bufbuild/protobuf";
import { sizeDelimitedEncode } from "@bufbuild/protobuf/wire";
import type { HttpBody } from "../../../gen/google/api/httpbody_pb.ts";
import { jsonWriter } from "../../core/codec/message-to-json.ts";
import { colourJson } from "./colour-json.ts";

/** Forms of replies: the values of `--output`. */
export type ReplyForm = "pretty" | "json" | "lines" | "binary";

/** Prints the replies of a call on standard output, each when it comes. */
export class Replies {
  readonly #encode: (message: Message) => string | Uint8Array;
  /** Whether all replies together are one array. */
  readonly #isArray: boolean;
  #count = 0;

  constructor(form: ReplyForm, method: DescMethod, registry: Registry) {
    const isStream = method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
    this.#isArray = form === "json" && isStream;
    this.#encode = form === "binary" ? binaryOf(method, isStream) : jsonOf(method, form, registry);
  }

  /** How many have been printed. */
  get count(): number {
    return this.#count;
  }

  /** Resolves when standard output takes more. */
  async print(message: Message): Promise<void> {
    const encoded = this.#encode(message);
    const between = this.#isArray ? (this.#count === 0 ? "[\n" : ",\n") : "";
    this.#count++;
    await write(typeof encoded === "string" ? `${between}${encoded}${this.#isArray ? "" : "\n"}` : encoded);
  }

  /** Prints what is behind the last one. */
  async end(): Promise<void> {
    if (this.#isArray) await write(this.#count === 0 ? "[]\n" : "\n]\n");
  }
}

function jsonOf(method: DescMethod, form: ReplyForm, registry: Registry): (message: Message) => string {
  const writer = jsonWriter(method.output, { registry, indent: form === "pretty" ? 2 : 0 });
  return form === "pretty"
    ? (message) => colourJson(writer.write(message), process.stdout)
    : (message) => writer.write(message);
}

/** The bytes of a reply; in a stream with its length in front, unless it is raw bytes itself. */
function binaryOf({ output }: DescMethod, isStream: boolean): (message: Message) => Uint8Array {
  if (output.typeName === "google.api.HttpBody") return (message) => (message as HttpBody).data;
  return isStream
    ? (message) => sizeDelimitedEncode(output, message)
    : (message) => toBinary(output, message);
}

async function write(data: string | Uint8Array): Promise<void> {
  if (!process.stdout.write(data)) await once(process.stdout, "drain");
}
