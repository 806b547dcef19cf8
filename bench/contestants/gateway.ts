/** The combined gateway. `BENCH_FAST_LANE=off` in the environment turns its option `fastLane` off. */
import { serveBench } from "./serve-bench.ts";

await serveBench({ fastLane: process.env["BENCH_FAST_LANE"] !== "off" });
