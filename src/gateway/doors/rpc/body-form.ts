import type { RequestHead } from "../../http/exchange.ts";

/** The format of the bodies of one exchange, by its content type. */
export interface BodyForm {
  readonly codec: "json" | "proto";
  /** Whether the bodies are base64. */
  readonly text: boolean;
  /** The content type of the answer. */
  readonly contentType: string;
}

/** The form of bodies with the content type `base`, without its codec. */
export function formOf(binary: boolean, base: string, text = false): BodyForm {
  const codec = binary ? "proto" : "json";
  return { codec, text, contentType: `${base}+${codec}` };
}

/** Whether the body as a whole is compressed, which protocols of envelopes do not support: they compress messages. */
export function isCodedWhole({ headers }: Pick<RequestHead, "headers">): boolean {
  const coding = headers["content-encoding"];
  return coding !== undefined && coding.trim().toLowerCase() !== "identity";
}
