package audit_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/activity"
	"jiragate/gateway/audit/privacy"
	"jiragate/gateway/audit/signer"
)

// BenchmarkCost is what the records of a call cost the processor, at a steady rate and
// with everything that a gateway has on: the intent, the record, both masked, the
// counts for charts; and, in the background, fsync, tree, checkpoints, and the
// compression of all that was written. "pace" is what the benchmark costs by itself.
func BenchmarkCost(b *testing.B) {
	const rate, atOnce = 10_000, 16
	for _, bench := range []struct {
		name  string
		sync  audit.SyncMode
		masks privacy.Mode
	}{
		{"pace", "", ""},
		{"batch", audit.SyncBatch, privacy.Keep},
		{"batch,pseudonyms", audit.SyncBatch, privacy.Pseudonymise},
		{"writes", audit.SyncWrites, privacy.Keep},
	} {
		b.Run(fmt.Sprintf("%s/%d-a-second", bench.name, rate), func(b *testing.B) {
			call := func(int) error { return nil }
			finish := func() error { return nil }
			if bench.sync != "" {
				call, finish = recorder(b, bench.sync, bench.masks)
			}
			b.ReportAllocs()
			b.ResetTimer()
			before := audit.ProcessorTime(b)
			paced(b, b.N, atOnce, rate, call)
			b.StopTimer()
			if err := finish(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64((audit.ProcessorTime(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
		})
	}
}

// recorder is the part of a gateway that records a call, and its end.
func recorder(b *testing.B, mode audit.SyncMode, masks privacy.Mode) (call func(n int) error, finish func() error) {
	b.Helper()
	dir := b.TempDir()
	masker, err := privacy.Open(privacy.Options{
		Identifiers: masks, ClientAddr: masks, Path: filepath.Join(dir, "key"), Sealer: glass{},
	})
	if err != nil {
		b.Fatal(err)
	}
	key, err := signer.Open(signer.Options{Path: filepath.Join(dir, "signer"), Sealer: glass{}, Name: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	board := activity.New(activity.Options{})
	l, err := audit.Open(audit.Options{
		// Small segments, so that nearly all of a short run is compressed, too.
		Dir: filepath.Join(dir, "audit"), Sync: mode, SegmentSize: 4 << 20,
		Signer: key, Observe: board.Observe, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	call = func(n int) error {
		r := arrived(n)
		path := func(f func(name, value string) string) string {
			return "/rest/api/3/project/" + f("projectIdOrKey", "ACME") + "/components"
		}
		p, err := l.Begin(masker.Mask(r, path))
		if err != nil {
			return err
		}
		r.Status, r.BytesOut, r.DurationMS = 200, 1024, 12.345
		r.UpstreamAddr = "203.0.113.9:443"
		_, err = p.Complete(masker.Mask(r, path))
		return err
	}
	return call, func() error {
		l.Tidy()
		return l.Close()
	}
}

// arrived is the record of a call before it goes out; a tenth are writes.
func arrived(n int) audit.Record {
	method := "GET"
	if n%10 == 0 {
		method = "PUT"
	}
	return audit.Record{
		Time: time.Now(), ID: audit.NewID(), Client: []string{"billing", "retro-web", "retro-jobs"}[n%3],
		ClientAddr: fmt.Sprintf("10.1.2.%d:%d", n%8, 32768+n%28000), Connection: fmt.Sprintf("customer-%d", n%200),
		Edition: "datacenter", Region: "us", Method: method, Operation: "project.components.list",
		Path: "/rest/api/3/project/ACME/components", Decision: audit.DecisionAllow,
		PolicySHA256: "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
		Credential:   "basic", EgressIP: "198.51.100.4", TraceID: fmt.Sprintf("%032x", uint64(n)*0x9e3779b97f4a7c15),
	}
}

// paced makes n calls, so many a second, evenly, at most so many at a time.
func paced(b *testing.B, n, atOnce, rate int, call func(n int) error) {
	began := time.Now()
	var all sync.WaitGroup
	for worker := range atOnce {
		all.Go(func() {
			for i := worker; i < n; i += atOnce {
				time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
				if err := call(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// glass seals nothing.
type glass struct{}

func (glass) Encrypt(plaintext, _ []byte) ([]byte, error)  { return bytes.Clone(plaintext), nil }
func (glass) Decrypt(ciphertext, _ []byte) ([]byte, error) { return bytes.Clone(ciphertext), nil }
