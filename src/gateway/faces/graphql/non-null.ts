import { GraphQLNonNull, type GraphQLNullableType } from "graphql";

const made = new WeakMap<object, GraphQLNonNull<never>>();

/** The non-null type of a type: one for all fields that have it. */
export function nonNull<T extends GraphQLNullableType>(type: T): GraphQLNonNull<T> {
  let known = made.get(type);
  if (known === undefined)
    made.set(type, (known = new GraphQLNonNull(type) as unknown as GraphQLNonNull<never>)); // See below.
  return known; // Made of the key of the map.
}
