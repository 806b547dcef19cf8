import type { DescService } from "@bufbuild/protobuf";

/** Numbers of the options `ts_ms.v1.policy` and `ts_ms.v1.service_policy`. */
const methodPolicy = 61102;
const servicePolicy = 61103;

/**
 * Whether the contract of a service says how its rpcs are called: that needs neither the options' own contract nor the
 * modules that read them.
 */
export function contractStatesPolicy({ proto, methods }: DescService): boolean {
  return (
    hasOption(proto.options, servicePolicy) ||
    methods.some((method) => hasOption(method.proto.options, methodPolicy))
  );
}

/** What is needed of a message of options: extensions are unknown fields of it, whether their contract is loaded or not. */
interface Options {
  readonly $unknown?: readonly { readonly no: number }[] | undefined;
}

function hasOption(options: Options | undefined, number: number): boolean {
  return options?.$unknown?.some(({ no }) => no === number) === true;
}
