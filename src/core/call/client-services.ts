import type { DescMessage, DescService } from "@bufbuild/protobuf";

/** The services of which this process has made clients, by full name. */
const services = new Map<string, DescService>();

/** Notes that a client of a service was made. */
export function noteClient(service: DescService): void {
  services.set(service.typeName, service);
}

/** The type of replies with this full name of an rpc that this process has a client for; undefined without one. */
export function replyTypeOf(typeName: string): DescMessage | undefined {
  for (const { methods } of services.values()) {
    const method = methods.find(({ output }) => output.typeName === typeName);
    if (method !== undefined) return method.output;
  }
  return undefined;
}
