import { create, type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";

/**
 * Messages of a type in which every field is set in one of them at least, so that checking them reaches every rule. The
 * fields of a oneof exclude one another, so there are as many messages as the largest oneof has fields.
 */
export function sampleMessages(type: DescMessage): readonly Message[] {
  const count = Math.max(1, ...type.oneofs.map(({ fields }) => fields.length));
  return Array.from({ length: count }, (_, index) => {
    const message = reflect(type);
    for (const field of type.fields) {
      const isChosen = field.oneof === undefined || field.oneof.fields.indexOf(field) === index;
      if (!isChosen) continue;
      switch (field.fieldKind) {
        case "list":
          message.get(field).add(sampleItem(field));
          break;
        case "map":
          message.get(field).set(sampleScalar(field.mapKey), sampleItem(field)); // A key by its type.
          break;
        default:
          message.set(field, sampleItem(field));
      }
    }
    return message.message;
  });
}

/** A value of a field, of an item or of the values of a map: not the default, which rules may skip. */
function sampleItem(field: DescField): unknown {
  if (field.message !== undefined) return reflect(field.message, create(field.message));
  if (field.enum !== undefined) return field.enum.values.at(-1)?.number ?? 0;
  return field.scalar === undefined ? undefined : sampleScalar(field.scalar);
}

function sampleScalar(type: ScalarType): unknown {
  switch (type) {
    case ScalarType.STRING:
      return "a";
    case ScalarType.BYTES:
      return new Uint8Array([1]);
    case ScalarType.BOOL:
      return true;
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return 1n;
    default:
      return 1;
  }
}
