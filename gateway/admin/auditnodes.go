package admin

import (
	"context"
	"errors"
	"net/http"

	"jiragate/gateway/audit/published"
	"jiragate/tokenstore"
)

// PublishedLogs are what gateways that share a store have published of their audit logs.
type PublishedLogs interface {
	// List gives all of them. What is in the store and was written by no gateway is a
	// tokenstore.ErrCorrupt.
	List(ctx context.Context) ([]published.Log, error)
	// Retire says that a log has ended on purpose, with its newest checkpoint, which is of so
	// many records. That it has gone on since is a tokenstore.ErrConflict.
	Retire(ctx context.Context, origin string, size uint64) error
}

// AuditNodes are the gateways that have published checkpoints of their audit logs.
type AuditNodes struct {
	Node  string          `json:"node,omitempty"` // the name of the one that answers
	Nodes []published.Log `json:"nodes"`
}

// listNodes tells of the newest checkpoint of each gateway, and of all of them if asked.
func (a *API) listNodes(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r, "kept")
	kept := p.text("kept")
	if kept != "" && kept != "true" && kept != "false" {
		p.fail("kept: use true or false")
	}
	if p.err != nil {
		return p.err
	}
	logs, err := a.publishedLogs(r.Context())
	if err != nil {
		return err
	}
	for i := range logs {
		if kept != "true" {
			logs[i].Kept = nil
		}
	}
	return writeJSON(w, http.StatusOK, AuditNodes{a.o.Log.Node, append([]published.Log{}, logs...)})
}

func (a *API) publishedLogs(ctx context.Context) ([]published.Log, error) {
	if a.o.Log.Published == nil {
		p := refuse(http.StatusServiceUnavailable, CodeUnavailable, "gateways that share no store publish no checkpoints")
		p.Hint = "JIRAGATE_STORE names a store in etcd, and store in JIRAGATE_AUDIT_CHECKPOINT_TO publishes there"
		return nil, p
	}
	return a.o.Log.Published.List(ctx)
}

// retireNode says that a gateway has ended on purpose. It is named by its node or, where
// gateways of two regions have one name, by the origin of its log.
func (a *API) retireNode(_ http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	logs, err := a.publishedLogs(r.Context())
	if err != nil {
		return answer{}, err
	}
	name := r.PathValue("node")
	var found []published.Log
	for _, l := range logs {
		if l.Node == name || l.Origin == name {
			found = append(found, l)
		}
	}
	switch {
	case len(found) == 0:
		return answer{}, refuse(http.StatusNotFound, CodeNotFound, "no node %q has published a checkpoint", name)
	case len(found) > 1:
		return answer{}, refuse(http.StatusConflict, CodeConflict, "there are two nodes %q: name the log, %s or %s", name, found[0].Origin, found[1].Origin)
	case found[0].Node == a.o.Log.Node:
		return answer{}, refuse(http.StatusConflict, CodeConflict, "%s is this very node: its log goes on with the record of that; retire it by another gateway", name)
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	err = a.o.Log.Published.Retire(ctx, found[0].Origin, found[0].Newest.Size)
	if errors.Is(err, tokenstore.ErrConflict) {
		return answer{}, refuse(http.StatusConflict, CodeConflict, "%v: stop the gateway first", err)
	}
	if err != nil {
		return answer{}, err
	}
	a.o.Logger.InfoContext(ctx, "node retired", "node", found[0].Node, "origin", found[0].Origin, "size", found[0].Newest.Size)
	return answer{status: http.StatusNoContent}, nil
}
