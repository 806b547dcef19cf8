import { readFileSync } from "node:fs";
import { useConsulAgent, type ConsulOptions } from "../../core/discovery/consul/consul-agent.ts";
import { fileProblem } from "../../core/net/tls-material.ts";
import { given } from "./given.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** The Consul agent of everything in the program that names none, from now until it stops. */
export function open(kit: SectionKit): SectionParts {
  const agent = agentOf(kit);
  useConsulAgent(agent);
  return {
    start: () => useConsulAgent(agent),
    stop: () => useConsulAgent(undefined),
  };
}

function agentOf({ config, mistake }: SectionKit): ConsulOptions | undefined {
  const { consul, providers } = config.discovery ?? {};
  const older = providers?.consul;
  const hasOlder = older?.address !== undefined || older?.token !== undefined;
  if (consul === undefined) return hasOlder ? given({ url: older?.address, token: older?.token }) : undefined;
  if (hasOlder) {
    throw mistake("discovery.consul", "the agent stands in discovery.providers.consul too: give it once");
  }
  const { url, token, tokenFile, ca } = consul;
  if (token !== undefined && tokenFile !== undefined) {
    throw mistake("discovery.consul.token_file", "not with discovery.consul.token: give one of them");
  }
  return given({ url, token, tokenFile, tls: ca === undefined ? undefined : { ca: readCa(ca, mistake) } });
}

function readCa(file: string, mistake: SectionKit["mistake"]): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw mistake("discovery.consul.ca", `${file}: ${fileProblem(cause)}`);
  }
}
