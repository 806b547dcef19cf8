import { execFile } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import {
  createRegistry,
  type DescFile,
  type DescService,
  type Message,
  type Registry,
} from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import type { Any } from "@bufbuild/protobuf/wkt";
import { goModuleFile } from "../tools.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const scratch = join(root, ".cache/connect-conformance");

/** `connectrpc.conformance.v1.Header`. */
export type Header = Message<"connectrpc.conformance.v1.Header"> & { name: string; value: string[] };

/** `connectrpc.conformance.v1.Error`. */
export type RpcError = Message<"connectrpc.conformance.v1.Error"> & {
  code: number;
  message?: string;
  details: Any[];
};

/** `connectrpc.conformance.v1.UnaryResponseDefinition`. */
export type UnaryDefinition = Message<"connectrpc.conformance.v1.UnaryResponseDefinition"> & {
  responseHeaders: Header[];
  response:
    | { case: "responseData"; value: Uint8Array }
    | { case: "error"; value: RpcError }
    | { case: undefined; value?: undefined };
  responseTrailers: Header[];
  responseDelayMs: number;
};

/** `connectrpc.conformance.v1.StreamResponseDefinition`. */
export type StreamDefinition = Message<"connectrpc.conformance.v1.StreamResponseDefinition"> & {
  responseHeaders: Header[];
  responseData: Uint8Array[];
  responseDelayMs: number;
  error?: RpcError;
  responseTrailers: Header[];
};

/** `connectrpc.conformance.v1.ConformancePayload`. */
export type Payload = Message<"connectrpc.conformance.v1.ConformancePayload">;

/** `connectrpc.conformance.v1.TLSCreds`. */
export interface TlsCredentials {
  cert: Uint8Array;
  key: Uint8Array;
}

/** `connectrpc.conformance.v1.ServerCompatRequest`. */
export type ServerRequest = Message<"connectrpc.conformance.v1.ServerCompatRequest"> & {
  useTls: boolean;
  clientTlsCert: Uint8Array;
  messageReceiveLimit: number;
  serverCreds?: TlsCredentials;
};

/** `connectrpc.conformance.v1.ServerCompatResponse`. */
export type ServerResponse = Message<"connectrpc.conformance.v1.ServerCompatResponse"> & {
  host: string;
  port: number;
  pemCert: Uint8Array;
};

/** `connectrpc.conformance.v1.ClientCompatRequest`. */
export type ClientRequest = Message<"connectrpc.conformance.v1.ClientCompatRequest"> & {
  testName: string;
  compression: number;
  host: string;
  port: number;
  serverTlsCert: Uint8Array;
  clientTlsCreds?: TlsCredentials;
  messageReceiveLimit: number;
  method?: string;
  requestHeaders: Header[];
  requestMessages: Any[];
  timeoutMs?: number;
  streamType: number;
  requestDelayMs: number;
  cancel?: {
    cancelTiming:
      | { case: "beforeCloseSend" | undefined }
      | { case: "afterCloseSendMs" | "afterNumResponses"; value: number };
  };
};

/** The suite's contract, which is generated when the suite runs. */
export interface Contract {
  readonly service: DescService;
  /** Every message of the suite. */
  readonly registry: Registry;
  message<T extends Message>(name: string): GenMessage<T>;
}

/** Generates the suite's contract into the cache of this checkout and returns the folder. */
export async function generateContract(): Promise<string> {
  const source = await goModuleFile("connectconformance", "proto/connectrpc");
  const proto = join(scratch, "proto/connectrpc");
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(proto, { recursive: true });
  cpSync(source, proto, { recursive: true });
  // Files in the module cache are read-only, and plain copies would be too.
  chmodSync(proto, 0o755);
  for (const path of readdirSync(proto, { recursive: true })) chmodSync(join(proto, String(path)), 0o755);
  writeFileSync(join(scratch, "buf.yaml"), "version: v2\nmodules:\n  - path: proto\n");
  cpSync(join(root, "buf.gen.yaml"), join(scratch, "buf.gen.yaml"));
  await run(process.execPath, [join(root, "node_modules/@bufbuild/buf/bin/buf"), "generate"], {
    cwd: scratch,
  });
  return join(scratch, "gen");
}

/** Loads the contract that `generateContract` has written into `folder`. */
export async function loadContract(folder: string): Promise<Contract> {
  const load = async (name: string): Promise<Record<string, unknown>> => {
    const path = join(folder, "connectrpc/conformance/v1", `${name}_pb.ts`);
    return (await import(pathToFileURL(path).href)) as Record<string, unknown>; // Generated at run time.
  };
  const names = ["service", "server_compat", "client_compat"];
  const modules = await Promise.all(names.map(load));
  const files = names.map(
    (name, index) => modules[index]?.[`file_connectrpc_conformance_v1_${name}`] as DescFile, // Named by buf.
  );
  const registry = createRegistry(...files);
  const service = registry.getService("connectrpc.conformance.v1.ConformanceService");
  if (service === undefined) throw new Error("the suite's service is not where it was");
  return {
    service,
    registry,
    message<T extends Message>(name: string) {
      const schema = registry.getMessage(`connectrpc.conformance.v1.${name}`);
      if (schema === undefined) throw new Error(`the suite has no message ${name}`);
      return schema as GenMessage<T>; // The types above are copied from the suite's contract.
    },
  };
}
