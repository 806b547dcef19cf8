import type { FlagValues } from "../../core/config/flags.ts";
import { dial } from "../../core/dial.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { Face } from "../../gateway/faces/face.ts";
import { HttpServer } from "../../gateway/http-server.ts";
import { loadContracts } from "../contracts/load-contracts.ts";
import { readRules } from "../contracts/rule-files.ts";
import type { documentFlags } from "./document-flags.ts";

/**
 * The document that a server of contracts has at a path, with the default options of servers. It listens on no port.
 *
 * @param face what has the document
 * @param target the gRPC server whose reflection has the contracts, where no flag says where they are
 * @param url path and query of the document
 * @throws FlagError, SetupError, by which it rejects, as `loadContracts`, and for contracts that cannot be served
 */
export async function documentOf(
  face: Face,
  flags: FlagValues<typeof documentFlags>,
  target: string | undefined,
  url: string,
): Promise<string> {
  const { services, registry } = await loadContracts(flags, target);
  await using upstream = dial("127.0.0.1:1"); // It is never called.
  const http = new HttpServer({
    upstream,
    faces: [face],
    rules: await readRules(flags.rules),
    comments: [...flags.descriptors, ...flags.comments],
    logger: false,
  });
  http.replaceServices(services, registry);
  const { statusCode, body } = await http.fastify.inject(url);
  if (statusCode !== 200) throw new SetupError(body);
  return body;
}
