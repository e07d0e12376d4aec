package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"jiragate/gateway/admin/act"
)

// Role says what somebody may do. Each includes those before it.
type Role string

const (
	// RoleNone is that of everybody: it may ask whether the gateway works.
	RoleNone Role = ""
	// RoleViewer sees connections, clients, calls, policies and addresses.
	RoleViewer Role = "viewer"
	// RoleCompliance gets proofs and reports as well.
	RoleCompliance Role = "compliance"
	// RoleAdmin changes things as well.
	RoleAdmin Role = "admin"
)

// roles are in the order in which they include each other.
var roles = []Role{RoleNone, RoleViewer, RoleCompliance, RoleAdmin}

// ParseRole reads the name of a role.
func ParseRole(s string) (Role, error) {
	if r := Role(s); r != RoleNone && slices.Contains(roles, r) {
		return r, nil
	}
	return RoleNone, fmt.Errorf("there is no role %q; use viewer, compliance or admin", s)
}

// Includes reports whether whoever has r may do what other may.
func (r Role) Includes(other Role) bool {
	return slices.Index(roles, r) >= slices.Index(roles, other)
}

// AdminTokenActor is the name in the records of whoever has the admin token.
const AdminTokenActor = "operator:admin-token"

// Caller is who asks the API for something, and what they may do.
type Caller struct {
	Actor
	Role Role
}

type roleKey struct{}

// WithCaller returns a context whose requests are those of c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(act.With(ctx, c.Actor), roleKey{}, c.Role)
}

// permit refuses what whoever asks may not do.
func permit(ctx context.Context, needed Role) error {
	role, _ := ctx.Value(roleKey{}).(Role)
	if role.Includes(needed) {
		return nil
	}
	p := refuse(http.StatusForbidden, CodeForbidden, "this needs the role %s", needed)
	if role != RoleNone {
		p.Detail += fmt.Sprintf("; yours is %s", role)
	}
	return p
}

// as is h for the requests of whoever caller names.
func as(caller func(*http.Request) Caller, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(WithCaller(r.Context(), caller(r))))
	})
}
