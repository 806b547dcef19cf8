import type { ResponseHeaders } from "./exchange.ts";
import type { ResponseHead } from "./response-head.ts";

/** The headers of an answer before they are written, for what completes them. Names are in lower case. */
export class HeadFields implements ResponseHead {
  readonly #headers: ResponseHeaders;

  constructor(headers: ResponseHeaders) {
    this.#headers = headers;
  }

  getHeader(name: string): string | string[] | undefined {
    return this.#headers[name];
  }

  setHeader(name: string, value: string | string[]): void {
    this.#headers[name] = value;
  }

  getHeaderNames(): string[] {
    return Object.keys(this.#headers);
  }
}
