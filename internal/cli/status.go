package cli

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jiragate/gateway/admin"
)

// statusReport is the result of status as JSON.
type statusReport struct {
	Running bool `json:"running"`
	admin.Overview
	Checkpoint *admin.AuditCheckpoint `json:"checkpoint,omitempty"` // of a gateway that runs
}

func newStatus(a *app) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show at a glance how it stands with the gateway",
		Long: `Show whether the gateway runs, since when, and is ready, how many connections are in which state, how
many clients there are, the policy in force, how far the audit log is signed, and how it stands with
the copies of its checkpoints elsewhere; what fails and what to do; and warnings of what holds now and
may not be meant. The exit code is 1 if something fails; warnings don't change it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			running, err := gatewayRuns(cmd.Context(), a.config.DataDir)
			if err != nil {
				return err
			}
			r := statusReport{Running: running}
			err = a.withSession(cmd.Context(), existingStore, func(s *session) error {
				if err := s.call(cmd.Context(), http.MethodGet, "/v1/overview", nil, &r.Overview); err != nil {
					return err
				}
				var c admin.AuditCheckpoint
				err := s.call(cmd.Context(), http.MethodGet, "/v1/audit/checkpoint", nil, &c)
				if p, ok := errors.AsType[*admin.Problem](err); ok && p.Code == admin.CodeUnavailable {
					return nil // nobody runs who knows
				}
				r.Checkpoint = &c
				return err
			})
			if err != nil {
				return err
			}
			if output == asJSON {
				err = writeJSON(a.out, r)
			} else {
				err = writeFields(a.out, r.fields())
			}
			if err == nil && !r.well() {
				return errReported
			}
			return err
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

// well reports whether nothing is known to be wrong.
func (r *statusReport) well() bool {
	for _, c := range r.Checks {
		if c.Error != "" {
			return false
		}
	}
	if r.Checkpoint != nil {
		for _, c := range r.Checkpoint.Copies {
			if c.Problem != "" {
				return false
			}
		}
	}
	return true
}

func (r *statusReport) fields() [][2]string {
	gateway := "stopped"
	if r.Running {
		gateway = "running, version " + r.Version
	}
	list := [][2]string{{"gateway", gateway}}
	if r.Load != nil {
		list = append(list, [2]string{"  calls", strconv.Itoa(r.Load.Calls) + " under way"}, [2]string{"  tunnels", strconv.Itoa(r.Load.Tunnels) + " open"})
	}
	if r.Started != nil {
		list = append(list, [2]string{"  since", fmt.Sprintf("%s (%s)", timeText(*r.Started), time.Since(*r.Started).Round(time.Second))})
	}
	if r.Reload != nil {
		list = append(list, [2]string{"  reloaded", strings.TrimSuffix(timeText(r.Reload.Time)+", and all stayed as it was: "+r.Reload.Error, ", and all stayed as it was: ")})
	}
	if u := r.Upgrade; u != nil {
		what := timeText(u.Time) + ", after a pause of " + milliseconds(u.PauseMS)
		if u.Error != "" {
			what = timeText(u.Time) + ", and the old process goes on: " + u.Error
		}
		list = append(list, [2]string{"  upgraded", what})
	}
	list = append(list, [2]string{"region", r.Region}, [2]string{"connections", strconv.Itoa(r.Connections.Total)})
	for _, state := range slices.Sorted(maps.Keys(r.Connections.ByState)) {
		list = append(list, [2]string{"  " + strings.ReplaceAll(state, "_", " "), strconv.Itoa(r.Connections.ByState[state])})
	}
	egress := "unpinned"
	if r.Egress.Configured > 0 {
		egress = fmt.Sprintf("%d addresses", r.Egress.Configured)
		if r.Running {
			egress = fmt.Sprintf("%d of %s usable", r.Egress.Up, egress)
		}
	}
	list = append(list, [2]string{"clients", strconv.Itoa(r.Clients)}, [2]string{"policy", r.Policy.SHA256}, [2]string{"egress", egress})
	for _, c := range r.Checks {
		list = append(list, checkFields(c)...)
	}
	list = append(list, checkpointFields(r.Checkpoint)...)
	for _, w := range r.Warnings {
		list = append(list, [2]string{"warning", strings.TrimSuffix(w.Message+": "+w.Subject, ": ")}, [2]string{"  do", w.Hint})
	}
	return list
}

// checkFields are the lines about a check: if it fails, since when, why, and what to do.
func checkFields(c admin.CheckResult) [][2]string {
	if c.Reason == "" && c.Error == "" {
		return [][2]string{{c.Name, c.Status}}
	}
	return [][2]string{
		{c.Name, fmt.Sprintf("%s since %s: %s", c.Status, timeText(c.Since), c.Reason)},
		{"  error", c.Error},
		{"  do", c.Hint},
	}
}

// checkpointFields are the lines about the audit log; none where nobody runs who knows.
func checkpointFields(c *admin.AuditCheckpoint) [][2]string {
	if c == nil {
		return nil
	}
	list := [][2]string{{"records", strconv.FormatUint(c.Records, 10)}, {"  signed", strconv.FormatUint(c.Covered, 10)}}
	for _, copied := range c.Copies {
		state := fmt.Sprintf("%d records", copied.Size)
		if copied.Problem != "" {
			state = "failing: " + copied.Problem
		}
		list = append(list, [2]string{"  copy at " + copied.Place, state})
	}
	return list
}
