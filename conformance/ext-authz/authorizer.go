// An authorizer on go-control-plane that listens on the port of its first argument. The last segment of the path of a request
// decides the answer. With the word "descriptors" it prints the contract instead, a binary FileDescriptorSet.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

type server struct {
	auth.UnimplementedAuthorizationServer
}

func header(key, value string) *core.HeaderValueOption {
	return &core.HeaderValueOption{
		Header:       &core.HeaderValue{Key: key, Value: value},
		AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

func (server) Check(_ context.Context, request *auth.CheckRequest) (*auth.CheckResponse, error) {
	http := request.GetAttributes().GetRequest().GetHttp()
	path, _, _ := strings.Cut(http.GetPath(), "?")
	denied := &auth.DeniedHttpResponse{
		Status:  &typev3.HttpStatus{Code: typev3.StatusCode_PaymentRequired},
		Headers: []*core.HeaderValueOption{header("x-price", "3")},
		Body:    "pay first",
	}
	switch path[strings.LastIndex(path, "/")+1:] {
	case "denied":
		return &auth.CheckResponse{Status: &status.Status{Code: 7}, HttpResponse: &auth.CheckResponse_DeniedResponse{DeniedResponse: denied}}, nil
	case "both":
		return &auth.CheckResponse{Status: &status.Status{}, HttpResponse: &auth.CheckResponse_DeniedResponse{DeniedResponse: denied}}, nil
	case "error":
		return &auth.CheckResponse{Status: &status.Status{}, HttpResponse: &auth.CheckResponse_ErrorResponse{ErrorResponse: denied}}, nil
	case "slow":
		time.Sleep(2 * time.Second)
	}
	return &auth.CheckResponse{Status: &status.Status{}, HttpResponse: &auth.CheckResponse_OkResponse{OkResponse: &auth.OkHttpResponse{
		Headers: []*core.HeaderValueOption{
			header("x-user-id", "u1"), header(":path", "/other"), header("host", "other"), header("content-length", "1"),
		},
		ResponseHeadersToAdd: []*core.HeaderValueOption{
			header("x-seen", fmt.Sprintf("%s %s %s", http.GetMethod(), http.GetPath(), http.GetHeaders()["authorization"])),
		},
	}}}, nil
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "descriptors" {
		printDescriptors()
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	server_ := grpc.NewServer()
	auth.RegisterAuthorizationServer(server_, server{})
	log.Fatal(server_.Serve(listener))
}

func printDescriptors() {
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(file protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		for i := 0; i < file.Imports().Len(); i++ {
			add(file.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	add(auth.File_envoy_service_auth_v3_external_auth_proto)
	bytes, err := proto.Marshal(set)
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(bytes)
}
