import { choiceFlag, optionalFlag, switchFlag } from "../../core/config/flag-kinds.ts";
import { FlagError } from "../../core/errors/setup-error.ts";
import { defineCommand, exitCodes } from "../command.ts";

/** `ts-ms new`: a project that can be started and tested. */
export const command = defineCommand({
  positionals: [
    {
      name: "DIR",
      help: "The folder, new or empty, whose last part is the name of the project",
      isOptional: true,
    },
  ],
  flags: {
    template: choiceFlag(
      ["service", "gateway", "library"],
      "service",
      "A service with its class; a gateway in front of a gRPC server; a contract with its client, as a package",
    ),
    package: optionalFlag(
      "NAME",
      "Package of the contract, such as acme.shop.v1; the name of the project and v1 by default",
    ),
    noInstall: switchFlag("Do not install packages"),
    noGit: switchFlag("Do not make a repository of git"),
    force: switchFlag("Write into a folder that is not empty, over files of the same names"),
    yes: switchFlag("Ask nothing: the name of a project without DIR is shop"),
  },
  examples: [
    ["new shop", "a service in the folder shop; then: cd shop && npm start"],
    ["new shop-gateway --template gateway", "REST in front of a gRPC server in any language"],
  ],
  async run({ template, package: inPackage, noInstall, noGit, force, yes }, [dir]) {
    const [{ resolve }, names, { projectFiles, templates }, { writeProject }, { finishProject }] =
      await Promise.all([
        import("node:path"),
        import("./project-names.ts"),
        import("./fill.ts"),
        import("./project-folder.ts"),
        import("./finish-project.ts"),
      ]);
    const folder = dir ?? (yes ? "shop" : await askForName());
    const needed = ["ts-ms", "typescript", "create-ts-ms"];
    const npm = names.projectName(folder, needed);
    const files = projectFiles(npm, names.serviceNames(npm, inPackage), templates[template]);
    const target = resolve(folder);
    const options = { install: !noInstall, git: !noGit, target };
    await writeProject(target, files, force, (made, leftovers) => finishProject(made, leftovers, options));
    process.stdout.write(nextSteps(folder, npm, template, options.install));
    return exitCodes.done;
  },
});

/** @throws FlagError where there is no terminal that could be asked */
async function askForName(): Promise<string> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new FlagError("DIR is missing: the folder of the project, such as ts-ms new shop");
  }
  const { createInterface } = await import("node:readline/promises");
  const questions = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const name = await questions.question("Folder of the project (shop): ");
    return name.trim() === "" ? "shop" : name.trim();
  } finally {
    questions.close();
  }
}

function nextSteps(folder: string, npm: string, template: string, isInstalled: boolean): string {
  const lines = [
    ...(folder === "." ? [] : [`cd ${folder}`]),
    ...(isInstalled ? [] : ["npm install"]),
    template === "library" ? "npm test" : "npm start     # then open http://localhost:8080/docs",
  ];
  return `${npm} is ready:\n\n${lines.map((line) => `  ${line}\n`).join("")}`;
}
