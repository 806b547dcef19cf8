// A grpc-go server as its documentation shows it, with defaults everywhere. Prints the port that it serves.
package main

import (
	"context"
	"fmt"
	"log"
	"net"

	bench "peers/gen/tsms/test/v1"

	"google.golang.org/grpc"
)

type server struct {
	bench.UnimplementedBenchServiceServer
}

func (server) Send(_ context.Context, request *bench.SendRequest) (*bench.SendResponse, error) {
	return &bench.SendResponse{Name: request.Name, Weight: request.Weight, Address: request.Address}, nil
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	engine := grpc.NewServer()
	bench.RegisterBenchServiceServer(engine, server{})
	log.Fatal(engine.Serve(listener))
}
