import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { nearestName } from "../../core/errors/nearest-name.ts";
import { FlagError } from "../../core/errors/setup-error.ts";
import { rpcName } from "../../core/call/service.ts";

/**
 * The rpc or the service of a name: `package.Service/Method`, also with a dot or a slash in front, `Service/Method` or
 * `Method`; `package.Service` or `Service`.
 *
 * @throws FlagError naming what is similar, or all that the name may mean
 */
export function findRpc(services: readonly DescService[], name: string): DescMethod | DescService {
  const wanted = name.replace(/^\//, "");
  const methods = services.flatMap((service) => service.methods);
  const byRpc = new Map<DescMethod | DescService, readonly string[]>();
  for (const method of methods) byRpc.set(method, namesOfRpc(method));
  for (const service of services) byRpc.set(service, [service.typeName, service.name]);
  const found = [...byRpc].filter(([, names]) => names.includes(wanted));
  const exact = found.find(([, names]) => names[0] === wanted) ?? (found.length === 1 ? found[0] : undefined);
  if (exact !== undefined) return exact[0];
  if (found.length > 0) {
    const all = found.map(([desc]) => `  ${fullName(desc)}`);
    throw new FlagError(`${name} may be each of these, so give it in full:\n${all.join("\n")}`);
  }
  const near = nearestName(
    wanted,
    [...byRpc.values()].flatMap((names) => names),
  );
  const hint = near === undefined ? "" : `, did you mean ${near}?`;
  const offered = services.map(({ typeName }) => typeName).join(", ");
  throw new FlagError(`there is no rpc or service ${name}${hint}\nThe services are ${offered}.`);
}

/** The names that mean an rpc, the full one first. */
function namesOfRpc(method: DescMethod): readonly string[] {
  const { parent, name } = method;
  return [
    rpcName(method),
    `${parent.typeName}.${name}`,
    `${parent.name}/${name}`,
    `${parent.name}.${name}`,
    name,
    method.localName,
  ];
}

function fullName(desc: DescMethod | DescService): string {
  return desc.kind === "rpc" ? rpcName(desc) : desc.typeName;
}
