package keyset_test

import (
	"context"
	"crypto/tls"
	"hash/crc32"
	"net/http"
	"strings"
	"testing"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"golang.org/x/oauth2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const googleRing = "projects/test/locations/europe-west3/keyRings/ring/cryptoKeys/"

// startGoogle is a fake of Cloud KMS, gRPC, and the options that lead the client
// there.
func startGoogle(t *testing.T) *fake {
	one, two := googleRing+"one", googleRing+"two"
	f := &fake{
		name: "google", uri: "gcp-kms://" + one, other: "gcp-kms:" + two, missing: "gcp-kms:" + googleRing + "three",
		keys: newFakeKeys(t, one, two), key: one,
		seal: func(b []byte) []byte { return b },
	}
	service := grpc.NewServer()
	kmspb.RegisterKeyManagementServiceServer(service, googleFake{f: f})
	f.serve(t, http.HandlerFunc(service.ServeHTTP))
	f.google = []option.ClientOption{
		option.WithEndpoint(strings.TrimPrefix(f.server.URL, "https://")),
		option.WithTokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "google-token"})),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: f.pool()}))),
	}
	return f
}

type googleFake struct {
	kmspb.UnimplementedKeyManagementServiceServer
	f *fake
}

// https://cloud.google.com/kms/docs/data-integrity-guidelines
func crc(b []byte) int64 { return int64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))) }

func (g googleFake) check(ctx context.Context, name string) error {
	md, _ := metadata.FromIncomingContext(ctx)
	if a := md.Get("authorization"); len(a) != 1 || a[0] != "Bearer google-token" {
		return status.Error(codes.Unauthenticated, reflected)
	}
	// The routing header without which Google's front ends don't find the key.
	if p := md.Get("x-goog-request-params"); len(p) != 1 || !strings.HasPrefix(p[0], "name=") {
		return status.Error(codes.InvalidArgument, reflected)
	}
	switch {
	case g.f.denied.Load():
		return status.Error(codes.PermissionDenied, reflected)
	case !g.f.keys.has(name):
		return status.Error(codes.NotFound, reflected)
	}
	return nil
}

func (g googleFake) Encrypt(ctx context.Context, r *kmspb.EncryptRequest) (*kmspb.EncryptResponse, error) {
	if err := g.check(ctx, r.GetName()); err != nil {
		return nil, err
	}
	if r.GetPlaintextCrc32C().GetValue() != crc(r.GetPlaintext()) || r.GetAdditionalAuthenticatedDataCrc32C().GetValue() != crc(r.GetAdditionalAuthenticatedData()) {
		return nil, status.Error(codes.InvalidArgument, reflected)
	}
	ciphertext := g.f.keys.encrypt(r.GetName(), r.GetPlaintext(), string(r.GetAdditionalAuthenticatedData()))
	return &kmspb.EncryptResponse{
		Name:                    r.GetName() + "/cryptoKeyVersions/1",
		Ciphertext:              ciphertext,
		CiphertextCrc32C:        wrapperspb.Int64(crc(ciphertext)),
		VerifiedPlaintextCrc32C: true,
		VerifiedAdditionalAuthenticatedDataCrc32C: true,
	}, nil
}

func (g googleFake) Decrypt(ctx context.Context, r *kmspb.DecryptRequest) (*kmspb.DecryptResponse, error) {
	if err := g.check(ctx, r.GetName()); err != nil {
		return nil, err
	}
	if r.GetCiphertextCrc32C().GetValue() != crc(r.GetCiphertext()) {
		return nil, status.Error(codes.InvalidArgument, reflected)
	}
	plaintext, err := g.f.keys.decrypt(r.GetName(), r.GetCiphertext(), string(r.GetAdditionalAuthenticatedData()))
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, reflected)
	}
	return &kmspb.DecryptResponse{Plaintext: plaintext, PlaintextCrc32C: wrapperspb.Int64(crc(plaintext))}, nil
}
