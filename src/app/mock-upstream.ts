import type { DescService } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { mockService } from "../core/contract/mock-service.ts";
import { type DialedTransport, dial } from "../core/dial.ts";
import { GrpcServer } from "../core/grpc-server.ts";
import type { SchemaUpstream } from "../core/schema/schema-loader.ts";

/** The upstream of `--mock`: answers every rpc of the contracts in use with examples. */
export interface MockUpstream extends Transport, SchemaUpstream {
  /** Its line of the start-up message. */
  readonly about: string;
  /** Answers the rpcs of these services from now on. @returns goes back to those before */
  use(services: readonly DescService[]): () => void;
  close(): void;
}

/** @param seed chooses among values: the same seed makes the same answers */
export function mockUpstream(seed: number): MockUpstream {
  let current: DialedTransport = dial(new GrpcServer({ listen: false }));
  return {
    about: "[MOCK] every answer is made of the contracts",
    state: "ready",
    unary: (...call) => current.unary(...call),
    stream: (...call) => current.stream(...call),
    ready: async () => {},
    use(services) {
      const before = current;
      const server = new GrpcServer({ listen: false });
      for (const service of services) server.addService(mockService(service, { seed }));
      current = dial(server);
      return () => {
        current = before;
      };
    },
    close() {},
  };
}
