import { SetupError } from "../../core/errors/setup-error.ts";
import type { CompleteHead } from "./response-head.ts";

/** Where a server says that it is served over HTTP/3 too (RFC 7838). */
export interface AltSvcOptions {
  /** UDP port at which clients find HTTP/3, at the same host name: that of a proxy, where one is in front. */
  readonly port: number;
  /** How long clients may use it without being told again, in seconds. Default: 3,600. */
  readonly maxAgeSeconds: number;
  /** Whether clients may keep it when their network changes. Default: false. */
  readonly persist: boolean;
}

/** The defaults of `AltSvcOptions`; `port` has none. */
export const altSvcDefaults: Omit<AltSvcOptions, "port"> = Object.freeze({
  maxAgeSeconds: 3600,
  persist: false,
});

/** What the option `altSvc` takes; false for no header. */
export type AltSvcChoice = (Partial<AltSvcOptions> & Pick<AltSvcOptions, "port">) | false;

/**
 * The header `Alt-Svc` of a server's answers. One that was asked for by name is on every answer; one that only follows
 * from HTTP/3 in this process is on answers over TLS. While the server drains it is `clear`, so that clients forget it.
 */
export class AltSvc {
  readonly #everywhere: boolean;
  /** The value of the header; undefined for none. */
  #value: string | undefined;

  /** @throws SetupError naming the member that is wrong */
  constructor(choice: AltSvcChoice | undefined) {
    this.#everywhere = choice !== undefined && choice !== false;
    if (choice !== undefined && choice !== false) this.#value = valueOf(choice);
  }

  /** From now on HTTP/3 is served at `port` of this process. Of no effect where the header was asked for by name. */
  offer(port: number): void {
    if (!this.#everywhere) this.#value = valueOf({ port });
  }

  /** From now on the header tells clients to forget what earlier ones have said. Of no effect where there were none. */
  clear(): void {
    if (this.#value !== undefined) this.#value = "clear";
  }

  /** Adds the header to answers, and what `then` adds. */
  completing(then: CompleteHead | undefined): CompleteHead {
    return (exchange, response, status) => {
      if (this.#value !== undefined && (this.#everywhere || exchange.isSecure)) {
        response.setHeader("alt-svc", this.#value);
      }
      then?.(exchange, response, status);
    };
  }
}

function valueOf(choice: AltSvcChoice & object): string {
  const { port, maxAgeSeconds, persist } = { ...altSvcDefaults, ...choice };
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new SetupError(`altSvc.port must be a port from 1 to 65535, it is ${String(port)}`);
  }
  if (!Number.isInteger(maxAgeSeconds) || maxAgeSeconds < 0) {
    throw new SetupError(
      `altSvc.maxAgeSeconds must be a whole number of seconds, it is ${String(maxAgeSeconds)}`,
    );
  }
  return `h3=":${port}"; ma=${maxAgeSeconds}${persist ? "; persist=1" : ""}`;
}
