package act

import "context"

// Actor is who is at work, and from where. Neither is secret.
type Actor struct {
	Name string // with a colon: "operator:root"
	Addr string // "192.0.2.7:50312", or "unix:pid=123" for the admin socket
}

type actorKey struct{}

// With returns a context whose acts are those of a.
func With(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// From returns whose acts those of ctx are, "operator:unknown" if nobody said.
func From(ctx context.Context) Actor {
	if a, ok := ctx.Value(actorKey{}).(Actor); ok {
		return a
	}
	return Actor{Name: "operator:unknown"}
}
