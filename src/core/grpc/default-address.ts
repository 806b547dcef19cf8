/** The default address of gRPC servers and of the gateway's upstream. */
export const defaultGrpcAddress = Object.freeze({ host: "127.0.0.1", port: 42_001 });
