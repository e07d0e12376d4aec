package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/act"
	"jiragate/gateway/admin/reporting"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/report"
	"jiragate/gateway/audit/signer"
	"jiragate/policy"
	"jiragate/policy/history"
	"jiragate/tokenstore/keyset"
)

// auditLab is a log with its key, and the options of an API that reads it.
type auditLab struct {
	dir     string
	key     *signer.Key
	log     *audit.Log
	options admin.Options
}

func newAuditLab(t *testing.T) *auditLab {
	t.Helper()
	keys, err := keyset.New()
	if err != nil {
		t.Fatal(err)
	}
	key, err := signer.Open(signer.Options{Path: filepath.Join(t.TempDir(), "key.json"), Sealer: keys, Name: "jiragate/us"})
	if err != nil {
		t.Fatal(err)
	}
	lab := &auditLab{dir: filepath.Join(t.TempDir(), "audit"), key: key, options: options(t, aStore(t))}
	lab.open(t, key)
	t.Cleanup(func() { lab.close(t) })
	lab.options.Audit = func() (act.Recorder, error) { return lab.log, nil }
	lab.options.AuditKey.Open = func() (admin.Signer, error) { return key, nil }
	lab.options.Log = admin.AuditLog{
		Query: func(_ context.Context, f audit.Filter) iter.Seq2[audit.Entry, error] { return audit.Query(lab.dir, f) },
		Prove: func(seq uint64) (checkpoint.Proof, error) {
			trust, err := lab.trust()
			if err != nil {
				return checkpoint.Proof{}, err
			}
			return audit.Prove(lab.dir, seq, trust)
		},
		Newest: func() (audit.Signed, error) {
			trust, err := lab.trust()
			if err != nil {
				return audit.Signed{}, err
			}
			return audit.NewestCheckpoint(lab.dir, trust)
		},
		Length: func() (uint64, uint64) { return lab.log.Checkpoint() },
		Report: &reporting.Source{
			Dir:       lab.dir,
			Trust:     lab.trust,
			Policy:    func(string) (*policy.Policy, error) { return nil, history.ErrNotKept },
			Published: func() ([]report.PublishedAddress, error) { return nil, nil },
			Version:   "test",
		},
	}
	return lab
}

func (lab *auditLab) trust() (*checkpoint.Trust, error) {
	return checkpoint.NewTrust(lab.key.Verifiers()...)
}

// open opens the log, which is signed if key isn't nil.
func (lab *auditLab) open(t *testing.T, key *signer.Key) {
	t.Helper()
	o := audit.Options{Dir: lab.dir, Sync: audit.SyncBatch, Logger: slog.New(slog.DiscardHandler)}
	if key != nil {
		o.Signer = key
	}
	log, err := audit.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	lab.log = log
}

func (lab *auditLab) close(t *testing.T) {
	t.Helper()
	if err := lab.log.Close(); err != nil {
		t.Fatal(err)
	}
}

// sign brings about a checkpoint of all that is there: one is made when a log is closed.
func (lab *auditLab) sign(t *testing.T) {
	t.Helper()
	lab.close(t)
	lab.open(t, lab.key)
}

// aCall is a call that went well.
func aCall(n int) audit.Record {
	return audit.Record{
		Time: labStart.Add(time.Duration(n) * time.Second), Client: "billing", Connection: "acme", Edition: "cloud", Region: "us",
		Method: "GET", Operation: "myself.get", Path: fmt.Sprintf("/rest/api/3/myself/%d", n), Decision: audit.DecisionAllow, Status: 200,
	}
}

// labStart is when the first call was, in a month that has passed.
var labStart = time.Date(2025, 11, 23, 10, 30, 0, 0, time.UTC)

// write appends a record for each change to a call.
func (lab *auditLab) write(t *testing.T, changes ...func(*audit.Record)) []audit.Record {
	t.Helper()
	var all []audit.Record
	for n, change := range changes {
		r := aCall(n)
		if change != nil {
			change(&r)
		}
		r, err := lab.log.Append(r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// asRole is the API for somebody with a role.
func asRole(t *testing.T, o admin.Options, role admin.Role) http.Handler {
	t.Helper()
	h := newAPI(t, o).InProcess()
	return described(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := admin.Caller{Actor: admin.Actor{Name: "person:" + string(role), Addr: "192.0.2.1:1"}, Role: role}
		h.ServeHTTP(w, r.WithContext(admin.WithCaller(r.Context(), who)))
	}))
}

// seqs reads a page of records.
func seqs(t *testing.T, body string) (list []uint64, page admin.AuditRecords) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	for _, line := range page.Records {
		var r audit.Record
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		list = append(list, r.Seq)
	}
	return list, page
}
