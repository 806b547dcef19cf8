import type { DescService } from "@bufbuild/protobuf";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { Contract, FaceOptions } from "./face.ts";

/**
 * The services of a contract that the options of a face name.
 *
 * @param face its name, for errors
 * @throws SetupError naming a service that the contract does not have
 */
export function chosenServices(
  face: string,
  contract: Pick<Contract, "services">,
  { services: chosen }: Pick<FaceOptions, "services">,
): readonly DescService[] {
  const missing = chosen.find((name) => !contract.services.some(({ typeName }) => typeName === name));
  if (missing !== undefined) throw new SetupError(`${face}: services: there is no service ${missing}`);
  return contract.services.filter(({ typeName }) => chosen.length === 0 || chosen.includes(typeName));
}
