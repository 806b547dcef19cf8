import type { DescService } from "@bufbuild/protobuf";
import { FilesRegistry } from "../../core/schema/files-registry.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { LoadedContract } from "./upstream-entry.ts";

/** Contracts by the first of their services, so that the same services again are the same contract. */
const known = new WeakMap<DescService, LoadedContract>();

/**
 * The contract of services that are given themselves.
 *
 * @param only names of those to serve; none for all
 * @throws SetupError for a name that none of them has
 */
export function staticContract(services: readonly DescService[], only: readonly string[]): LoadedContract {
  const missing = only.find((name) => !services.some(({ typeName }) => typeName === name));
  if (missing !== undefined)
    throw new SetupError(`Upstreams: there is no service ${missing} among those given`);
  const served = only.length === 0 ? services : services.filter(({ typeName }) => only.includes(typeName));
  const [first] = served;
  const before = first && known.get(first);
  if (
    before?.services.length === served.length &&
    served.every((one, place) => one === before.services[place])
  ) {
    return before;
  }
  const contract = { services: served, registry: new FilesRegistry(served.map(({ file }) => file)) };
  if (first !== undefined) known.set(first, contract);
  return contract;
}
