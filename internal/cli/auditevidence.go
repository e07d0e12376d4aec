package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/fleet"
	"jiragate/gateway/audit/offsite"
	"jiragate/gateway/audit/published"
)

// checkpointsUsage is that of --checkpoints.
const checkpointsUsage = "directory with checkpoints kept elsewhere, or store: those that all gateways have published in the shared store; may be given several times"

// evidence are checkpoints that were kept elsewhere than beside the logs.
type evidence struct {
	copies    []audit.Elsewhere
	asked     bool            // the store was
	published []published.Log // in the store
}

// readEvidence reads what --checkpoints names.
func (a *app) readEvidence(ctx context.Context, given []string) (e evidence, err error) {
	store := string(offsite.KindStore)
	dirs := slices.DeleteFunc(slices.Clone(given), func(s string) bool { return s == store })
	if e.copies, err = a.readCheckpoints(dirs); err != nil {
		return e, err
	}
	if e.asked = len(dirs) < len(given); e.asked {
		nodes, err := a.auditNodes(ctx, true)
		if err != nil {
			return e, err
		}
		e.published = nodes.Nodes
	}
	return e, nil
}

// auditNodes asks what gateways have published.
func (a *app) auditNodes(ctx context.Context, kept bool) (nodes admin.AuditNodes, err error) {
	path := "/v1/audit/nodes"
	if kept {
		path += "?kept=true"
	}
	err = a.withSession(ctx, existingStore, func(s *session) error {
		return s.call(ctx, http.MethodGet, path, nil, &nodes)
	})
	// The gateway that runs may be of another version, and its answer be cut.
	for i, l := range nodes.Nodes {
		if err == nil {
			nodes.Nodes[i], err = published.Read(l)
		}
	}
	return nodes, err
}

// assign gives each checkpoint to the log whose keys have signed it, and what a node has
// published to the log of its name, for that to fail with what its keys have not signed. A
// checkpoint of no log is an error: it may be of one that was left out. The absent are the
// nodes that have published and have no log here.
func (e evidence) assign(logs []fleet.Log, trusts []*checkpoint.Trust) (owned [][]audit.Elsewhere, absent []published.Log, err error) {
	owned = make([][]audit.Elsewhere, len(logs))
	var origins []string
	for i, l := range logs {
		if trusts[i] != nil && (e.asked || len(e.copies) > 0) {
			if err := audit.Learn(l.Dir, trusts[i]); err != nil {
				return nil, nil, fmt.Errorf("node %s: %w", l.Node, err)
			}
		}
		if !e.asked {
			continue
		}
		origin, err := originOf(l, trusts[i])
		if err != nil {
			return nil, nil, err
		}
		origins = append(origins, origin)
		if p, ok := published.Of(e.published, origin); ok {
			owned[i] = p.Checkpoints()
		}
	}
	for _, c := range e.copies {
		found := false
		for i, trust := range trusts {
			if trust == nil {
				continue
			}
			// What is signed and false is for the log to fail with.
			if _, err := trust.Open(c.Signed); !errors.Is(err, checkpoint.ErrUnsigned) {
				owned[i], found = append(owned[i], c), true
			}
		}
		if !found {
			return nil, nil, hint(fmt.Errorf("--checkpoints: %s is not signed by a key of any of the logs", c.Name), "name the log of the gateway that has signed it, too, and its public key")
		}
	}
	return owned, published.Absent(e.published, origins), nil
}

// originOf is the name that a log has by its keys. Who has no key can't compare what was published.
func originOf(l fleet.Log, trust *checkpoint.Trust) (string, error) {
	if trust == nil {
		return "", hint(fmt.Errorf("the log in %s has no public key to check what was published with", l.Dir), "give the file with the keys that jiragate audit key prints at that gateway: --public-key FILE")
	}
	// A log that was named on the way has the name in its newest checkpoint, if not in the
	// keys that were given; the successions beside it have taught the others.
	return trust.Name(), nil
}

// absentNode is a node of which no log was given.
type absentNode struct {
	Node      string    `json:"node"`
	Origin    string    `json:"origin"`
	Size      uint64    `json:"size"`
	Published time.Time `json:"published"`
	Retired   bool      `json:"retired"`
}

func newAbsentNode(l published.Log) absentNode {
	return absentNode{l.Node, l.Origin, l.Newest.Size, l.Newest.Published, l.Retired != nil}
}

// errNoLogOfNode: a node has published checkpoints, and its log is not there.
var errNoLogOfNode = errors.New("no log was given of a node that has published checkpoints")

func absentError(l published.Log) error {
	err := fmt.Errorf("node %s: %w: its log had %d records on %s", l.Node, errNoLogOfNode, l.Newest.Size, l.Newest.Published.UTC().Format(time.RFC3339))
	return hint(err, "name its log by --log; of a gateway that has ended on purpose, keep the log, and say so by jiragate audit nodes retire %s", l.Node)
}

func retiredText(l published.Log) string {
	return fmt.Sprintf("node %s: no log was given; it was retired on %s with %d records", l.Node, l.Retired.At.UTC().Format(time.RFC3339), l.Newest.Size)
}
