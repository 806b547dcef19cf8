import type { DescMethod } from "@bufbuild/protobuf";

/** `package.Service/Method`. */
export function rpcName({ parent, name }: Pick<DescMethod, "parent" | "name">): string {
  return `${parent.typeName}/${name}`;
}
