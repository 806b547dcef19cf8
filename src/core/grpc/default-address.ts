/** Where a gRPC server listens, and is called, unless an option or flag says otherwise. */
export const defaultGrpcAddress = Object.freeze({ host: "127.0.0.1", port: 42_001 });
