import type { DescService } from "@bufbuild/protobuf";
import { FilesService } from "../../../gen/ts_ms/pages/v1/pages_pb.ts";
import type { AccessLevel } from "../../core/admission/access-level.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { openPages, type Pages } from "../../gateway/pages/pages.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** Folders of files at every HTTP server, and templates for handlers. */
export async function open({ config, mistake }: SectionKit): Promise<SectionParts> {
  const { static: folders = [], templates } = config.pages ?? {};
  let pages: Pages;
  try {
    pages = await openPages({
      templates,
      static: folders.map(({ prefix, dir, fallback, maxAge: maxAgeMs, immutable, access }) => ({
        ...{ prefix, dir, fallback, maxAgeMs, immutable },
        access: access as AccessLevel, // A choice of the key.
      })),
    });
  } catch (reason) {
    if (reason instanceof SetupError)
      throw mistake("pages", reason.message.replace(/^(?:openPages|pages): /, ""));
    throw reason;
  }
  const ruled: readonly DescService[] = folders.length === 0 ? [] : [FilesService];
  return { http: { pages }, pages, ruled };
}
