import type { DescMethod, DescService } from "@bufbuild/protobuf";

/** The list of services, with the number of their rpcs. */
export function describeServices(services: readonly DescService[]): string {
  const width = Math.max(...services.map(({ typeName }) => typeName.length));
  const lines = services.map(
    ({ typeName, methods }) => `${typeName.padEnd(width)}  ${methods.length} rpcs\n`,
  );
  return lines.join("");
}

/** The rpcs of a service as its contract has them. */
export function describeService(service: DescService): string {
  return `${service.typeName}\n${service.methods.map((method) => `  ${describeRpc(method)}\n`).join("")}`;
}

function describeRpc({ name, input, output, methodKind }: DescMethod): string {
  const many = { request: /client|bidi/.test(methodKind), reply: /server|bidi/.test(methodKind) };
  const stream = (isStream: boolean): string => (isStream ? "stream " : "");
  return `${name}(${stream(many.request)}${input.typeName}) returns (${stream(many.reply)}${output.typeName})`;
}
