import type { DescField, DescMessage } from "@bufbuild/protobuf";

/** Whether a face shows a field. */
export type Shows = (field: DescField) => boolean;

/** Whether a message, or one inside of it, has a field that is not shown. */
export function hasHidden(message: DescMessage, shows: Shows): boolean {
  const seen = new Set([message]);
  for (const one of seen) {
    for (const field of one.fields) {
      if (!shows(field)) return true;
      if (field.message !== undefined) seen.add(field.message);
    }
  }
  return false;
}

/**
 * The type of replies as clients see it: without its hidden fields, and those of the messages inside of it. Writers of
 * JSON that are made of it leave these out of messages of the whole type.
 */
export function shownMessage(message: DescMessage, shows: Shows): DescMessage {
  return hasHidden(message, shows) ? reduced(message, shows, new Map()) : message;
}

/** @param made the reduced types so far: types may contain themselves */
function reduced(desc: DescMessage, shows: Shows, made: Map<DescMessage, DescMessage>): DescMessage {
  const known = made.get(desc);
  if (known !== undefined) return known;
  const fields: DescField[] = [];
  const isShown = (member: DescMessage["members"][number]): boolean =>
    member.kind === "oneof" || shows(member);
  const copy: DescMessage = { ...desc, fields, members: desc.members.filter(isShown) };
  made.set(desc, copy);
  for (const field of desc.fields.filter(shows)) {
    const inside = field.message && reduced(field.message, shows, made);
    fields.push({ ...field, parent: copy, ...(inside && { message: inside }) } as DescField); // Of the same kind as before.
  }
  return copy;
}
