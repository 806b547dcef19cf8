import { type DescMethod, toJsonString } from "@bufbuild/protobuf";
import { Examples } from "../../../core/contract/examples.ts";
import type { FaceHost } from "../face.ts";
import type { ShownDocs } from "./shown-contract.ts";

/** How deep messages of an example stand in one another. */
const depth = 3;

/** A request for an rpc as JSON, made from its schema. */
export function exampleText(
  method: DescMethod,
  { isVisible, registry }: ShownDocs,
  { json }: FaceHost,
): string {
  const message = new Examples({ isVisible, depth }).request(method);
  return toJsonString(method.input, message, {
    ...(registry !== undefined && { registry }),
    useProtoFieldName: json.fieldNames === "proto",
  });
}
