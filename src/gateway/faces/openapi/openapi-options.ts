import type { JsonObject } from "@bufbuild/protobuf";
import { type FaceOptions, faceDefaults } from "../face.ts";

/** Options of `openapi()`. Objects are those of OpenAPI, and have precedence over what the contract says. */
export interface OpenapiOptions extends FaceOptions {
  /** Path of the document as JSON; as YAML it is at the same with `.yaml`. Default: `/openapi.json`. */
  readonly path: string;
  /** Default: the name of the first service. */
  readonly title: string | undefined;
  /** Version of the API. Default: `0.0.0`. */
  readonly version: string;
  /** Default: the comment of the service, where there is one alone. */
  readonly description: string | undefined;
  readonly contact: JsonObject | undefined;
  readonly license: JsonObject | undefined;
  /** Default: `[{ url: "/" }]`, the server that gives the document, behind the prefix of a
   * plugin. */
  readonly servers: readonly JsonObject[];
  /** Tags in front of those of the services. Default: none. */
  readonly tags: readonly JsonObject[];
  readonly externalDocs: JsonObject | undefined;
  /** Security schemes by their names; each rpc that is not public takes one of them. Default: the credentials that the
   * `gates` of the server take. */
  readonly security: Readonly<Record<string, JsonObject>>;
  /** Whether `POST /package.Service/Method` of rpcs with other routes is shown too. Default: false. */
  readonly implicit: boolean;
  /** Whether bodies in `application/proto` are shown too. Default: false. */
  readonly binary: boolean;
  /**
   * What requests may look like: `canonical` is the one form that clients should send, `exact` everything that is taken.
   * A request for the document with `?inputs=exact` gets that. Default: `canonical`.
   */
  readonly inputs: "canonical" | "exact";
  /** Whether a message has a schema for each direction, where they differ. Default: true. */
  readonly split: boolean;
  /** Laid over the document, member by member, for what nothing else can say. Default: none. */
  readonly base: JsonObject | undefined;
}

/** The defaults of {@link OpenapiOptions}. */
export const openapiDefaults: OpenapiOptions = Object.freeze({
  ...faceDefaults,
  path: "/openapi.json",
  title: undefined,
  version: "0.0.0",
  description: undefined,
  contact: undefined,
  license: undefined,
  servers: Object.freeze([{ url: "/" }]),
  tags: Object.freeze([]),
  externalDocs: undefined,
  security: Object.freeze({}),
  implicit: false,
  binary: false,
  inputs: "canonical",
  split: true,
  base: undefined,
});
