package etcd

import (
	"context"
	"time"
)

const (
	// requestTimeout is how long one member may take to answer. Then another one is asked.
	requestTimeout = 2 * time.Second
	// again is the pause before that.
	again = 50 * time.Millisecond
)

// persist sends a request, that may be sent more than once, until there is an answer, or ctx
// ends.
func persist[T any](ctx context.Context, request func(context.Context) (T, error)) (T, error) {
	for {
		answer, err := once(ctx, request)
		if err == nil || !unavailable(err) {
			return answer, failed(err)
		}
		if pause(ctx, again); ctx.Err() != nil {
			return answer, failed(err)
		}
	}
}

// once sends a request to one member.
func once[T any](ctx context.Context, request func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return request(ctx)
}
