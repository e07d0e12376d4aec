package keyset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/tink-crypto/tink-go-gcpkms/v2/integration/gcpkms"
	"github.com/tink-crypto/tink-go/v2/tink"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The name of a key, not of a version of it: Google's service chooses the version.
var googleKey = regexp.MustCompile(`^projects/[A-Za-z0-9.:_-]+/locations/[A-Za-z0-9_-]+/keyRings/[A-Za-z0-9_-]+/cryptoKeys/[A-Za-z0-9_-]+$`)

// googleService is Google's Cloud KMS, over gRPC. The client finds credentials
// as Google's clients do ("application default credentials").
type googleService struct {
	name    string
	options []option.ClientOption
}

func parseGoogle(name string, o Options) (service, error) {
	if !googleKey.MatchString(name) {
		return nil, errors.New("the key URI names no Google key: use gcp-kms://projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY")
	}
	return googleService{name: name, options: o.google}, nil
}

func (s googleService) connect(ctx context.Context) (tink.AEADWithContext, func(), error) {
	uri := "gcp-kms://" + s.name
	last := new(googleLast)
	options := append([]option.ClientOption{
		option.WithGRPCDialOption(grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer))),
		option.WithGRPCDialOption(grpc.WithChainUnaryInterceptor(last.intercept)),
	}, s.options...)
	client, err := gcpkms.NewClient(ctx, uri, gcpkms.WithTransport(gcpkms.TransportGRPC), gcpkms.WithGoogleAPIClientOptions(options...))
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, err
		}
		// Without the cause, which may quote the credentials' file.
		return nil, nil, known("there are no Google credentials that can be used")
	}
	closeClient := func() { _ = client.Close() } // all calls have ended
	a, err := client.GetAEAD(uri)
	if err != nil {
		closeClient()
		return nil, nil, err
	}
	// What GetAEAD returns over gRPC knows contexts, though its type doesn't say so;
	// gcpkms.GetAEADWithContext does say so, but gives no client to close.
	withContext, ok := a.(tink.AEADWithContext)
	if !ok {
		closeClient()
		return nil, nil, known("this build has a version of Tink's client that can't be bounded in time")
	}
	return googleAEAD{withContext, last}, closeClient, nil
}

// googleLast keeps the last refusal for which the client tried again: when time
// is up it tells of the time alone, though the refusal says what is wrong.
type googleLast struct{ err error }

func (l *googleLast) intercept(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	if status.Code(err) == codes.Unavailable {
		l.err = err
	}
	return err
}

func (l *googleLast) instead(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || status.Code(err) == codes.DeadlineExceeded {
		return cmp.Or(l.err, err)
	}
	return err
}

type googleAEAD struct {
	tink.AEADWithContext
	last *googleLast
}

func (a googleAEAD) EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error) {
	ciphertext, err := a.AEADWithContext.EncryptWithContext(ctx, plaintext, associatedData)
	return ciphertext, a.last.instead(err)
}

func (a googleAEAD) DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	plaintext, err := a.AEADWithContext.DecryptWithContext(ctx, ciphertext, associatedData)
	return plaintext, a.last.instead(err)
}

func (googleService) access() string {
	return "check that the key exists and is enabled, GOOGLE_APPLICATION_CREDENTIALS (or the service account of this machine), and that it has the role roles/cloudkms.cryptoKeyEncrypterDecrypter"
}

// googleErrors are the codes as Cloud KMS uses them. Deadlines and cancellations
// are not among them: they are the caller's.
// https://cloud.google.com/kms/docs/reference/rpc/google.rpc#code
var googleErrors = map[codes.Code]string{
	codes.InvalidArgument:    "the encrypted keyset was changed, or is encrypted under another key or for something else",
	codes.NotFound:           "there is no such key",
	codes.PermissionDenied:   "access is denied",
	codes.Unauthenticated:    "the credentials are not accepted",
	codes.FailedPrecondition: "the key is disabled, destroyed or not one for encryption",
	codes.ResourceExhausted:  "there are too many requests, or the answer is too long",
	codes.Unavailable:        "the service can't be reached or is out of order",
	codes.Internal:           "the service is out of order",
	codes.Unimplemented:      "the endpoint is not Cloud KMS",
	codes.Unknown:            "the service's answer is not one that is understood here",
	codes.DataLoss:           "the service is out of order",
	codes.Aborted:            "the service is out of order",
}

func (googleService) explain(err error) string {
	s, ok := status.FromError(err)
	if !ok {
		return ""
	}
	if words, ok := googleErrors[s.Code()]; ok {
		return fmt.Sprintf("%s (%v)", words, s.Code())
	}
	return ""
}
