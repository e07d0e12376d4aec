package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"jiragate/tokenstore"
)

// failed says what an error of etcd means. One that may pass matches
// tokenstore.ErrUnavailable.
func failed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rpctypes.ErrCompacted):
		return fmt.Errorf("%w: etcd: %w", errMeanwhile, err)
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fmt.Errorf("%w: etcd's database is full (%w): compact and defragment it, or raise --quota-backend-bytes, then etcdctl alarm disarm", tokenstore.ErrUnavailable, err)
	case tooLarge(err):
		return fmt.Errorf("%w: it is larger than what etcd takes in one request: raise --max-request-bytes of all members, or divide the store among several prefixes", err)
	}
	code := codeOf(err)
	switch {
	case unavailable(err):
		return fmt.Errorf("%w: etcd: %w", tokenstore.ErrUnavailable, err)
	case code == codes.Unauthenticated, code == codes.PermissionDenied, errors.Is(err, rpctypes.ErrAuthFailed), errors.Is(err, rpctypes.ErrUserEmpty):
		return fmt.Errorf("etcd refuses it: %w: check the user and password of the store, and that its role may read and write all keys of the prefix", err)
	}
	return fmt.Errorf("etcd: %w", err)
}

// tooLarge reports whether etcd, or gRPC on either side of the way to it, takes no request of
// that size.
func tooLarge(err error) bool {
	return errors.Is(err, rpctypes.ErrRequestTooLarge) ||
		// As of gRPC's rpc_util.go: it has no error of its own for it.
		codeOf(err) == codes.ResourceExhausted && strings.Contains(err.Error(), "message larger than max")
}

// unavailable reports whether etcd, or a part of it, could not be reached or was too slow.
func unavailable(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, rpctypes.ErrInvalidAuthToken) || errors.Is(err, rpctypes.ErrAuthOldRevision) {
		return true // a token of etcd's ends, and the client gets another one
	}
	if tooLarge(err) {
		return false
	}
	switch codeOf(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Unknown, codes.Internal, codes.Canceled:
		return true
	}
	return false
}

func codeOf(err error) codes.Code {
	if e, ok := errors.AsType[rpctypes.EtcdError](err); ok {
		return e.Code()
	}
	return status.Code(err)
}

// corruptf returns an error that matches tokenstore.ErrCorrupt.
func corruptf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", tokenstore.ErrCorrupt, fmt.Errorf(format, args...))
}
