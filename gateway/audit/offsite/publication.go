package offsite

import (
	"context"
	"errors"
)

// ErrContradicted is that a place has a checkpoint of this log which is of more records, or
// of as many others: the log was put back or written anew since, or somebody else signs
// for it.
var ErrContradicted = errors.New("a checkpoint that is there contradicts this one")

// publication brings checkpoints to the store that gateways share.
type publication func(ctx context.Context, origin string, signed []byte) error

func (p publication) carry(ctx context.Context, c *checkpoint) error {
	return p(ctx, c.origin, c.signed)
}
