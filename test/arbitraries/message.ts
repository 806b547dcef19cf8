import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { codePoint } from "./code-point.ts";

/** What random messages may look like. */
export interface MessageArbitraryOptions {
  /** Most fields that one message sets. Default 8. */
  readonly maxFields: number;
  /** How deep messages nest. Default 3. */
  readonly maxDepth: number;
  /** Types that `google.protobuf.Any` holds; without one, Anys stay empty. Default: none. */
  readonly anyTypes: readonly DescMessage[];
  /** Whether open enums have numbers without a name too. Default true. */
  readonly unknownEnums: boolean;
}

const defaults: MessageArbitraryOptions = { maxFields: 8, maxDepth: 3, anyTypes: [], unknownEnums: true };

/**
 * Random messages of a type that all have a JSON form: values are in range, 32-bit floats are floats, Timestamps,
 * Durations and FieldMasks are valid, Values have a kind.
 */
export function messageArbitrary<T extends DescMessage>(
  schema: T,
  options?: Partial<MessageArbitraryOptions>,
): fc.Arbitrary<Message> {
  return new Generator({ ...defaults, ...options }).message(schema, 0);
}

const text = fc.oneof(
  fc.string({ maxLength: 10 }),
  fc.string({ unit: codePoint, maxLength: 10 }),
  fc.constantFrom(
    "__proto__",
    "constructor",
    'quote"',
    "back\\slash",
    "line\nbreak",
    "\u2028",
    "😀",
    "a\u0000b",
  ),
);
const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
const nanos = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 0, max: 999 }).map((ms) => ms * 1_000_000),
  fc.nat(999_999_999),
);
const name = fc.stringMatching(/^[a-z]{1,5}(_[a-z]{1,5}){0,2}$/);
const json = fc.jsonValue({ maxDepth: 2, stringUnit: codePoint });

class Generator {
  readonly #options: MessageArbitraryOptions;
  // To make arbitraries costs more than to draw from them, and each draw of a message chooses other fields.
  readonly #messages = new Map<DescMessage, fc.Arbitrary<Message>[]>();
  readonly #fields = new Map<DescField, fc.Arbitrary<unknown>[]>();

  constructor(options: MessageArbitraryOptions) {
    this.#options = options;
  }

