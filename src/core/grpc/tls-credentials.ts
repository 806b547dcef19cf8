import { connect, createSecureContext, type SecureContext } from "node:tls";
import { credentials, ChannelCredentials } from "@grpc/grpc-js";

/** Certificates and names of a connection by TLS. The server's certificate is always verified. */
export interface ClientTls {
  /** Certificates of the authorities to trust, PEM. Default: those of Node. */
  readonly ca?: string | Uint8Array;
  /** The client's own certificate chain for mutual TLS, PEM; needs `key`. Default: none. */
  readonly cert?: string | Uint8Array;
  /** Private key of `cert`, PEM. Default: none. */
  readonly key?: string | Uint8Array;
  /** Name that the server's certificate must carry, sent as SNI. Default: the host of the target. */
  readonly serverName?: string;
}

type Connector = ReturnType<ChannelCredentials["_createSecureConnector"]>;
type CallCredentials = Parameters<ChannelCredentials["_createSecureConnector"]>[2];

/**
 * Credentials of a channel by TLS 1.2 or later.
 *
 * The stock ones of grpc-js send the host as server name even if it is an IP address, which Node refuses; here an
 * address is verified against the addresses in the certificate and sends no name (RFC 6066 3).
 */
export class TlsCredentials extends ChannelCredentials {
  readonly #context: SecureContext;
  readonly #serverName: string | undefined;

  /** @throws TypeError if the certificates cannot be read or a key is missing. */
  constructor({ ca, cert, key, serverName }: ClientTls = {}) {
    super();
    if ((cert === undefined) !== (key === undefined)) {
      throw new TypeError("tls: a client certificate needs both `cert` and `key`");
    }
    try {
      this.#context = createSecureContext({ ...pem({ ca, cert, key }), minVersion: "TLSv1.2" });
    } catch (cause) {
      throw new TypeError(`tls: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
    this.#serverName = serverName;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(
    target: { readonly path: string },
    _options: unknown,
    callCredentials: CallCredentials = credentials.createEmpty(),
  ): Connector {
    const host = this.#serverName ?? hostOf(target.path);
    const isName = !/^[\d.]+$|:/.test(host);
    return {
      connect: (socket) =>
        new Promise((resolve, reject) => {
          const secure = connect(
            {
              socket,
              host,
              secureContext: this.#context,
              ALPNProtocols: ["h2"],
              ...(isName ? { servername: host } : {}),
            },
            () => resolve({ socket: secure, secure: true }),
          );
          secure.once("error", reject);
        }),
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => callCredentials,
      destroy() {},
    };
  }
}

function pem(parts: Pick<{ [K in keyof ClientTls]-?: ClientTls[K] | undefined }, "ca" | "cert" | "key">) {
  const found = Object.entries(parts).filter(([, value]) => value !== undefined);
  return Object.fromEntries(found.map(([name, value]) => [name, Buffer.from(value ?? "")]));
}

/** The host of `host:port`, `[ipv6]:port` or `/host:port`; that of a Unix socket is `localhost`. */
function hostOf(path: string): string {
  const match = /^\/*(?:\[([^\]]+)\]|([^:/]+)):\d+$/.exec(path);
  return match?.[1] ?? match?.[2] ?? "localhost";
}
