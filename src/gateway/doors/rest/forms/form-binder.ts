import { create, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import { BadRequestSchema } from "../../../../../gen/google/rpc/error_details_pb.ts";
import { fieldsOf, messageFactory } from "../../../../core/codec/field-shape.ts";
import { decodeUtf8, jsonReader, type JsonReader } from "../../../../core/codec/json-to-message.ts";
import { ConnectError, type FieldViolation, invalidArgument } from "../../../../core/errors/errors.ts";
import { type Binder, compileBinder } from "../../../binding/bind.ts";
import { bindDefaults, type BindOptions, jsonReadOptions } from "../../../binding/bind-options.ts";
import { getField, messageAt, pathName, setField } from "../../../binding/field-path.ts";
import type { QueryParameter } from "../../../http/query.ts";
import { QueryBinder } from "../../../binding/query-binder.ts";
import { bodyFormat } from "../../../http/media-type.ts";
import { asHttpBody } from "../../../binding/http-body.ts";
import type { Route } from "../../../../core/http-rule/route.ts";
import type { RouteCall } from "../../../routing/route-call.ts";
import type { FormPart } from "./form-parts.ts";
import { partTarget, type PartTarget } from "./form-target.ts";

/** A part without its bytes. */
export type PartHead = Omit<FormPart, "chunks">;

/** Converts forms into request messages; compiled once for a route. */
export interface FormBinder {
  /** Begins the message of a form. */
  begin(): FormMessage;
  /** A later message of a stream, which contains only bytes of the file. */
  filePiece(target: PartTarget, data: Buffer): Message;
}

/** The message of one form. All errors are reported by `finish`. */
export interface FormMessage {
  /** The field for a part that is a file; undefined if the part is not a file, or there is no such field. */
  fileTarget(part: PartHead): PartTarget | undefined;
  /** Adds a part with all of its bytes. */
  add(part: PartHead, bytes: Buffer): void;
  /** Adds a file, or the first bytes of one that continues in later messages. */
  addFile(target: PartTarget, part: PartHead, bytes: Buffer): void;
  /** The message with query and path. Throws INVALID_ARGUMENT with a violation for each error. */
  finish(call: RouteCall): Message;
}

/**
 * Compiles the binding of forms to the body of a route: text parts by the names of their fields like query parameters,
 * JSON parts to fields of any kind, files to `bytes` and `google.api.HttpBody`. Unknown parts are treated like unknown
 * members of JSON. A form cannot set fields that the path binds.
 */
export function compileFormBinder(route: Route, options: Partial<BindOptions>): FormBinder {
  return new RouteForms(route, { ...bindDefaults, ...options });
}

class RouteForms implements FormBinder {
  readonly schema: DescMessage;
  readonly path: readonly DescField[];
  readonly prefix: string;
  readonly bound: readonly (readonly DescField[])[];
  readonly options: BindOptions;
  readonly texts: QueryBinder;
  readonly json: JsonReader;
  readonly create: () => Message;
  readonly binder: Binder;

  constructor(route: Route, options: BindOptions) {
    const { bodyField, method, variables } = route;
    const path = bodyField === undefined || bodyField === "*" ? [] : bodyField;
    this.path = path;
    this.prefix = path.length === 0 ? "" : `${pathName(path)}.`;
    this.schema = path.at(-1)?.message ?? method.input;
    this.bound = variables
      .map(({ fields }) => fields)
      .filter((fields) => path.every((field, index) => field === fields[index]))
      .map((fields) => fields.slice(path.length));
    this.options = options;
    const { maxFieldDepth, forms, unknownFields, unknownEnums } = options;
    this.texts = new QueryBinder(
      this.schema,
      { bound: this.bound, maxFieldDepth, forms },
      {
        unknownQuery: unknownFields,
        unknownEnums,
        allowedQuery: [],
        systemParameters: false,
        onIgnored: (name) => options.onIgnored?.("body", this.prefix + name),
      },
    );
    this.json = jsonReader(this.schema, {
      ...jsonReadOptions(options),
      onUnknownField: (name) => options.onIgnored?.("body", this.prefix + name),
    });
    this.create = messageFactory(method.input);
    this.binder = compileBinder(route, options);
  }

  begin(): FormMessage {
    return new OpenMessage(this);
  }

  filePiece(target: PartTarget, data: Buffer): Message {
    const message = this.create();
    setFile(messageAt(message, [...this.path, ...target.parents]), target, "", data);
    return message;
  }
}

class OpenMessage implements FormMessage {
  readonly #route: RouteForms;
  readonly #message: Message;
  readonly #body: Message;
  readonly #texts: QueryParameter[] = [];
  readonly #violations: FieldViolation[] = [];
  readonly #seen = new Set<DescField>();

  constructor(route: RouteForms) {
    this.#route = route;
    this.#message = route.create();
    this.#body = messageAt(this.#message, route.path);
  }

  fileTarget(part: PartHead): PartTarget | undefined {
    const target = this.#targetOf(part);
    if (target?.file === undefined) return undefined;
    return target.file === "http-body" || !isText(part) ? target : undefined;
  }

  add(part: PartHead, bytes: Buffer): void {
    const { name } = part;
    if (name === undefined) return this.#refuse("", "a part of the form has no name");
    const file = this.fileTarget(part);
    if (file !== undefined) return this.addFile(file, part, bytes);
    if (isText(part)) return this.#addText(name, bytes);
    const target = this.#targetOf(part);
    if (target === undefined) return this.#skip(name);
    if (bodyFormat(part.contentType) === "json") return this.#addJson(target, bytes);
    if (part.contentType.startsWith("text/")) return this.#addText(name, bytes);
    this.#refuse(nameOf(target), `takes no file of the type ${part.contentType}`);
  }

  addFile(target: PartTarget, { contentType }: PartHead, bytes: Buffer): void {
    const parent = this.#claim(target);
    if (parent !== undefined) setFile(parent, target, contentType, bytes);
  }

  finish({ captures, query }: RouteCall): Message {
    const found: FieldViolation[] = [];
    this.#route.texts.bind(this.#texts, this.#body, found);
    for (const { field, description } of found) this.#refuse(field, description);
    if (this.#violations.length > 0) throw refusal(this.#violations);
    this.#route.binder.complete({ captures, query }, this.#message);
    return this.#message;
  }

  #targetOf({ name }: PartHead): PartTarget | undefined {
    return name === undefined ? undefined : partTarget(this.#route.schema, name, this.#route.bound);
  }

  #addText(name: string, bytes: Buffer): void {
    try {
      this.#texts.push({ name, value: decodeUtf8(bytes) });
    } catch {
      this.#refuse(name, "is no valid UTF-8");
    }
  }

  #addJson(target: PartTarget, bytes: Buffer): void {
    const parent = this.#claim(target);
    if (parent === undefined) return;
    const around = target.parents.length === 0 ? "" : `${pathName(target.parents)}.`;
    try {
      this.#route.json.readField(target.field, decodeUtf8(bytes), parent);
    } catch (reason) {
      if (!(reason instanceof ConnectError)) throw reason;
      const details = reason.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
      for (const { field, description } of details) this.#refuse(around + field, description);
      if (details.length === 0) this.#refuse(nameOf(target), reason.rawMessage);
    }
  }

  /** The message whose field a part sets; undefined, with a violation, if the field is already set. */
  #claim(target: PartTarget): Message | undefined {
    const { field } = target;
    const isList = field.fieldKind === "list" && target.file !== undefined;
    if (!isList && this.#seen.has(field)) {
      this.#refuse(nameOf(target), "is given twice and takes one value");
      return undefined;
    }
    this.#seen.add(field);
    const parent = messageAt(this.#body, target.parents);
    if (field.oneof === undefined) return parent;
    const chosen = fieldsOf(parent)[field.oneof.localName] as { case: string | undefined }; // The form of all oneofs.
    if (chosen.case === undefined || chosen.case === field.localName) return parent;
    this.#refuse(nameOf(target), `another member of the same oneof is given: ${chosen.case}`);
    return undefined;
  }

  #skip(name: string): void {
    const { unknownFields, onIgnored } = this.#route.options;
    if (unknownFields === "reject") this.#refuse(name, "the request has no such field");
    else onIgnored?.("body", this.#route.prefix + name);
  }

  #refuse(field: string, description: string): void {
    this.#violations.push({ field: this.#route.prefix + field, description });
  }
}

/** Whether a part is a text value of the form, not a file. */
export function isText({ fileName, contentType }: Pick<PartHead, "fileName" | "contentType">): boolean {
  return fileName === undefined && contentType === "text/plain";
}

function nameOf({ parents, field }: PartTarget): string {
  return pathName([...parents, field]);
}

function setFile(parent: Message, { field, file }: PartTarget, contentType: string, data: Buffer): void {
  let value: unknown = data;
  if (file === "http-body" && field.message !== undefined) {
    const body = asHttpBody(create(field.message));
    body.contentType = contentType;
    body.data = data;
    value = body;
  }
  if (field.fieldKind === "list") (getField(parent, field) as unknown[]).push(value); // List fields are arrays.
  else setField(parent, field, value);
}

function refusal(violations: readonly FieldViolation[]): Error {
  const [first] = violations;
  const more = violations.length > 1 ? ` (and ${violations.length - 1} more)` : "";
  return invalidArgument(`${first?.field}: ${first?.description}${more}`, violations);
}
