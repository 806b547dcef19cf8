/** The gateway as in `gateway.ts`, with the faces that its arguments ask for, which are flags of programs. */
import { parseFlags } from "../../src/core/config/flags.ts";
import { faceFlags, faceOptions } from "../../src/gateway/flags/face-flags.ts";
import { serveBench } from "./serve-bench.ts";

await serveBench(await faceOptions({ ...parseFlags("faced-gateway", faceFlags), httpHost: "127.0.0.1" }));
