import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { nearestName } from "../../core/errors/nearest-name.ts";

/** A hint for a path of fields that a message does not have, such as `book.titel`; empty for one that it has. */
export function nearestField(root: DescMessage, path: string): string {
  let message: DescMessage | undefined = root;
  for (const step of path.replaceAll(/\[[^\]]*\]/g, "").split(".")) {
    if (message === undefined) return "";
    const found: DescField | undefined = message.fields.find(
      ({ name, jsonName }) => step === name || step === jsonName,
    );
    if (found === undefined) {
      const near = nearestName(
        step,
        message.fields.map(({ jsonName }) => jsonName),
      );
      return near === undefined ? "" : `; did you mean "${near}"?`;
    }
    message = found.message;
  }
  return "";
}
