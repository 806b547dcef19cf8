import type { DescMethod, Message, Registry } from "@bufbuild/protobuf";
import { jsonWriter } from "../../core/codec/message-to-json.ts";
import type { CallFlagValues } from "./call-flags.ts";
import type { CallTarget } from "./call-target.ts";
import type { Requests } from "./requests.ts";

/** A call that is printed and not made. */
export interface PrintedCall {
  readonly method: DescMethod;
  readonly flags: CallFlagValues;
  readonly to: CallTarget;
  readonly requests: Requests;
  readonly registry: Registry;
}

/** The requests that are known as JSON texts; none for those of standard input. */
export function requestTexts({ method, requests, registry }: PrintedCall): readonly string[] {
  const writer = jsonWriter(method.input, { registry, defaults: "omit" });
  return knownRequests(requests).map((message) => writer.write(message));
}

/** The requests that are known; none for those of standard input, which a printed command reads itself. */
export function knownRequests(requests: Requests): readonly Message[] {
  return requests.kind === "known" ? requests.messages : [];
}

/** A command of several words on lines that a shell joins. */
export function shellCommand(words: readonly (readonly string[])[]): string {
  return `${words.map((line) => line.map(quoted).join(" ")).join(" \\\n  ")}\n`;
}

/** A word as a shell reads it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
