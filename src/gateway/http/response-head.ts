import type { OutgoingHttpHeader, OutgoingHttpHeaders } from "node:http";
import type { HttpExchange } from "./exchange.ts";

/** The head of an answer before it is written, in the shape of Node's responses. What completes it gives names in lower case. */
export interface ResponseHead {
  getHeader(name: string): OutgoingHttpHeader | undefined;
  setHeader(name: string, value: string | string[]): unknown;
  getHeaderNames(): string[];
}

/** What is known of an exchange when the head of its answer is completed. */
export type AnsweredExchange = Pick<HttpExchange, "head" | "call" | "isSecure">;

/** Completes the head of an answer just before it is written. */
export type CompleteHead = (exchange: AnsweredExchange, response: ResponseHead, status: number) => void;

/** Completes the head of a call of Node's `writeHead`; returns the headers that `writeHead` must still write. */
export function completedHead<List extends readonly OutgoingHttpHeader[]>(
  complete: () => void,
  response: ResponseHead,
  headers: OutgoingHttpHeaders | List | undefined,
): OutgoingHttpHeaders | List | undefined {
  const isList = Array.isArray(headers);
  if (headers !== undefined && !isList) {
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined) response.setHeader(name, typeof value === "number" ? String(value) : value);
    }
  }
  complete();
  return isList ? headers : undefined;
}
