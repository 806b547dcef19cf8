/**
 * The gateway in process with the checks of `buf.validate` on. The small POST of the benchmarks calls the rpc that the
 * first argument names: `Checked`, which has four rules, or `Unchecked`.
 */
import { BenchRulesService } from "../../gen/tsms/test/v1/bench_rules_pb.ts";
import { GrpcServer, HttpServer, type Service } from "../../src/index.ts";
import { takePart } from "./take-part.ts";

interface Parcel {
  readonly name: string;
  readonly weight: number;
  readonly address: string;
}

const send = ({ name, weight, address }: Parcel): Parcel => ({ name, weight, address });
const service: Service<typeof BenchRulesService> = {
  descriptor: BenchRulesService,
  checked: send,
  unchecked: send,
};
const grpc = new GrpcServer({ port: 0 }).addService(service);
const selector = `${BenchRulesService.typeName}.${process.argv[2] ?? "Checked"}`;
const text = JSON.stringify({ http: { rules: [{ selector, post: "/bench/v1/parcels", body: "*" }] } });
const rules = [{ text, file: "bench.json" }];
const http = new HttpServer({ port: 0, upstream: grpc, validation: {}, rules }).addService(service);
await grpc.start();
await http.start();

takePart({ port: http.address?.port ?? 0 });
