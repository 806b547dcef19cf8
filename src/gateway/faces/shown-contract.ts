import { type DescField, type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import { field_faces, service_faces } from "../../../gen/ts_ms/v1/faces_pb.ts";
import type { DescType } from "../../core/contract/namer.ts";
import { Visibility } from "../../core/contract/visibility.ts";
import { chosenServices } from "./chosen-services.ts";
import type { Contract, FaceOptions } from "./face.ts";

/** What a face shows of a contract. */
export class ShownContract {
  /** In the order of the contract. */
  readonly services: readonly DescService[];
  readonly #visibility: Visibility;

  /**
   * @param face its name, for errors
   * @throws SetupError naming a service that the contract does not have
   */
  constructor(
    face: string,
    contract: Pick<Contract, "services">,
    options: Pick<FaceOptions, "services" | "visibility">,
  ) {
    this.#visibility = new Visibility(options.visibility);
    this.services = chosenServices(face, contract, options).filter(
      (service) =>
        !(hasOption(service, service_faces) && getOption(service, service_faces).hidden) &&
        this.#visibility.shows(service),
    );
  }

  /** Whether it shows an rpc, a field or a type. */
  has(desc: DescMethod | DescField | DescType): boolean {
    return (
      this.#visibility.shows(desc) &&
      !(desc.kind === "field" && hasOption(desc, field_faces) && getOption(desc, field_faces).hidden)
    );
  }
}
