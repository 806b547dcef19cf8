import { type DescMethod, type DescService, getOption, hasOption, type Registry } from "@bufbuild/protobuf";
import { field_faces, service_faces } from "../../../../gen/ts_ms/v1/faces_pb.ts";
import type { Comments } from "../../../core/contract/comments.ts";
import type { IsVisible } from "../../../core/contract/json-schema.ts";
import { Visibility } from "../../../core/contract/visibility.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import type { Contract, FaceHost } from "../face.ts";
import type { DocsOptions } from "./docs-options.ts";

/** What the console shows of a contract. */
export interface ShownContract {
  readonly services: readonly DescService[];
  readonly routes: readonly Route[];
  readonly registry: Registry | undefined;
  readonly isVisible: IsVisible & ((desc: DescMethod) => boolean);
}

/** Chooses what the console shows. */
export function shownContract(
  { services, routes, registry }: Pick<Contract, "services" | "routes" | "registry">,
  options: Pick<DocsOptions, "services" | "visibility">,
): ShownContract {
  const visibility = new Visibility(options.visibility);
  return {
    services: services.filter(
      (service) =>
        (options.services.length === 0 || options.services.includes(service.typeName)) &&
        !(hasOption(service, service_faces) && getOption(service, service_faces).hidden) &&
        visibility.shows(service),
    ),
    routes,
    registry,
    isVisible: (desc) =>
      visibility.shows(desc) &&
      !(desc.kind === "field" && hasOption(desc, field_faces) && getOption(desc, field_faces).hidden),
  };
}

/** What a model is made of. */
export interface ModelInit {
  readonly shown: ShownContract;
  readonly comments: Comments;
  readonly options: DocsOptions;
  readonly host: FaceHost;
}

/** An rpc by its full name, `package.Service/Method`; undefined for one that is not shown. */
export function shownRpc({ services, isVisible }: ShownContract, name: string): DescMethod | undefined {
  const [service = "", method = ""] = name.split("/");
  const found = services
    .find(({ typeName }) => typeName === service)
    ?.methods.find((one) => one.name === method);
  return found !== undefined && isVisible(found) ? found : undefined;
}