  message(desc: DescMessage, depth: number): fc.Arbitrary<Message> {
    return byDepth(this.#messages, desc, depth, () => this.#makeMessage(desc, depth));
  }

  #makeMessage(desc: DescMessage, depth: number): fc.Arbitrary<Message> {
    const special = this.#wellKnown(desc, depth);
    if (special !== undefined) return special;
    const nestable = depth < this.#options.maxDepth;
    const fields = desc.fields.filter((field) => field.message === undefined || nestable);
    if (fields.length === 0) return fc.constant(desc).map((schema) => create(schema));
    return fc
      .uniqueArray(fc.constantFrom(...fields), { maxLength: this.#options.maxFields })
      .chain((chosen) =>
        fc.tuple(...chosen.map((field) => this.#field(field, depth).map((value) => [field, value] as const))),
      )
      .map((entries) => {
        const init: Record<string, unknown> = {};
        for (const [field, value] of entries) {
          if (field.oneof === undefined) init[field.localName] = value;
          else init[field.oneof.localName] = { case: field.localName, value };
        }
        return create(desc, init as never);
      });
  }

  #field(field: DescField, depth: number): fc.Arbitrary<unknown> {
    return byDepth(this.#fields, field, depth, () => this.#makeField(field, depth));
  }

  #makeField(field: DescField, depth: number): fc.Arbitrary<unknown> {
    switch (field.fieldKind) {
      case "scalar":
        return scalarArbitrary(field.scalar, field.longAsString);
      case "enum":
        return enumArbitrary(field.enum, this.#options.unknownEnums);
      case "message":
        return this.#messageValue(field, depth);
      case "list":
        return fc.array(this.#element(field, depth), { maxLength: 4 });
      case "map":
        return fc
          .array(fc.tuple(scalarArbitrary(field.mapKey, false), this.#element(field, depth)), {
            maxLength: 4,
          })
          .map((entries) => Object.fromEntries(entries.map(([key, value]) => [String(key), value])));
    }
  }

  #element(
    field: DescField & ({ fieldKind: "list" } | { fieldKind: "map" }),
    depth: number,
  ): fc.Arbitrary<unknown> {
    if (field.message !== undefined) return this.#messageValue(field, depth);
    if (field.enum !== undefined) return enumArbitrary(field.enum, this.#options.unknownEnums);
    return scalarArbitrary(field.scalar, field.fieldKind === "list" && field.longAsString);
  }

  /** Struct fields hold plain objects, singular wrapper fields the bare scalar. */
  #messageValue(field: DescField & { message: DescMessage }, depth: number): fc.Arbitrary<unknown> {
    const { typeName, fields } = field.message;
    if (typeName === "google.protobuf.Struct" && field.parent.typeName !== "google.protobuf.Value") {
      return fc.dictionary(text, json, { maxKeys: 3, noNullPrototype: true });
    }
    const scalar = fields[0]?.scalar;
    const bare = field.fieldKind === "message" && field.oneof === undefined && isWrapper(typeName);
    if (bare && scalar !== undefined) return scalarArbitrary(scalar, false);
    return this.message(field.message, depth + 1);
  }

  #wellKnown(desc: DescMessage, depth: number): fc.Arbitrary<Message> | undefined {
    const build = (init: fc.Arbitrary<object>): fc.Arbitrary<Message> =>
      init.map((value) => create(desc, value as never));
    switch (desc.typeName) {
      case "google.protobuf.Timestamp":
        return build(
          fc.record({ seconds: fc.bigInt({ min: -62_135_596_800n, max: 253_402_300_799n }), nanos }),
        );
      case "google.protobuf.Duration":
        return build(
          fc
            .tuple(fc.integer({ min: 0, max: 315_575_999_999 }), nanos, fc.constantFrom(1, -1))
            .map(([s, n, sign]) => ({
              seconds: BigInt(s * sign),
              nanos: n * sign + 0,
            })),
        );
      case "google.protobuf.FieldMask":
        return build(
          fc.record({
            paths: fc.array(fc.array(name, { minLength: 1, maxLength: 3 }).map((p) => p.join("."))),
          }),
        );
      case "google.protobuf.Value":
        return build(this.#kind(desc, depth).map((kind) => ({ kind })));
      case "google.protobuf.Any":
        return this.#any(depth);
      default:
        return isWrapper(desc.typeName) && desc.fields[0]?.scalar !== undefined
          ? build(fc.record({ value: scalarArbitrary(desc.fields[0].scalar, false) }))
          : undefined;
    }
  }

  #kind(desc: DescMessage, depth: number): fc.Arbitrary<object> {
    const leaves: fc.Arbitrary<object>[] = [
      fc.constant({ case: "nullValue", value: 0 }),
      finite.map((value) => ({ case: "numberValue", value })),
      text.map((value) => ({ case: "stringValue", value })),
      fc.boolean().map((value) => ({ case: "boolValue", value })),
    ];
    const nested = desc.fields.filter(
      (field) => field.message !== undefined && depth < this.#options.maxDepth,
    );
    for (const field of nested) {
      if (field.message === undefined) continue;
      const { localName } = field;
      leaves.push(this.message(field.message, depth + 1).map((value) => ({ case: localName, value })));
    }
    return fc.oneof(...leaves);
  }

  #any(depth: number): fc.Arbitrary<Message> {
    const empty = fc.constant(AnySchema).map((schema) => create(schema));
    const { anyTypes, maxDepth } = this.#options;
    if (anyTypes.length === 0 || depth >= maxDepth) return empty;
    return fc
      .constantFrom(...anyTypes)
      .chain((type) => this.message(type, depth + 1).map((message) => anyPack(type, message)));
  }
}

/** What was made for a descriptor at a depth, else what `make` makes. */
function byDepth<K, T>(made: Map<K, T[]>, desc: K, depth: number, make: () => T): T {
  const depths = made.get(desc) ?? [];
  made.set(desc, depths);
  return (depths[depth] ??= make());
}

function isWrapper(typeName: string): boolean {
  return /^google\.protobuf\.(Double|Float|U?Int64|U?Int32|Bool|String|Bytes)Value$/.test(typeName);
}

function enumArbitrary(desc: DescEnum, unknown: boolean): fc.Arbitrary<number> {
  if (desc.typeName === "google.protobuf.NullValue") return fc.constant(0);
  const known = fc.constantFrom(...desc.values.map((value) => value.number));
  return desc.open && unknown ? fc.oneof({ weight: 5, arbitrary: known }, fc.integer()) : known;
}

/** Random values of a scalar type as messages hold them. */
export function scalarArbitrary(type: ScalarType, longAsString: boolean): fc.Arbitrary<unknown> {
  const long = (min: bigint, max: bigint): fc.Arbitrary<unknown> => {
    const value = fc.bigInt({ min, max });
    return longAsString ? value.map(String) : value;
  };
  switch (type) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 10 });
    case ScalarType.DOUBLE:
      return fc.double();
    case ScalarType.FLOAT:
      // protobuf-es takes the shortest decimals of the very largest floats for out of range.
      return fc.float().map((value) => (Number.isFinite(value) && Math.abs(value) > 3.402e38 ? 1 : value));
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return long(-(2n ** 63n), 2n ** 63n - 1n);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return long(0n, 2n ** 64n - 1n);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return fc.integer({ min: 0, max: 0xffff_ffff });
    default:
      return fc.integer();
  }
}
