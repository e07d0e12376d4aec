package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
	"jiragate/gateway/audit/offsite"
	"jiragate/gateway/audit/published"
)

func newAuditNodes(a *app) *cobra.Command {
	var output outputFormat
	var export string
	cmd := &cobra.Command{
		Use:   "nodes",
		Short: "List the gateways that have published checkpoints of their audit logs",
		Long: `List the gateways that have published checkpoints of their audit logs in the store that they share, each with
its newest one. A gateway does that where JIRAGATE_AUDIT_CHECKPOINT_TO names store. A gateway that records nothing
publishes nothing, either.

With --export, all that was published is written to files, for audit verify --checkpoints where the store can't be
reached: the checkpoints of nodes that were retired into the directory retired in it.`,
		Example: `  jiragate audit nodes
  jiragate audit nodes --export ./checkpoints
  jiragate audit nodes retire zone-c`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			nodes, err := a.auditNodes(cmd.Context(), export != "")
			switch {
			case err != nil:
				return err
			case export != "":
				return a.exportNodes(cmd.Context(), export, nodes.Nodes)
			case output == asJSON:
				return writeJSON(a.out, listNodes(nodes, time.Now()))
			}
			return a.writeNodes(listNodes(nodes, time.Now()))
		},
	}
	outputFlag(cmd, &output)
	cmd.Flags().StringVar(&export, "export", "", "directory that gets all checkpoints as files; it is made where it is not there")
	cmd.MarkFlagsMutuallyExclusive("export", "output")
	cmd.AddCommand(newAuditNodesRetire(a))
	return cmd
}

// listedNode is a node as it is shown. Age is how many seconds ago it has published.
type listedNode struct {
	Node      string                `json:"node"`
	Origin    string                `json:"origin"`
	Size      uint64                `json:"size"`
	Published time.Time             `json:"published"`
	Age       int64                 `json:"age_seconds"`
	This      bool                  `json:"this"`
	Retired   *published.Retirement `json:"retired,omitempty"`
}

func listNodes(nodes admin.AuditNodes, now time.Time) []listedNode {
	list := []listedNode{}
	for _, l := range nodes.Nodes {
		list = append(list, listedNode{
			l.Node, l.Origin, l.Newest.Size, l.Newest.Published, int64(now.Sub(l.Newest.Published) / time.Second),
			l.Node == nodes.Node, l.Retired,
		})
	}
	return list
}

func (a *app) writeNodes(list []listedNode) error {
	var rows [][]string
	for _, n := range list {
		state := ""
		switch {
		case n.Retired != nil:
			state = "retired " + n.Retired.At.UTC().Format(time.RFC3339)
		case n.This:
			state = "this one"
		}
		age := (time.Duration(n.Age) * time.Second).String()
		rows = append(rows, []string{n.Node, n.Origin, strconv.FormatUint(n.Size, 10), n.Published.UTC().Format(time.RFC3339), age, state})
	}
	return writeTable(a.out, []string{"NODE", "LOG", "RECORDS", "PUBLISHED", "AGO", "STATE"}, rows)
}

// exportNodes writes checkpoints as a place of checkpoints has them.
func (a *app) exportNodes(ctx context.Context, dir string, nodes []published.Log) error {
	count := 0
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("--export: %w", err)
	}
	for _, l := range nodes {
		to := dir
		if l.Retired != nil {
			to = filepath.Join(dir, "retired")
		}
		if err := os.MkdirAll(to, 0o700); err != nil {
			return fmt.Errorf("--export: %w", err)
		}
		for _, c := range append(l.Kept, l.Newest) { // what is there already stays
			if err := offsite.WriteFile(ctx, to, c.Size, []byte(c.Note)); err != nil {
				return fmt.Errorf("--export: node %s: %w", l.Node, err)
			}
		}
		count += len(l.Checkpoints())
	}
	return a.printf("%d checkpoints of %d nodes are in %s\n", count, len(nodes), escapeText(dir))
}

func newAuditNodesRetire(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "retire NODE",
		Short: "Say that a gateway has ended on purpose, with its newest checkpoint",
		Long: `Say that a gateway has ended on purpose. Its checkpoints stay. From then on audit verify and audit report tell
that no log of it was given, and do not fail for that; a log that is given must hold all that was published. Should the
gateway publish another checkpoint, it has not ended. Stop it first, and keep a copy of its log.

It is on record in the log of the gateway that is asked, which can't retire itself.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "" || path.Clean("/"+args[0]) != "/"+args[0] { // it is a part of a URL
				return usage("%q is no name of a gateway: jiragate audit nodes lists them", args[0])
			}
			err := a.withSession(cmd.Context(), existingStore, func(s *session) error {
				return s.call(cmd.Context(), http.MethodPost, "/v1/audit/nodes/"+url.PathEscape(args[0])+"/retire", nil, nil)
			})
			if err != nil {
				return err
			}
			return a.printf("node %s is retired\n", escapeText(args[0]))
		},
	}
}
