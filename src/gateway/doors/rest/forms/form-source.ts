import type { Message } from "@bufbuild/protobuf";
import { invalidArgument } from "../../../../core/errors/errors.ts";
import type { HttpExchange } from "../../../http/exchange.ts";
import { HttpError } from "../../../http/http-error.ts";
import { isHttpBody } from "../../../binding/http-body.ts";
import { pieceDelayMs, pieces } from "../files/pieces.ts";
import type { Route } from "../../../../core/http-rule/route.ts";
import { bodyChunks } from "../../../http/body-chunks.ts";
import type { RequestSource } from "../bodies/request-source.ts";
import type { RouteCall } from "../../../routing/route-call.ts";
import { UploadedMessages } from "../bodies/uploaded-messages.ts";
import { compileFormBinder } from "./form-binder.ts";
import type { DoorKit } from "../../door-kit.ts";
import type { FormOptions } from "../../options/form-options.ts";
import { type FormPart, formParts } from "./form-parts.ts";
import type { PartTarget } from "./form-target.ts";

/** Whether the body of a route's requests can be a form: it is a message with fields of its own. */
export function takesForm({ method, bodyField }: Pick<Route, "method" | "bodyField">): boolean {
  if (bodyField === undefined) return false;
  if (bodyField === "*") return !isHttpBody(method.input);
  const field = bodyField.at(-1);
  return field?.fieldKind === "message" && !field.message.typeName.startsWith("google.protobuf.");
}

/**
 * Compiles the messages of requests whose body is a form. Rpcs with one request message get the whole form. Rpcs with a
 * request stream get the parts before the first file in the first message, and that file in messages of
 * `uploadChunkBytes`; no part may follow it.
 */
export function compileFormSource(route: Route, kit: DoorKit): RequestSource {
  const { methodKind } = route.method;
  const { bodies, streams } = kit;
  const { forms } = kit.browsers;
  const read = compileFormReader(route, kit);
  const isStream = methodKind === "client_streaming" || methodKind === "bidi_streaming";
  return async (call, exchange) => {
    const problem = forms.problem(exchange.head);
    if (problem !== undefined) throw problem;
    const type = typeOf(exchange);
    if (!isStream) return new UploadedMessages([await read.whole(call, type, await bodies.read(exchange))]);
    return new UploadedMessages(read.stream(call, type, bodyChunks(exchange, streams.bodyIdleMs)));
  };
}

interface FormReader {
  readonly whole: (call: RouteCall, contentType: string, body: Buffer) => Promise<Message>;
  readonly stream: (
    call: RouteCall,
    contentType: string,
    body: AsyncIterable<Buffer>,
  ) => AsyncGenerator<Message, void, undefined>;
}

function compileFormReader(route: Route, { binding, files, limits, forms }: DoorKit): FormReader {
  const binder = compileFormBinder(route, binding);
  const { uploadChunkBytes } = files;
  const { maxBodyBytes } = limits;
  const delayMs = pieceDelayMs(route.method);
  return {
    async whole(call, contentType, body) {
      const form = binder.begin();
      for await (const part of namedParts(contentType, once(body), forms)) {
        form.add(part, await readPart(part, maxBodyBytes));
      }
      return form.finish(call);
    },
    async *stream(call, contentType, body) {
      const form = binder.begin();
      let file: PartTarget | undefined;
      let remainingBytes = maxBodyBytes;
      for await (const part of namedParts(contentType, body, forms)) {
        if (file !== undefined) throw afterFile(part);
        const target = form.fileTarget(part);
        if (target === undefined || target.field.fieldKind === "list") {
          const bytes = await readPart(part, remainingBytes);
          remainingBytes -= bytes.length;
          form.add(part, bytes);
          continue;
        }
        file = target;
        let isFirst = true;
        for await (const data of pieces(part.chunks, uploadChunkBytes, delayMs)) {
          if (isFirst) form.addFile(file, part, data);
          yield isFirst ? form.finish(call) : binder.filePiece(file, data);
          isFirst = false;
        }
        if (!isFirst) continue;
        form.addFile(file, part, Buffer.alloc(0));
        yield form.finish(call);
      }
      if (file === undefined) yield form.finish(call);
    },
  };
}

/** The parts of a form. Throws INVALID_ARGUMENT as `formParts`, and for names that are too long. */
export async function* namedParts(
  contentType: string,
  body: AsyncIterable<Uint8Array>,
  options: FormOptions,
): AsyncGenerator<FormPart, void, undefined> {
  const { maxPartNameLength } = options;
  for await (const part of formParts(contentType, body, options)) {
    if ((part.name?.length ?? 0) > maxPartNameLength) {
      throw invalidArgument(`the name of a part of the form is longer than ${maxPartNameLength} characters`);
    }
    yield part;
  }
}

/** A body that has been read, as a stream. */
export async function* once(body: Buffer): AsyncGenerator<Buffer, void, undefined> {
  yield body;
}

/** The bytes of a part. Throws HttpError 413 beyond `maxBytes`. */
export async function readPart({ chunks }: FormPart, maxBytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > maxBytes) throw new HttpError(413, "the parts of the form before its file are too large");
    parts.push(chunk);
  }
  return Buffer.concat(parts, size);
}

function afterFile({ name = "" }: FormPart): Error {
  const description = "comes after the file; the parts before it are one message, the file is the others";
  return invalidArgument(`${name}: ${description}`, [{ field: name, description }]);
}

function typeOf({ head }: HttpExchange): string {
  return head.headers["content-type"] ?? "";
}
