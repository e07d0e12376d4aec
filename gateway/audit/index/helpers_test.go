package index_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/index"
)

// tester is what *testing.T and *rapid.T share.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// writeLog writes records, in their order, as the gateway does.
func writeLog(t tester, dir string, records ...audit.Record) {
	t.Helper()
	l, err := audit.Open(audit.Options{Dir: dir, Sync: audit.SyncBatch, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Decision == "" {
			r.Decision = audit.DecisionAllow
		}
		if _, err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// big is a record of more than a kilobyte, so that few of them fill a block.
func big(at time.Time, n int) audit.Record {
	return audit.Record{
		Time: at, Client: "billing", Connection: fmt.Sprintf("customer-%d", n%7), Operation: "issue.get", Method: "GET",
		Path: fmt.Sprintf("/rest/api/3/issue/ACME-%d/", n) + strings.Repeat("x", 1500), Status: 200,
		TraceID: traceOf(n),
	}
}

func traceOf(n int) string { return randomHex(rand.New(rand.NewPCG(uint64(n), 0)), 16) }

// hours writes so many hours of a log, each of so many big records: 150 fill a block.
func hours(t tester, dir string, hours, each int) {
	t.Helper()
	var records []audit.Record
	for n := range hours * each {
		at := start.Add(time.Duration(n/each)*time.Hour + time.Duration(n%each)*time.Second)
		records = append(records, big(at, n))
	}
	writeLog(t, dir, records...)
}

// open opens an index beside the log.
func open(t *testing.T, dir string) *index.Index {
	t.Helper()
	x, err := index.Open(index.Options{Path: indexFile(dir), Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func indexFile(dir string) string { return filepath.Join(filepath.Dir(dir), "audit-index.sqlite") }

func logDir(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "audit")
}

func update(t *testing.T, x *index.Index) index.Progress {
	t.Helper()
	p, err := x.Update(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// answer is all of an answer, line by line.
func answer(t tester, entries iter.Seq2[audit.Entry, error]) []string {
	t.Helper()
	var lines []string
	for e, err := range entries {
		defect := ""
		if err != nil {
			if _, ok := errors.AsType[*audit.DefectError](err); !ok {
				t.Fatal(err)
			}
			defect = err.Error()
		}
		lines = append(lines, fmt.Sprintf("%s:%d %s %s", e.Segment, e.Line, e.Raw, defect))
	}
	return lines
}

// mustAgree fails if the index gives another answer than the log itself.
func mustAgree(t *testing.T, x *index.Index, dir string, filters ...audit.Filter) {
	t.Helper()
	for _, f := range filters {
		compare(t, f, answer(t, x.Query(t.Context(), f)), answer(t, audit.Query(dir, f)))
	}
}

func compare(t tester, f audit.Filter, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	t.Fatalf("%+v: %d lines, want %d; they differ from line %d on", f, len(got), len(want), i+1)
}

// questions are some of each kind.
func questions() []audit.Filter {
	return []audit.Filter{
		{},
		{Limit: 3},
		{Limit: 200},
		{Limit: 3, Before: 250},
		{Kind: audit.KindCall, Connection: "customer-3", Before: 300},
		{Kind: audit.KindAct},
		{Connection: "customer-3"},
		{Connection: "customer-3", Status: 200, Limit: 5},
		{Client: "nobody"},
		{Since: start.Add(30 * time.Minute), Until: start.Add(90 * time.Minute)},
		{Text: "ACME-17/xxxxxxxxxxxxxx"},
		{Text: strings.ToUpper(traceOf(200))},
		{Text: "nowhere to be found"},
	}
}

// compress does to a segment what the log does, or, if by another gzip, what somebody
// else may do.
func compress(t tester, dir, segment string, byAnother bool) {
	t.Helper()
	path := filepath.Join(dir, segment)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if byAnother {
		writeMember(t, &out, text, nil)
	} else {
		for b := range audit.Blocks(dir, segment) {
			var member bytes.Buffer
			block := text[b.Offset:][:b.Length]
			writeMember(t, &member, block, append([]byte("JG\x08\x00"), make([]byte, 8)...))
			sizes := member.Bytes()[16:24]
			binary.LittleEndian.PutUint32(sizes, uint32(member.Len()))
			binary.LittleEndian.PutUint32(sizes[4:], uint32(len(block)))
			out.Write(member.Bytes())
		}
	}
	if err := os.WriteFile(path+".gz", out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func writeMember(t tester, to *bytes.Buffer, text, extra []byte) {
	t.Helper()
	zip := gzip.NewWriter(to)
	zip.Extra = extra
	if _, err := zip.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
}

func segmentNames(t tester, dir string) []string {
	t.Helper()
	infos, err := audit.Segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, info := range infos {
		names = append(names, info.Name)
	}
	return names
}

// overwrite puts text over the bytes of a file from offset on.
func overwrite(t tester, path string, offset int64, text []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = f.WriteAt(text, offset); err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}
