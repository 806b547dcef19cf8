import type { DescFile, DescService, MessageInitShape } from "@bufbuild/protobuf";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from "../../../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { Code } from "../../errors/errors.ts";
import { service, type AnyService } from "../../call/service.ts";
import { fileBytes, indexSymbols, withImports, type SymbolIndex } from "./symbol-index.ts";

type Response = MessageInitShape<typeof ServerReflectionResponseSchema>;
type Answer = NonNullable<Response["messageResponse"]>;

/**
 * Server reflection (`grpc.reflection.v1` and `v1alpha`) for the services of a server: grpcurl, buf curl and gateways
 * can call them without the contract.
 *
 * @param services Returns the current services of the server.
 */
export function reflectionServices(services: () => readonly DescService[]): AnyService[] {
  const answer = answering(services);
  async function* serverReflectionInfo(
    requests: AsyncIterable<ServerReflectionRequest>,
  ): AsyncGenerator<Response> {
    for await (const request of requests) {
      yield { validHost: request.host, originalRequest: request, messageResponse: answer(request) };
    }
  }
  return [
    service(ServerReflection, { serverReflectionInfo }),
    // v1alpha has the same messages under another name.
    service(ServerReflectionAlpha, { serverReflectionInfo: serverReflectionInfo as never }),
  ];
}

function answering(services: () => readonly DescService[]): (request: ServerReflectionRequest) => Answer {
  let indexed: readonly DescService[] = [];
  let index: SymbolIndex = indexSymbols([]);
  return ({ messageRequest }) => {
    const present = services();
    if (present.length !== indexed.length || present.some((service, place) => service !== indexed[place])) {
      index = indexSymbols(present);
      indexed = present;
    }
    switch (messageRequest.case) {
      case "listServices":
        return {
          case: "listServicesResponse",
          value: { service: present.map(({ typeName }) => ({ name: typeName })) },
        };
      case "fileByFilename":
        return found(index.file(messageRequest.value), `file "${messageRequest.value}"`);
      case "fileContainingSymbol":
        return found(index.symbol(messageRequest.value), `symbol "${messageRequest.value}"`);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = messageRequest.value;
        const file = index.extensions(containingType)?.get(extensionNumber);
        return found(file, `extension ${extensionNumber} of "${containingType}"`);
      }
      case "allExtensionNumbersOfType": {
        const numbers = index.extensions(messageRequest.value)?.keys();
        if (numbers === undefined) return failed(Code.NotFound, `type "${messageRequest.value}" not found`);
        return {
          case: "allExtensionNumbersResponse",
          value: { baseTypeName: messageRequest.value, extensionNumber: [...numbers] },
        };
      }
      case undefined:
        return failed(Code.InvalidArgument, "the request asks for nothing that is known here");
    }
  };
}

function found(file: DescFile | undefined, what: string): Answer {
  if (file === undefined) return failed(Code.NotFound, `${what} not found`);
  return {
    case: "fileDescriptorResponse",
    value: { fileDescriptorProto: withImports([file]).map(fileBytes) },
  };
}

function failed(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
