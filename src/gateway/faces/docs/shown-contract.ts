import type { DescMethod, DescService, Registry } from "@bufbuild/protobuf";
import type { Comments } from "../../../core/contract/comments.ts";
import type { IsVisible } from "../../../core/contract/json-schema.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import type { Contract, FaceHost } from "../face.ts";
import { ShownContract } from "../shown-contract.ts";
import type { DocsOptions } from "./docs-options.ts";

/** What the console shows of a contract. */
export interface ShownDocs {
  readonly services: readonly DescService[];
  readonly routes: readonly Route[];
  readonly registry: Registry | undefined;
  readonly isVisible: IsVisible & ((desc: DescMethod) => boolean);
}

/** Chooses what the console shows. @throws SetupError naming a service that the contract does not have */
export function shownContract(
  contract: Pick<Contract, "services" | "routes" | "registry">,
  options: Pick<DocsOptions, "services" | "visibility">,
): ShownDocs {
  const shown = new ShownContract("docs", contract, options);
  const { routes, registry } = contract;
  return { services: shown.services, routes, registry, isVisible: (desc) => shown.has(desc) };
}

/** What a model is made of. */
export interface ModelInit {
  readonly shown: ShownDocs;
  readonly comments: Comments;
  readonly options: DocsOptions;
  readonly host: FaceHost;
}

/** An rpc by its full name, `package.Service/Method`; undefined for one that is not shown. */
export function shownRpc({ services, isVisible }: ShownDocs, name: string): DescMethod | undefined {
  const [service = "", method = ""] = name.split("/");
  const found = services
    .find(({ typeName }) => typeName === service)
    ?.methods.find((one) => one.name === method);
  return found !== undefined && isVisible(found) ? found : undefined;
}
