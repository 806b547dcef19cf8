// A control plane of xDS on go-control-plane: serves the resources of a file, and those that it has then on SIGHUP.
//
// The file is JSON: {"listeners": [], "routes": [], "clusters": [], "endpoints": []}, each in protobuf's mapping.
// Prints a line for each request of a client: the type, its version, and the detail of its error if it is a NACK.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
)

// One snapshot for all nodes.
type anyNode struct{}

func (anyNode) ID(*core.Node) string { return "any" }

func read[M types.Resource](parts []json.RawMessage, make func() M) []types.Resource {
	resources := []types.Resource{}
	for _, part := range parts {
		message := make()
		if err := protojson.Unmarshal(part, message); err != nil {
			log.Fatal(err)
		}
		resources = append(resources, message)
	}
	return resources
}

func load(file string, version int, snapshots cache.SnapshotCache) {
	text, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	var parts map[string][]json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil {
		log.Fatal(err)
	}
	snapshot, err := cache.NewSnapshot(fmt.Sprint(version), map[resource.Type][]types.Resource{
		resource.ListenerType: read(parts["listeners"], func() *listener.Listener { return &listener.Listener{} }),
		resource.RouteType:    read(parts["routes"], func() *route.RouteConfiguration { return &route.RouteConfiguration{} }),
		resource.ClusterType:  read(parts["clusters"], func() *cluster.Cluster { return &cluster.Cluster{} }),
		resource.EndpointType: read(parts["endpoints"], func() *endpoint.ClusterLoadAssignment { return &endpoint.ClusterLoadAssignment{} }),
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := snapshots.SetSnapshot(context.Background(), "any", snapshot); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("snapshot %d\n", version)
}

func main() {
	snapshots := cache.NewSnapshotCache(false, anyNode{}, nil)
	load(os.Args[2], 1, snapshots)
	callbacks := server.CallbackFuncs{StreamRequestFunc: func(_ int64, request *discovery.DiscoveryRequest) error {
		kind := request.TypeUrl[strings.LastIndex(request.TypeUrl, ".")+1:]
		if request.ErrorDetail != nil {
			fmt.Printf("NACK %s %q %s\n", kind, request.VersionInfo, strings.ReplaceAll(request.ErrorDetail.Message, "\n", " "))
		} else {
			fmt.Printf("ask %s %q %s\n", kind, request.VersionInfo, strings.Join(request.ResourceNames, ","))
		}
		return nil
	}}
	grpcServer := grpc.NewServer()
	discovery.RegisterAggregatedDiscoveryServiceServer(grpcServer, server.NewServer(context.Background(), snapshots, callbacks))
	socket, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		hangups := make(chan os.Signal, 1)
		signal.Notify(hangups, syscall.SIGHUP)
		for version := 2; ; version++ {
			<-hangups
			load(os.Args[2], version, snapshots)
		}
	}()
	log.Fatal(grpcServer.Serve(socket))
}
