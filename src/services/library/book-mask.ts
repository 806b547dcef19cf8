import { clone, type DescField } from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { BookSchema, type Book } from "../../../gen/library/v1/library_pb.ts";
import { invalidArgument } from "../../core/errors/errors.ts";

/** Fields that clients may set, by their proto names. */
const writable = ["title", "authors", "isbn", "page_count", "labels", "publication"];

/** Fields that only the server sets; paths that name them are ignored. */
const outputOnly = ["name", "state", "loan", "create_time", "update_time", "etag"];

/**
 * A copy of `book` in which the fields that `paths` names have their value of `change`; for `*` or no paths, all fields
 * that clients may set.
 *
 * @param paths Proto names, joined by dots, as in `google.protobuf.FieldMask`.
 * @throws ConnectError INVALID_ARGUMENT that names a path which is no field of a book.
 */
export function applyMask(book: Book, change: Book, paths: readonly string[]): Book {
  const result = clone(BookSchema, book);
  const all = paths.length === 0 || paths.includes("*");
  const to = reflect(BookSchema, result);
  const from = reflect(BookSchema, clone(BookSchema, change));
  for (const path of all ? writable : paths) {
    const [first = "", ...rest] = path.split(".");
    if (outputOnly.includes(first)) continue;
    if (!writable.includes(first)) throw unknownPath(path);
    copy(from, to, [first, ...rest], path);
  }
  return result;
}

function copy(from: ReflectMessage | undefined, to: ReflectMessage, names: string[], path: string): void {
  const [name, ...rest] = names;
  const field = to.fields.find((candidate) => candidate.name === name);
  if (field === undefined) throw unknownPath(path);
  if (rest.length === 0) {
    if (from?.isSet(field) === true) to.set(field, from.get(field));
    else to.clear(field);
    return;
  }
  if (field.fieldKind !== "message") throw unknownPath(path);
  const source = from?.isSet(field) === true ? from.get(field) : undefined;
  const target = child(to, field);
  copy(source, target, rest, path);
  to.set(field, target);
}

function child(message: ReflectMessage, field: DescField & { fieldKind: "message" }): ReflectMessage {
  return message.get(field);
}

function unknownPath(path: string) {
  return invalidArgument(`books have no field ${path} to change`, [
    { field: "update_mask", description: `${path} is not a field of a book` },
  ]);
}
