import type { FindRequest, FollowParcelsRequest, SendRequest } from "../../gen/tsms/test/v1/bench_pb.ts";
import { BenchService } from "../../gen/tsms/test/v1/bench_pb.ts";
import { followed } from "../works.ts";
import type { Service } from "../../src/index.ts";

/** The service behind all servers that are made with this library. */
export class Bench implements Service<typeof BenchService> {
  readonly descriptor = BenchService;

  send({ name, weight, address }: SendRequest) {
    return { name, weight, address };
  }

  find({ name, weight, tags }: FindRequest) {
    return { name, weight, tags };
  }

  async *followParcels({ count }: FollowParcelsRequest) {
    for (let weight = 1; weight <= count; weight++) yield { ...followed, weight };
  }
}
