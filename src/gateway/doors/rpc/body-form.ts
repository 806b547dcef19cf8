import type { RequestHead } from "../../http/exchange.ts";

/** How the bodies of one exchange look, by its content type. */
export interface BodyForm {
  readonly codec: "json" | "proto";
  /** Whether everything is base64. */
  readonly text: boolean;
  /** The content type of the answer. */
  readonly contentType: string;
}

/** The form of bodies of `base`, a content type without its codec. */
export function formOf(binary: boolean, base: string, text = false): BodyForm {
  const codec = binary ? "proto" : "json";
  return { codec, text, contentType: `${base}+${codec}` };
}

/** Whether the body is coded as a whole, which the protocols of envelopes do not know: they compress messages. */
export function isCodedWhole({ headers }: Pick<RequestHead, "headers">): boolean {
  const coding = headers["content-encoding"];
  return coding !== undefined && coding.trim().toLowerCase() !== "identity";
}
