import type { IncomingHttpHeaders } from "node:http";
import type { JsonValue } from "@bufbuild/protobuf";
import { isBase64 } from "../../../core/codec/base64-text.ts";
import { headerValue } from "../../http/header-value.ts";
import type { RawJson, RpcMessage } from "./json-rpc.ts";
import { RpcError, rpcCodes } from "./rpc-error.ts";

/** An argument that clients send in a header too. */
export interface HeaderArgument {
  /** Name of the argument. */
  readonly argument: string;
  /** The header behind `Mcp-Param-`. */
  readonly header: string;
}

/** The parameter that `Mcp-Name` repeats, by method. */
const named: Readonly<Record<string, string>> = {
  "tools/call": "name",
  "prompts/get": "name",
  "resources/read": "uri",
};

/** The method of a message and the name in it, as the headers have them. */
export function namedByHeaders(headers: IncomingHttpHeaders): {
  readonly method: string | null;
  readonly name: string | undefined;
} {
  return { method: headerValue(headers["mcp-method"]), name: decoded(headerValue(headers["mcp-name"])) };
}

/**
 * Compares the headers of a request with its message.
 *
 * @throws RpcError -32020 for one that is missing or differs
 */
export function checkHeaders({ id, method = "", params }: RpcMessage, headers: IncomingHttpHeaders): void {
  if (id === undefined && headers["mcp-method"] === undefined) return;
  const found = namedByHeaders(headers);
  if (found.method !== method) throw mismatch("Mcp-Method", headers["mcp-method"]);
  const parameter = Object.hasOwn(named, method) ? named[method] : undefined;
  if (parameter === undefined) return;
  const value = params.get(parameter)?.value;
  if (typeof value !== "string") return; // The method says what is wrong.
  if (found.name !== value) throw mismatch("Mcp-Name", headers["mcp-name"]);
}

/**
 * Compares the headers of arguments with these.
 *
 * @throws RpcError -32020 for one that is missing or differs, or is there without its argument
 */
export function checkArgumentHeaders(
  expected: readonly HeaderArgument[],
  args: RawJson | undefined,
  headers: IncomingHttpHeaders,
): void {
  const members = args?.members();
  for (const { argument, header } of expected) {
    const name = `mcp-param-${header.toLowerCase()}`;
    const value = members?.get(argument)?.value ?? null;
    const found = headerValue(headers[name]);
    if (value === null ? found !== null : decoded(found) !== textOf(value)) {
      throw mismatch(`Mcp-Param-${header}`, headers[name]);
    }
  }
}

function textOf(value: JsonValue): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

const base64Form = /^=\?base64\?(.*)\?=$/;

/** The value of a header, whose form may be base64; undefined for a broken one. */
function decoded(value: string | null): string | undefined {
  const trimmed = value?.trim();
  const base64 = trimmed === undefined ? undefined : base64Form.exec(trimmed)?.[1];
  if (base64 === undefined) return trimmed;
  // Its padding must be there.
  if (base64.length % 4 !== 0 || !isBase64(base64)) return undefined;
  return Buffer.from(base64, "base64").toString("utf8");
}

function mismatch(name: string, found: string | string[] | undefined): RpcError {
  const problem = found === undefined ? "is missing" : "does not say what the message says";
  return new RpcError(rpcCodes.headerMismatch, `the header ${name} ${problem}`, 400);
}
