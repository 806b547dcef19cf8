import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { HttpBody } from "../../../../gen/google/api/httpbody_pb.ts";
import { isMembers } from "../../../core/codec/json-members.ts";
import type { ConnectError } from "../../../core/errors/errors.ts";
import { codeName } from "../../../core/errors/code-name.ts";
import type { ErrorWriter } from "../../http/error-writer.ts";
import { isModern, metaNames, type Revision } from "./versions.ts";

/** Writes results in JSON, by the revision of their request. */
export class Results {
  /** Name and version of the server in JSON. */
  readonly #serverInfo: string;
  readonly #errors: Pick<ErrorWriter, "statusText">;

  constructor(serverInfo: string, errors: Pick<ErrorWriter, "statusText">) {
    this.#serverInfo = serverInfo;
    this.#errors = errors;
  }

  /**
   * A result of these members.
   *
   * @param members in JSON, without braces
   * @param meta members of `_meta` in JSON, without braces
   */
  of(revision: Revision, members: string, meta = ""): string {
    if (!isModern(revision)) return `{${joined(members, meta === "" ? "" : `"_meta":{${meta}}`)}}`;
    const own = `"${metaNames.serverInfo}":${this.#serverInfo}`;
    return `{${joined(members, `"resultType":"complete","_meta":{${joined(own, meta)}}`)}}`;
  }

  /** What a tool gives: an object in JSON, and its text for models that read texts. */
  structured(revision: Revision, json: string): string {
    return this.of(
      revision,
      `"content":[{"type":"text","text":${JSON.stringify(json)}}],"structuredContent":${json}`,
    );
  }

  /** What a tool gives that is no message. */
  content(revision: Revision, content: JsonObject): string {
    return this.of(revision, `"content":[${JSON.stringify(content)}]`);
  }

  /** A tool that could not give what was asked for, in words. */
  refusal(revision: Revision, text: string): string {
    return this.of(revision, `"content":[${JSON.stringify({ type: "text", text })}],"isError":true`);
  }

  /** The error of an rpc: its code, message and violations, and all of it as `google.rpc.Status`. */
  failure(revision: Revision, error: ConnectError): string {
    const status = this.#errors.statusText(error);
    const content = { type: "text", text: this.errorText(error) };
    return this.of(
      revision,
      `"content":[${JSON.stringify(content)}],"isError":true`,
      `"ts-ms/status":${status}`,
    );
  }

  /** `CODE: message`, and a line for each violation. */
  errorText(error: ConnectError): string {
    const lines = violationsIn(this.statusOf(error)["details"]).map(
      ({ field, description }) => `- ${field}: ${description}`,
    );
    return [`${codeName(error.code)}: ${error.rawMessage}`, ...lines].join("\n");
  }

  /** The error as `google.rpc.Status`. */
  statusOf(error: ConnectError): JsonObject {
    return JSON.parse(this.#errors.statusText(error)) as JsonObject; // A status is one.
  }
}

function joined(one: string, other: string): string {
  return one === "" || other === "" ? one + other : `${one},${other}`;
}

function violationsIn(details: JsonValue | undefined): { field: string; description: string }[] {
  if (!Array.isArray(details)) return [];
  return details.flatMap((detail) => {
    const list = isMembers(detail) ? detail["fieldViolations"] : undefined;
    if (!Array.isArray(list)) return [];
    return list
      .filter((one) => isMembers(one))
      .map((one) => ({ field: textIn(one["field"]), description: textIn(one["description"]) }));
  });
}

function textIn(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** The content of a raw body. @param uri of a body that is neither picture, sound nor text */
export function bodyContent(
  { contentType, data }: Pick<HttpBody, "contentType" | "data">,
  uri: string,
): JsonObject {
  const mimeType = contentType === "" ? "application/octet-stream" : contentType;
  const kind = /^(image|audio|text)\//i.exec(mimeType)?.[1]?.toLowerCase();
  if (kind === "text") return { type: "text", text: Buffer.from(data).toString("utf8") };
  const base64 = Buffer.from(data).toString("base64");
  if (kind !== undefined) return { type: kind, data: base64, mimeType };
  return { type: "resource", resource: { uri, mimeType, blob: base64 } };
}
