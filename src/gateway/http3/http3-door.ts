import { SetupError } from "../../core/errors/setup-error.ts";
import type { ServerTlsOptions } from "../../core/net/tls.ts";
import { checkOptions } from "../../core/config/check-options.ts";
import type { Http3Kit, Http3Side } from "./http3-kit.ts";
import { checkHttp3Options, http3Defaults, type Http3Options } from "./http3-options.ts";

/** HTTP/3 for an `HttpServer`, see `http3()`. */
export interface Http3Door {
  readonly options: Http3Options;
  /** @throws SetupError naming what of the server is in its way */
  check(server: {
    readonly host: string;
    readonly port: number;
    readonly tls: ServerTlsOptions | undefined;
  }): void;
  /** Binds the port. Called by the server. @throws SetupError or Error naming what is in its way */
  listen(kit: Http3Kit): Promise<Http3Side>;
}

/**
 * Serves HTTP/3 in this process: the option `http3` of `HttpServer`. Experimental: QUIC is spoken by the optional peer
 * dependency `@currentspace/http3`, which needs Node 24; a proxy in front that ends HTTP/3 is the advice.
 *
 * @throws SetupError naming the option that is wrong
 */
export function http3(options: Partial<Http3Options> = {}): Http3Door {
  checkOptions<Http3Options>("http3", options, http3Defaults);
  const merged: Http3Options = { ...http3Defaults, ...defined(options) };
  checkHttp3Options(merged);
  return {
    options: merged,
    check: (server) => checkServer(merged, server),
    async listen(kit) {
      const { listenHttp3 } = await import("./http3-listener.ts");
      return listenHttp3(merged, kit);
    },
  };
}

function checkServer(
  { host, port }: Http3Options,
  server: { readonly host: string; readonly port: number; readonly tls: ServerTlsOptions | undefined },
): void {
  const { tls } = server;
  if (tls === undefined)
    throw new SetupError("HttpServer: http3 needs the option tls: QUIC is always encrypted");
  if (tls.clientCertificates !== undefined && tls.clientCertificates !== "none") {
    throw new SetupError(
      `HttpServer: http3 cannot ask clients for certificates, and tls.clientCertificates is "${tls.clientCertificates}": leave http3 out, or let a proxy in front end HTTP/3`,
    );
  }
  if ((host ?? server.host).startsWith("unix:")) {
    throw new SetupError(
      "HttpServer: http3.host must be a host name or an address: there is no QUIC on unix:",
    );
  }
  if (port !== 0 && port === server.port) {
    throw new SetupError(
      `HttpServer: http3.port ${port} is the port of the server too: the package that speaks QUIC opens TCP at it, choose another one`,
    );
  }
}

function defined<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>; // Some of its members.
}
