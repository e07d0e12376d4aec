package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/audit"
	"jiragate/internal/cli"
	"jiragate/internal/jirasim"
	"jiragate/policy"
)

// moments are times of a day at which a past must be a good one.
var moments = map[string]time.Time{
	"midnight":            time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC),
	"a second before it":  time.Date(2026, 11, 26, 23, 59, 59, 0, time.UTC),
	"noon":                time.Date(2027, 2, 28, 12, 0, 0, 0, time.UTC),
	"a Sunday evening":    time.Date(2026, 11, 29, 19, 31, 7, 123_456_789, time.UTC),
	"a time zone far off": time.Date(2026, 11, 27, 3, 10, 0, 0, time.FixedZone("", 14*3600)),
}

func TestCallsBefore(t *testing.T) {
	p := policy.Default()
	for name, now := range moments {
		t.Run(name, func(t *testing.T) {
			calls := callsBefore(now, p)
			if !reflect.DeepEqual(calls, callsBefore(now, p)) {
				t.Fatal("the second time it is another past")
			}
			if len(calls) > maxPast-1000 || len(calls) < 5000 {
				t.Errorf("%d calls", len(calls))
			}
			ids := map[string]bool{}
			for i, r := range calls {
				if !r.Time.Before(now) || now.Sub(r.Time) > pastLength {
					t.Fatalf("call %d is of %s", i, r.Time)
				}
				if i > 0 && (r.Time.Before(calls[i-1].Time) || r.ID[:13] < calls[i-1].ID[:13]) {
					t.Fatalf("call %d is of %s (%s), after one of %s (%s)", i, r.Time, r.ID, calls[i-1].Time, calls[i-1].ID)
				}
				if ids[r.ID] {
					t.Fatalf("two calls have the id %s", r.ID)
				}
				ids[r.ID] = true
			}
		})
	}
}

// What people look for is there at any time of the day.
func TestThePastHasStories(t *testing.T) {
	for name, now := range moments {
		t.Run(name, func(t *testing.T) {
			today := now.UTC().Truncate(day)
			count := map[string]int{}
			for _, r := range callsBefore(now, policy.Default()) {
				yesterday := !r.Time.Before(today.Add(-day)) && r.Time.Before(today)
				switch {
				case yesterday && r.Connection == "globex" && r.Client == "retro-sync" && r.Decision == audit.DecisionDeny:
					count["refused of globex yesterday"]++
				case yesterday && r.Connection == "hooli" && r.Code == "upstream_rate_limited":
					count["429 of hooli yesterday"]++
				case yesterday && r.Code == "jira_asked_to_wait":
					count["paced yesterday"]++
				case r.Status >= http.StatusBadGateway:
					count["failed"]++
				case r.Code == "client_unidentified":
					count["unidentified"]++
				case r.Decision == audit.DecisionAllow && r.Code == "":
					count[r.Operation]++
				}
			}
			want := map[string]int{
				"refused of globex yesterday": 150, "429 of hooli yesterday": 10, "paced yesterday": 30, "failed": 30, "unidentified": 5,
			}
			for _, st := range documented {
				want[st.operation] = 20
			}
			for what, least := range want {
				if count[what] < least {
					t.Errorf("%s: %d, want %d at least", what, count[what], least)
				}
			}
		})
	}
}

// The policy and the gateway know every operation and code, and what the policy
// decides by itself it decides of the made-up calls too.
func TestCallsAreOfThePolicy(t *testing.T) {
	p := policy.Default()
	operations := map[string]bool{"": true}
	for _, o := range p.Operations() {
		operations[string(o.Edition)+" "+o.ID] = true
	}
	for _, r := range callsBefore(moments["noon"], p) {
		if r.Operation != "" && !operations[r.Edition+" "+r.Operation] {
			t.Fatalf("%s has no operation %q", r.Edition, r.Operation)
		}
		if r.Connection == "" {
			if r.PolicySHA256 != "" || r.Decision != audit.DecisionDeny {
				t.Fatalf("a call of no connection: %+v", r)
			}
			continue
		}
		if r.PolicySHA256 != p.SHA256() {
			t.Fatalf("another policy: %+v", r)
		}
		d := p.Decide(policy.Request{Edition: policy.Edition(r.Edition), Method: r.Method, Path: r.Path, Client: r.Client, Connection: r.Connection})
		if r.Decision == audit.DecisionAllow && d.Operation == nil {
			t.Fatalf("the policy refuses what was allowed (%s): %+v", d.Code, r)
		}
		if sent := r.EgressIP != ""; sent != (r.UpstreamAddr != "") || sent && r.Decision != audit.DecisionAllow {
			t.Fatalf("left from %q to %q: %+v", r.EgressIP, r.UpstreamAddr, r)
		}
		if (r.Decision == audit.DecisionDeny) != (r.Code != "" && r.Credential == "") {
			t.Fatalf("decision, code and credential don't fit: %+v", r)
		}
	}
}

