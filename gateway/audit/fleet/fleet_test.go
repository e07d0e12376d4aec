package fleet_test

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/fleet"
	"jiragate/gateway/audit/signer"
	"jiragate/tokenstore/keyset"
)

// start is when the first calls of the tests arrive.
var start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// gateway is a data directory, as far as its log goes.
type gateway struct {
	t      *testing.T
	data   string
	sealer signer.Sealer
}

func newGateway(t *testing.T, name string) *gateway {
	t.Helper()
	keys, err := keyset.New()
	if err != nil {
		t.Fatal(err)
	}
	return &gateway{t, filepath.Join(t.TempDir(), name), keys}
}

func (g *gateway) dir() string { return filepath.Join(g.data, "audit") }

// run is one run of the gateway under the name of a node, or without a name. Records
// are of calls that arrived so many seconds after start.
func (g *gateway) run(node string, seconds ...int) *signer.Key {
	g.t.Helper()
	key, err := signer.Open(signer.Options{Path: filepath.Join(g.data, "audit-key.json"), Sealer: g.sealer, Name: checkpoint.Name("us", node)})
	if err != nil {
		g.t.Fatal(err)
	}
	g.write(key, seconds...)
	return key
}

func (g *gateway) write(key *signer.Key, seconds ...int) {
	g.t.Helper()
	o := audit.Options{Dir: g.dir(), Sync: audit.SyncBatch, Logger: slog.New(slog.DiscardHandler)}
	if key != nil {
		o.Signer = key
	}
	l, err := audit.Open(o)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, s := range seconds {
		if _, err := l.Append(audit.Record{Time: start.Add(time.Duration(s) * time.Second), Connection: "acme", Decision: audit.DecisionAllow, Status: 200}); err != nil {
			g.t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) copy(name string) string {
	g.t.Helper()
	to := filepath.Join(g.t.TempDir(), name)
	if err := os.CopyFS(to, os.DirFS(g.dir())); err != nil {
		g.t.Fatal(err)
	}
	return to
}

// damage makes a line of the log no record any more.
func (g *gateway) damage(seq int) {
	g.t.Helper()
	names, err := filepath.Glob(filepath.Join(g.dir(), "*.jsonl"))
	if err != nil || len(names) != 1 {
		g.t.Fatalf("%q, %v", names, err)
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		g.t.Fatal(err)
	}
	changed := strings.Replace(string(text), fmt.Sprintf(`{"seq":%d,`, seq), fmt.Sprintf(`{"sex":%d,`, seq), 1)
	if err := os.WriteFile(names[0], []byte(changed), 0o600); err != nil || changed == string(text) {
		g.t.Fatalf("nothing was damaged (%v)", err)
	}
}

// A log tells whose it is, from the checkpoint on that its gateway signs under the name.
// Where it does not, it is called as the caller says, or like its directory.
func TestOpenNamesTheLogs(t *testing.T) {
	named, late, nameless, moved, unsigned := newGateway(t, "d1"), newGateway(t, "d2"), newGateway(t, "d3"), newGateway(t, "d4"), newGateway(t, "d5")
	named.run("zone-b", 1)
	late.run("", 1)
	late.run("zone-a", 2)
	nameless.run("", 1)
	moved.run("", 1)
	unsigned.write(nil, 1)
	logs, err := fleet.Open(
		fleet.Log{Dir: named.dir()}, fleet.Log{Dir: late.dir(), Node: "zone-a"}, fleet.Log{Dir: nameless.dir()},
		fleet.Log{Dir: moved.copy("copied")}, fleet.Log{Dir: unsigned.dir(), Node: "mine"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range logs {
		got = append(got, l.Node)
	}
	if want := []string{"copied", "d3", "mine", "zone-a", "zone-b"}; !slices.Equal(got, want) {
		t.Errorf("the nodes are %q, want %q", got, want)
	}
}

// A log that got its name on the way is verified by who has its first key alone, and is
// that node's then.
func TestLogThatWasNamedOnTheWayVerifies(t *testing.T) {
	g := newGateway(t, "d")
	first := g.run("", 1, 2).Verifier()
	key := g.run("zone-a", 3)
	if _, err := key.Rotate(); err != nil {
		t.Fatal(err)
	}
	g.write(key, 4)
	for name, verifiers := range map[string][]string{"the first key": {first}, "all keys": key.Verifiers()} {
		trust, err := checkpoint.NewTrust(verifiers...)
		if err != nil {
			t.Fatal(err)
		}
		r, err := audit.Verify(g.dir(), audit.VerifyOptions{Trust: trust})
		if err != nil || r.Origin != "jiragate/us/zone-a" || r.Checkpointed != 4 || len(trust.Verifiers()) != 3 {
			t.Errorf("%s: %+v, %v, trusted: %q", name, r, err, trust.Verifiers())
		}
	}
	stranger := newGateway(t, "e").run("zone-b", 1)
	trust, err := checkpoint.NewTrust(stranger.Verifiers()...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Verify(g.dir(), audit.VerifyOptions{Trust: trust}); !errors.Is(err, checkpoint.ErrUnsigned) {
		t.Errorf("it is verified as zone-b's: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	a, b, again := newGateway(t, "a"), newGateway(t, "b"), newGateway(t, "c")
	a.run("zone-a", 1, 2)
	b.run("zone-b", 1)
	again.run("zone-b", 1)
	plain, plainer := newGateway(t, "same"), newGateway(t, "same")
	plain.run("", 1)
	plainer.run("", 1)
	before := a.copy("before")
	a.run("zone-a", 3)
	empty := t.TempDir()
	file := filepath.Join(empty, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(empty, "link")
	if err := os.Symlink(a.dir(), link); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		logs []fleet.Log
		err  error
		says string
	}{
		"two of one node":            {[]fleet.Log{{Dir: b.dir()}, {Dir: again.dir()}}, fleet.ErrSameNode, "zone-b: " + b.dir() + " and " + again.dir()},
		"two that can't be told":     {[]fleet.Log{{Dir: plain.dir()}, {Dir: plainer.dir()}}, fleet.ErrSameNode, "say which is which (NODE=DIR)"},
		"another node than was said": {[]fleet.Log{{Node: "zone-b", Dir: a.dir()}}, fleet.ErrOtherNode, "is named zone-a by its checkpoint, not zone-b"},
		"one directory, twice":       {[]fleet.Log{{Dir: a.dir()}, {Dir: a.dir()}}, fleet.ErrSameLog, "are one directory"},
		"one directory, by a link":   {[]fleet.Log{{Dir: a.dir()}, {Dir: link}}, fleet.ErrSameLog, "are one directory"},
		"a copy":                     {[]fleet.Log{{Dir: b.dir()}, {Dir: b.copy("copy")}}, fleet.ErrSameLog, "record 1 is in"},
		"an older copy":              {[]fleet.Log{{Dir: a.dir()}, {Dir: b.dir()}, {Dir: before}}, fleet.ErrSameLog, "one is a copy of the other"},
		"a directory that isn't":     {[]fleet.Log{{Dir: filepath.Join(empty, "no")}}, fs.ErrNotExist, filepath.Join(empty, "no")},
		"a directory with other":     {[]fleet.Log{{Dir: empty}}, audit.ErrNoLog, empty},
		"a file":                     {[]fleet.Log{{Dir: file}}, audit.ErrNoLog, "name its directory"},
		"the directory around":       {[]fleet.Log{{Dir: a.data}}, audit.ErrNoLog, "it may be " + a.dir()},
	} {
		if logs, err := fleet.Open(tt.logs...); !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, error %v does not say %q", name, logs, err, tt.says)
		}
	}
}

// Records come by time. Those of one log stay in its order, so that a record of a call
// that took long does not jump back; at one time, they come by node.
func TestMergeOrder(t *testing.T) {
	a, b := newGateway(t, "a"), newGateway(t, "b")
	a.run("zone-a", 1, 5, 2, 8)
	b.run("zone-b", 1, 3, 6, 9)
	logs, err := fleet.Open(fleet.Log{Dir: b.dir()}, fleet.Log{Dir: a.dir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		filter audit.Filter
		want   string
	}{
		{"all", audit.Filter{}, "a1 b1 b3 a5 a2 b6 a8 b9"},
		{"the last", audit.Filter{Limit: 3}, "b6 a8 b9"},
		{"more than there are", audit.Filter{Limit: 100}, "a1 b1 b3 a5 a2 b6 a8 b9"},
		{"of a time", audit.Filter{Since: start.Add(3 * time.Second), Until: start.Add(9 * time.Second)}, "b3 a5 b6 a8"},
		{"none", audit.Filter{Connection: "globex"}, ""},
	} {
		var got []string
		for e, err := range fleet.Merge(logs, tt.filter.Limit, func(l fleet.Log) iter.Seq2[audit.Entry, error] { return audit.Query(l.Dir, tt.filter) }) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s%.0f", strings.TrimPrefix(e.Node, "zone-"), e.Time.Sub(start).Seconds()))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A damaged line is said, with its node, and hides nothing else.
func TestMergeOfADamagedLog(t *testing.T) {
	a, b := newGateway(t, "a"), newGateway(t, "b")
	a.run("zone-a", 1, 3, 5)
	b.run("zone-b", 2, 4, 6)
	b.damage(2)
	logs, err := fleet.Open(fleet.Log{Dir: a.dir()}, fleet.Log{Dir: b.dir()})
	if err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int]string{0: "1 2 ! 3 5 6", 4: "! 3 5 6"} {
		var got []string
		for e, err := range fleet.Merge(logs, limit, func(l fleet.Log) iter.Seq2[audit.Entry, error] {
			return audit.Query(l.Dir, audit.Filter{Limit: limit})
		}) {
			if defect, ok := errors.AsType[*audit.DefectError](err); ok {
				if e.Node != "zone-b" || !strings.HasPrefix(err.Error(), "node zone-b: audit log ") || defect.Line != 2 {
					t.Errorf("%q: %v", e.Node, err)
				}
				got = append(got, "!")
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(e.Time.Sub(start).Seconds()))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("limit %d: %q, want %q", limit, got, want)
		}
	}
}

// source gives n records, one a second, and counts those it was asked for.
func source(n int, asked *int, fails error) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for i := range n {
			*asked++
			if !yield(audit.Entry{Record: audit.Record{Seq: uint64(i + 1), Time: start.Add(time.Duration(i) * time.Second)}}, nil) {
				return
			}
		}
		if fails != nil {
			yield(audit.Entry{}, fails)
		}
	}
}

// However long the logs are, one record of each is held, and whoever stops early has
// read no more than that.
func TestMergeReadsNoFurtherThanItMust(t *testing.T) {
	asked := map[string]*int{"a": new(int), "b": new(int), "c": new(int)}
	logs := []fleet.Log{{Node: "a"}, {Node: "b"}, {Node: "c"}}
	given := 0
	for _, err := range fleet.Merge(logs, 0, func(l fleet.Log) iter.Seq2[audit.Entry, error] { return source(1_000_000, asked[l.Node], nil) }) {
		if err != nil {
			t.Fatal(err)
		}
		given++
		if all := *asked["a"] + *asked["b"] + *asked["c"]; all > given+len(logs) {
			t.Fatalf("%d records were read for %d", all, given)
		}
		if given == 100 {
			break
		}
	}
}

// What is no damage ends it, and is not passed over for a limit.
func TestMergeEndsWithAnError(t *testing.T) {
	broken := errors.New("the disk is gone")
	for _, limit := range []int{0, 2} {
		var asked, given int
		var failed error
		for _, err := range fleet.Merge([]fleet.Log{{Node: "a"}, {Node: "b"}}, limit, func(l fleet.Log) iter.Seq2[audit.Entry, error] {
			if l.Node == "b" {
				return source(5, &asked, broken)
			}
			return source(100, &asked, nil)
		}) {
			if err != nil {
				failed = err
				continue
			}
			given++
		}
		if !errors.Is(failed, broken) || !strings.Contains(failed.Error(), "node b") || given > 10 {
			t.Errorf("limit %d: %d records, and %v", limit, given, failed)
		}
	}
}
