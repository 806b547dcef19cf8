import type { JsonObject } from "@bufbuild/protobuf";
import { type FaceOptions, faceDefaults } from "../face.ts";

/** A link in the header of the console. */
export interface DocsLink {
  /** What is shown. */
  readonly text: string;
  /** An address by `http` or `https`, or a path of this server. */
  readonly url: string;
}

/** A request that the console offers for an rpc. */
export interface DocsExample {
  /** What is shown. */
  readonly name: string;
  /** The request as JSON; a list for rpcs whose requests are a stream. */
  readonly message: JsonObject | readonly JsonObject[];
  /** Headers of the call. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Options of `docs()`. */
export interface DocsOptions extends FaceOptions {
  /** Path of the console; its files are below it. Default: `/docs`. */
  readonly path: string;
  /** Title of the page. Default: the name of the first service. */
  readonly title: string | undefined;
  /** Links in the header. Default: none. */
  readonly links: readonly DocsLink[];
  /** Whether the console makes calls; without, it is documentation alone. Default: true. */
  readonly call: boolean;
  /**
   * Who sees the load of the server: all who see the console, clients of this machine, or none. The address of the
   * connection counts, no header. Default: `loopback`.
   */
  readonly live: boolean | "loopback";
  /** Requests by the full name of their rpc, `package.Service/Method`, beside the one made from the schema. Default: none. */
  readonly examples: Readonly<Record<string, readonly DocsExample[]>>;
}

/** The defaults of {@link DocsOptions}. */
export const docsDefaults: DocsOptions = Object.freeze({
  ...faceDefaults,
  path: "/docs",
  title: undefined,
  links: Object.freeze([]),
  call: true,
  live: "loopback",
  examples: Object.freeze({}),
});