// A gateway starts with the past, and all of it verifies under its own key.
func TestPastVerifies(t *testing.T) {
	s := set(t, anyListeners)
	t.Run("while the gateway runs", func(t *testing.T) { verify(t, s) })
	t.Run("connections", func(t *testing.T) { testConnections(t, s) })
	t.Run("a directory in use", func(t *testing.T) {
		// Nothing made up gets into a directory that has anything in it.
		config, err := cli.ParseConfig(s.environ)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := writePast(t.Context(), config, s.sim, time.Now()); !errors.Is(err, fs.ErrExist) {
			t.Errorf("making up a second past: %v", err)
		}
	})
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	s.server, s.sim, s.files = nil, nil, nil
	t.Run("afterwards", func(t *testing.T) {
		if out := verify(t, s); !strings.Contains(out, "behind it 0") {
			t.Errorf("some records have no checkpoint:\n%s", out)
		}
		testRecords(t, s)
	})
}

func verify(t *testing.T, s *stage) string {
	t.Helper()
	var out, problems bytes.Buffer
	system := cli.System{In: strings.NewReader(""), Out: &out, Err: &problems, Environ: s.environ}
	if code := cli.Main(t.Context(), []string{"audit", "verify"}, system); code != 0 {
		t.Errorf("exit code %d\n%s%s", code, out.String(), problems.String())
	}
	return out.String()
}

// What was done is on record, as often as it was done.
func testRecords(t *testing.T, s *stage) {
	records, acts := 0, map[string]int{}
	for entry, err := range audit.Query(filepath.Join(s.dir, "data", "audit"), audit.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		r := entry.Record
		if records++; records == 1 && time.Since(r.Time) < pastLength-day || r.Time.After(time.Now()) {
			t.Fatalf("record %d is of %s", r.Seq, r.Time)
		}
		if r.IsAct() {
			acts[r.Operation]++
		}
	}
	if records > maxPast {
		t.Errorf("%d records", records)
	}
	want := map[string]int{"admin.connection.add": len(customers) + 2, "admin.client.add": len(services) + 1, "admin.client.rotate": 1, "admin.connection.disable": 1, "admin.egress.use": 2}
	for operation, n := range want {
		if acts[operation] != n {
			t.Errorf("%d records of %s, want %d", acts[operation], operation, n)
		}
	}
}

// Connections are in each state, and those that lead to the simulator are good there.
func testConnections(t *testing.T, s *stage) {
	answer, err := s.command(t.Context(), "connection", "list", "--output", "json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		ID     string
		State  string
		Reason string `json:"state_reason"`
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		t.Fatal(err)
	}
	of := map[string]string{}
	for _, c := range list {
		of[c.ID] = c.State + ": " + c.Reason
	}
	for id, want := range map[string]string{
		"globex": "active: ", "vandelay": "expiring: the grant ends at ", "bluth": "disabled: disabled by an operator",
		"oscorp": "needs_reauthorisation: the refresh token", "prestige": "needs_reauthorisation: Jira refused",
		"acme-labs": "needs_reauthorisation: it waits for the consent", "acme": "active: ",
	} {
		if !strings.HasPrefix(of[id], want) {
			t.Errorf("%s is %q, want %q", id, of[id], want)
		}
	}
	for _, c := range live() {
		if c.fate != thrives && c.fate != expires {
			continue
		}
		if out, err := s.command(t.Context(), "connection", "test", c.id); err != nil {
			t.Errorf("%s: %v\n%s", c.id, err, out)
		}
	}
}

func TestPastThatIsInterrupted(t *testing.T) {
	sim, err := jirasim.Start(jirasim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	config, err := cli.ParseConfig([]string{"JIRAGATE_DATA_DIR=" + filepath.Join(t.TempDir(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := writePast(ctx, config, sim, time.Now()); err == nil {
		t.Error("a past was written although nobody waits for it")
	}
}

// set starts the demo's world for a test.
func set(t *testing.T, on listeners) *stage {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	s := &stage{out: &bytes.Buffer{}}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.set(t.Context(), on); err != nil {
		t.Fatal(err)
	}
	return s
}
