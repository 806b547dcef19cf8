import type { printForms } from "./call-flags.ts";
import { curlSnippet } from "./curl-snippet.ts";
import { grpcurlSnippet } from "./grpcurl-snippet.ts";
import type { PrintedCall } from "./printed-call.ts";
import { typescriptSnippet } from "./typescript-snippet.ts";

/**
 * A command or a program that makes a call, as it can be run.
 *
 * @throws FlagError for a call that it cannot make, with what to give instead
 */
export function snippet(form: (typeof printForms)[number], call: PrintedCall): Promise<string> | string {
  switch (form) {
    case "curl":
      return curlSnippet(call);
    case "grpcurl":
      return grpcurlSnippet(call);
    case "typescript":
      return typescriptSnippet(call);
  }
}
