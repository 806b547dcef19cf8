import type { Message } from "@bufbuild/protobuf";
import { invalidArgument } from "../../../../core/errors/errors.ts";
import type { BindOptions } from "../../../binding/bind-options.ts";
import { pathName } from "../../../binding/field-path.ts";
import { pieceDelayMs, pieces } from "../files/pieces.ts";
import { compileRawBinder } from "../files/raw-source.ts";
import type { Route } from "../../../../core/http-rule/route.ts";
import { bodyChunks } from "../../../http/body-chunks.ts";
import type { RequestSource } from "../bodies/request-source.ts";
import { UploadedMessages } from "../bodies/uploaded-messages.ts";
import { isText } from "./form-binder.ts";
import type { FormPart } from "./form-parts.ts";
import type { DoorKit } from "../../door-kit.ts";
import { namedParts, once, readPart } from "./form-source.ts";

/**
 * Compiles the messages of forms for requests with a field that is a raw body: the only file of the form becomes that
 * body, with its own media type. Text parts are unknown parts. Rpcs with a request stream get the file in messages of
 * `uploadChunkBytes`, like a body that is not a form.
 */
export function compileFileFormSource(route: Route, kit: DoorKit): RequestSource {
  const { bodies, binding, streams, files, limits } = kit;
  const { methodKind } = route.method;
  const { first, next } = compileRawBinder(route, kit);
  const name = Array.isArray(route.bodyField) ? pathName(route.bodyField) : "";
  const delayMs = pieceDelayMs(route.method);
  const isStream = methodKind === "bidi_streaming" || methodKind === "client_streaming";
  return async (call, exchange) => {
    const { head } = exchange;
    const problem = kit.browsers.forms.problem(head);
    if (problem !== undefined) throw problem;
    const type = head.headers["content-type"] ?? "";
    if (!isStream) {
      const messages: Message[] = [];
      const parts = namedParts(type, once(await bodies.read(exchange)), kit.forms);
      for await (const file of onlyFile(name, parts, binding)) {
        messages.push(first(call, file.contentType, await readPart(file, limits.maxBodyBytes)));
      }
      return new UploadedMessages(messages);
    }
    const parts = namedParts(type, bodyChunks(exchange, streams.bodyIdleMs), kit.forms);
    return new UploadedMessages(
      (async function* () {
        for await (const file of onlyFile(name, parts, binding)) {
          let isFirst = true;
          for await (const data of pieces(file.chunks, files.uploadChunkBytes, delayMs)) {
            yield isFirst ? first(call, file.contentType, data) : next(data);
            isFirst = false;
          }
          if (isFirst) yield first(call, file.contentType, Buffer.alloc(0));
        }
      })(),
    );
  };
}

/**
 * Yields the file among the parts. Throws INVALID_ARGUMENT for a second file, and at the end of the parts if there was
 * none.
 */
async function* onlyFile(
  name: string,
  parts: AsyncIterable<FormPart>,
  { unknownFields, onIgnored }: BindOptions,
): AsyncGenerator<FormPart, void, undefined> {
  let isFound = false;
  for await (const part of parts) {
    if (isText(part)) {
      const unknown = part.name ?? "";
      if (unknownFields === "reject") throw wrongPart(unknown, "the body is a file and has no such field");
      onIgnored?.("body", unknown);
    } else if (isFound) {
      throw wrongPart(name, "the form has more than one file, and the body is one");
    } else {
      isFound = true;
      yield part;
    }
  }
  if (!isFound) {
    throw wrongPart(name, "the form has no file: send one part with a file name or a media type");
  }
}

function wrongPart(field: string, description: string): Error {
  return invalidArgument(`${field}: ${description}`, [{ field, description }]);
}
