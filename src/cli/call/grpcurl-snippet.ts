import { rpcName } from "../../core/call/service.ts";
import { speaksTls } from "../contracts/target-flags.ts";
import { grpcTargetOf } from "./call-target.ts";
import { type PrintedCall, requestTexts, shellCommand } from "./printed-call.ts";

/** The call by grpcurl, which calls HTTP targets by gRPC at their port. */
export function grpcurlSnippet(call: PrintedCall): string {
  const { method, flags, to, requests } = call;
  const isTls = to.isHttps || speaksTls(flags);
  const words: string[][] = [
    ["grpcurl", isTls ? (flags.insecure ? "-insecure" : "") : "-plaintext", "-emit-defaults"],
  ];
  const options: readonly (readonly [string, string | undefined])[] = [
    ["-cacert", flags.grpcCa],
    ["-cert", flags.grpcCert],
    ["-key", flags.grpcKey],
    ["-authority", flags.authority],
    ["-max-time", flags.maxTime === 0 ? undefined : String(flags.maxTime / 1000)],
    ...flags.protoPath.map((folder) => ["-import-path", folder] as const),
    ...flags.proto.map((file) => ["-proto", file] as const),
    ...flags.descriptors.map((file) => ["-protoset", file] as const),
    ...flags.header.map((line) => ["-H", line] as const),
    ["-d", requests.kind === "stdin" ? "@" : requestTexts(call).join("\n")],
  ];
  for (const [flag, value] of options) if (value !== undefined) words.push([flag, value]);
  words.push([to.protocol === "grpc" ? to.name : grpcTargetOf(to), rpcName(method)]);
  return shellCommand(words.map((line) => line.filter((word) => word !== "")));
}
