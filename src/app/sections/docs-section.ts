import type { DocsConfig } from "../../../gen/ts_ms/config/v1/docs_pb.ts";
import { docs } from "../../gateway/faces/docs/docs.ts";
import type { DocsOptions } from "../../gateway/faces/docs/docs-options.ts";
import { explained } from "./explained.ts";
import { given } from "./given.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** The console of every HTTP server. */
export function open(kit: SectionKit): SectionParts {
  const section = kit.config.docs;
  const options = section === undefined ? {} : optionsOf(section);
  return { faces: [explained(kit, "docs", () => docs(options))] };
}

function optionsOf({
  path,
  title,
  links,
  call,
  live,
  services,
  visibility,
}: DocsConfig): Partial<DocsOptions> {
  return {
    ...{ path, call },
    live: live === "all" ? true : live === "none" ? false : "loopback",
    ...given({ title, services, visibility, links: links.map(({ text, url }) => ({ text, url })) }),
  };
}
