import { invalidArgument } from "../core/errors/errors.ts";

const form = /^[a-z0-9_-]{1,64}$/;

/** @throws ConnectError INVALID_ARGUMENT for what is no id of a subscription */
export function checkedId(id: string): string {
  if (form.test(id)) return id;
  const description = "must have 1 to 64 of a-z, 0-9, - and _";
  throw invalidArgument(`subscription_id ${description}`, [{ field: "subscription_id", description }]);
}
