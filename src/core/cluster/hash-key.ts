import { fromBinary, type DescField, type DescMethod, type Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { AttemptedCall, CallHead } from "../http2/stream-source.ts";
import { hash32 } from "./hash-32.ts";

/** What calls belong to, so that they go to one endpoint: one of both. */
export interface HashKeySource {
  /** `hash`: a request header; its values are joined by commas. */
  readonly header: string;
  /**
   * `hash`: a field of the request message, such as `user.id`, of unary calls. A field that is not set is no key, nor is 0
   * or an empty text.
   */
  readonly field: string;
}

/** Reads the keys of calls. */
export class HashKeys {
  readonly #header: string | undefined;
  readonly #field: string | undefined;
  /** The fields on the way to the value; empty for rpcs that do not have them. */
  readonly #paths = new Map<DescMethod, readonly DescField[]>();

  constructor({ header, field }: Partial<HashKeySource>) {
    this.#header = header?.toLowerCase();
    this.#field = field;
  }

  /** The hash of a call's key; undefined if it has none. */
  of(head: CallHead, call: AttemptedCall): number | undefined {
    const text = this.#header === undefined ? this.#fieldOf(head, call) : this.#headerOf(head, this.#header);
    return text === undefined || text === "" ? undefined : hash32(text);
  }

  #headerOf(head: CallHead, wanted: string): string | undefined {
    let values: string | undefined;
    head.eachRequestHeader((name, value) => {
      if (name === wanted) values = values === undefined ? value : `${values},${value}`;
    });
    return values;
  }

  #fieldOf({ method }: CallHead, { requestMessage }: AttemptedCall): string | undefined {
    const path = this.#pathOf(method);
    if (requestMessage === undefined || path.length === 0) return undefined;
    let message: Message;
    try {
      message = fromBinary(method.input, requestMessage);
    } catch {
      return undefined; // Bytes that a gateway passes on: the server refuses them.
    }
    let value: unknown = reflect(method.input, message);
    for (const field of path) {
      const at = value as ReturnType<typeof reflect>; // Only the last field of a path is no message.
      if (!at.isSet(field)) return undefined;
      value = at.get(field);
    }
    return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : String(value);
  }

  #pathOf(method: DescMethod): readonly DescField[] {
    let path = this.#paths.get(method);
    if (path === undefined) this.#paths.set(method, (path = pathOf(method, this.#field ?? "")));
    return path;
  }
}

/** The fields of a path; none if one of them is missing, or the last one is no single value. */
function pathOf({ input }: DescMethod, names: string): DescField[] {
  const path: DescField[] = [];
  let message: DescMethod["input"] | undefined = input;
  for (const name of names.split(".")) {
    const field: DescField | undefined = message?.fields.find(
      (other) => other.name === name || other.jsonName === name,
    );
    if (field === undefined) return [];
    path.push(field);
    message = field.fieldKind === "message" ? field.message : undefined;
  }
  const kind = path.at(-1)?.fieldKind;
  return kind === "scalar" || kind === "enum" ? path : [];
}
