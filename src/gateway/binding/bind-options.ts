import type { Registry } from "@bufbuild/protobuf";
import { jsonReadDefaults, type JsonReadOptions } from "../../core/codec/json-trace.ts";
import type { BodyFormat } from "../http/media-type.ts";
import { type QueryOptions, queryDefaults } from "../http/query.ts";
import type { QueryBinderOptions } from "./query-binder.ts";
import { textFormDefaults, type TextForms } from "./text-forms.ts";

/** What a request gives to its message. */
export interface BindRequest {
  /** The decoded values of the route's variables, in their order. */
  readonly captures: readonly string[];
  /** The raw query without `?`, empty where there is none. */
  readonly query: string;
  /** The body after all transfer and content codings; undefined or empty where there is none. */
  readonly body: Uint8Array | string | undefined;
  /** How the body is to be read. Default `json`. */
  readonly format?: BodyFormat;
}

/** How requests are bound where the contract leaves a choice. */
export interface BindOptions
  extends QueryOptions, Pick<QueryBinderOptions, "unknownQuery" | "allowedQuery" | "systemParameters"> {
  /** Unknown members of a JSON body: skipped and reported, or refused with one violation per name. Default `ignore`. */
  readonly unknownFields: "ignore" | "reject";
  /**
   * Names that an enum does not have: 400, or dropped and reported like unknown fields and parameters where those are
   * ignored; in a path they are 400 always. Default `reject`.
   */
  readonly unknownEnums: "reject" | "ignore";
  /** What happens where the body holds another value than the path: the path's is taken, or 400. Default `path-wins`. */
  readonly conflicts: "path-wins" | "reject";
  /** What happens to a body where the rule has none: skipped, or 400. Default `ignore`. */
  readonly unexpectedBody: "ignore" | "reject";
  /** Further spellings of values and names. Default: the standard ones alone. */
  readonly forms: TextForms;
  /** The longest path in the name of a query parameter, in fields. Default 32. */
  readonly maxFieldDepth: number;
  /** How deep a JSON body may nest, in objects and arrays. Default 100. */
  readonly maxJsonDepth: number;
  /**
   * How many entries of maps, members and elements of free-form values (`Struct`, `Value`, `ListValue`, `Any`) and
   * unknown members one JSON text may have; 0 for any number. Default 100,000.
   */
  readonly maxJsonEntries: number;
  /** The types that `google.protobuf.Any` may hold in a JSON body beside the standard ones. Default none. */
  readonly registry?: Registry | undefined;
  /**
   * Hears what a request had too much, while `bind` runs: names of query parameters as the client wrote them, paths
   * of members of the body. Default none.
   */
  readonly onIgnored?: ((place: "query" | "body", name: string) => void) | undefined;
}

/** The defaults of {@link BindOptions}. */
export const bindDefaults: BindOptions = Object.freeze({
  ...queryDefaults,
  unknownQuery: "ignore",
  allowedQuery: [],
  systemParameters: false,
  unknownFields: "ignore",
  unknownEnums: "reject",
  conflicts: "path-wins",
  unexpectedBody: "ignore",
  forms: textFormDefaults,
  maxFieldDepth: 32,
  maxJsonDepth: jsonReadDefaults.maxDepth,
  maxJsonEntries: jsonReadDefaults.maxEntries,
});

/** The options of binding that JSON is read by. */
export type JsonBindOptions = Pick<
  BindOptions,
  "unknownFields" | "unknownEnums" | "maxJsonDepth" | "maxJsonEntries" | "registry" | "onIgnored"
>;

/** How JSON is read where requests are bound so. */
export function jsonReadOptions(options: JsonBindOptions): JsonReadOptions {
  const { unknownFields, unknownEnums, maxJsonDepth, maxJsonEntries, registry, onIgnored } = options;
  return {
    unknownFields,
    unknownEnums,
    maxDepth: maxJsonDepth,
    maxEntries: maxJsonEntries,
    registry,
    onUnknownField: onIgnored && ((path) => onIgnored("body", path)),
  };
}
