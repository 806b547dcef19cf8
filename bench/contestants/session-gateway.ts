/** The gateway in process. With the file of keys of sessions, calls need the cookie of a session. */
import { Authenticator } from "../../src/core/security/authenticator.ts";
import { sessions } from "../../src/entries/session.ts";
import { GrpcServer, HttpServer, type HttpServerOptions } from "../../src/index.ts";
import { Bench } from "./bench-service.ts";
import { takePart } from "./take-part.ts";

async function gatesFor(keysFile: string | undefined): Promise<HttpServerOptions["gates"]> {
  if (keysFile === undefined) return [];
  const web = sessions({ keysFile });
  const auth = await Authenticator.open({ providers: { web } }, () => "required");
  return [web.gate, auth.gate];
}

const gates = await gatesFor(process.argv[2]);
const bench = new Bench();
const grpc = new GrpcServer({ listen: false, gates }).addService(bench);
const http = new HttpServer({ port: 0, upstream: grpc, gates }).addService(bench);
await http.start();

takePart({ port: http.address?.port ?? 0 });
