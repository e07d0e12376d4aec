package audit

import (
	"path/filepath"
	"testing"
)

// BenchmarkCall is one call, Begin and Complete, at each mode; many at a time,
// as a gateway makes them. Half of them are writes.
func BenchmarkCall(b *testing.B) {
	for _, mode := range []SyncMode{SyncEach, SyncWrites, SyncBatch} {
		b.Run(string(mode), func(b *testing.B) {
			l := mustOpen(b, Options{Dir: filepath.Join(b.TempDir(), "audit"), Sync: mode})
			b.SetParallelism(32)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for n := 0; pb.Next(); n++ {
					r := intent([]string{"GET", "POST"}[n%2])
					p, err := l.Begin(r)
					if err == nil {
						_, err = p.Complete(outcome(r))
					}
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkAppend is one refusal at each mode.
func BenchmarkAppend(b *testing.B) {
	for _, mode := range []SyncMode{SyncEach, SyncWrites, SyncBatch} {
		b.Run(string(mode), func(b *testing.B) {
			l := mustOpen(b, Options{Dir: filepath.Join(b.TempDir(), "audit"), Sync: mode})
			b.SetParallelism(32)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := l.Append(refusal()); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	r := outcome(intent("GET")).canonical()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = appendRecord(buf[:0], &r)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkDecode(b *testing.B) {
	r := outcome(intent("GET")).canonical()
	line := appendRecord(nil, &r)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(line); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify and BenchmarkQuery read a log of 20,000 records.
func BenchmarkVerify(b *testing.B) {
	dir := bigLog(b, 20_000)
	n := 0
	for b.Loop() {
		if _, err := Verify(dir, VerifyOptions{}); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(n*20_000)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkQuery(b *testing.B) {
	dir := bigLog(b, 20_000)
	n := 0
	for b.Loop() {
		for _, err := range Query(dir, Filter{Status: 500}) {
			b.Fatal("nothing has this status: ", err)
		}
		n++
	}
	b.ReportMetric(float64(n*20_000)/b.Elapsed().Seconds(), "records/s")
}

func bigLog(b *testing.B, n int) string {
	b.Helper()
	dir := filepath.Join(b.TempDir(), "audit")
	l := mustOpen(b, Options{Dir: dir, Sync: SyncBatch})
	for range n {
		mustAppend(b, l, refusal())
	}
	mustClose(b, l)
	return dir
}
