// grpc-gateway as its documentation shows it: generated handlers, defaults everywhere, a grpc-go client to the backend
// whose address is the argument. Prints the port that it serves.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	bench "peers/gen/tsms/test/v1"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	ctx := context.Background()
	mux := runtime.NewServeMux()
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	for _, register := range []func(context.Context, *runtime.ServeMux, string, []grpc.DialOption) error{
		bench.RegisterBenchServiceHandlerFromEndpoint,
		bench.RegisterBenchBooksServiceHandlerFromEndpoint,
		bench.RegisterBenchStreamsServiceHandlerFromEndpoint,
	} {
		if err := register(ctx, mux, os.Args[1], options); err != nil {
			log.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, mux))
}
