package audit

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// BenchmarkCall is one call, Begin and Complete, at each mode; many at a time,
// as a gateway makes them. Half of them are writes.
func BenchmarkCall(b *testing.B) {
	for _, mode := range []SyncMode{SyncEach, SyncWrites, SyncBatch} {
		b.Run(string(mode), func(b *testing.B) {
			l := mustOpen(b, Options{Dir: filepath.Join(b.TempDir(), "audit"), Sync: mode})
			b.SetParallelism(32)
			b.ReportAllocs()
			before := ProcessorTime(b)
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
			b.ReportMetric(float64((ProcessorTime(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkWrite is how long a call that changes something waits for the disk before it
// goes out, with [SyncWrites] and beside reads; and, in turn with it, how long a bare
// loop waits for a kilobyte: in a file that is prepared, and in one that grows. Medians,
// since others use the disk, too. "growing" is a file system that prepares nothing.
func BenchmarkWrite(b *testing.B) {
	for name, fsys := range map[string]fileSystem{"prepared": disk{}, "growing": growing{}} {
		b.Run(name, func(b *testing.B) {
			dir := filepath.Join(b.TempDir(), "audit")
			l := mustOpenOn(b, Options{Dir: dir, Sync: SyncWrites}, fsys)
			bare := [2]*bareFile{{size: 64 << 20}, {}}
			for i, f := range bare {
				f.open(b, filepath.Join(dir, fmt.Sprint("bare", i)))
			}
			var took []time.Duration
			for b.Loop() {
				for range 9 {
					r := intent("GET")
					mustComplete(b, mustBegin(b, l, r), outcome(r))
				}
				time.Sleep(time.Millisecond) // the disk has ended what came before
				began := time.Now()
				p := mustBegin(b, l, intent("POST"))
				took = append(took, time.Since(began))
				mustComplete(b, p, outcome(p.intent))
				for _, f := range bare {
					time.Sleep(time.Millisecond)
					f.sync(b)
				}
			}
			write := median(took)
			b.ReportMetric(float64(write.Microseconds()), "µs/write")
			b.ReportMetric(write.Seconds()/median(bare[0].took).Seconds(), "of-prepared")
			b.ReportMetric(write.Seconds()/median(bare[1].took).Seconds(), "of-growing")
		})
	}
}

// growing is a disk whose files have no room beforehand.
type growing struct{ disk }

func (d growing) prepare(path string, _ int64) (file, error) {
	return d.open(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

// bareFile is written and brought to disk, a kilobyte at a time.
type bareFile struct {
	size int64 // prepared
	file file
	end  int64
	took []time.Duration
}

func (f *bareFile) open(b *testing.B, path string) {
	b.Helper()
	var err error
	if f.file, err = (disk{}).prepare(path, f.size); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.file.Close() })
}

func (f *bareFile) sync(b *testing.B) {
	b.Helper()
	began := time.Now()
	_, err := f.file.WriteAt(make([]byte, 1<<10), f.end)
	if err == nil {
		err = f.file.Sync()
	}
	if err != nil {
		b.Fatal(err)
	}
	f.end += 1 << 10
	f.took = append(f.took, time.Since(began))
}

func median(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2]
}

// BenchmarkCallWithoutDisk is what Begin and Complete do besides writing: as much of it
// as many calls share.
func BenchmarkCallWithoutDisk(b *testing.B) {
	o := Options{Dir: filepath.Join(b.TempDir(), "audit"), Sync: SyncBatch, SegmentSize: 1 << 40}
	l, err := open(o, nowhere{})
	if err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(32)
	b.ReportAllocs()
	before := ProcessorTime(b)
	b.RunParallel(func(pb *testing.PB) {
		r := intent("GET")
		for pb.Next() {
			r.ID = NewID()
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
	b.ReportMetric(float64((ProcessorTime(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
	mustClose(b, l)
}

// nowhere is a disk that takes no time, since it keeps nothing.
type nowhere struct{ disk }

func (d nowhere) open(path string, flag int) (file, error) {
	f, err := d.disk.open(path, flag)
	return emptyFile{f}, err
}

func (d nowhere) prepare(path string, _ int64) (file, error) {
	return d.open(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

type emptyFile struct{ file }

func (emptyFile) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (emptyFile) Sync() error                            { return nil }

// BenchmarkNewID is the id of a record.
func BenchmarkNewID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewID()
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

// BenchmarkVerify checks lines, chain, tree and checkpoints of a log of 200,000
// records in ten segments, of which all but the newest are compressed or none is.
func BenchmarkVerify(b *testing.B) {
	const size = 200_000
	signer := newTestSigner(b, 1)
	for _, form := range []string{"plain", "compressed"} {
		b.Run(form, func(b *testing.B) {
			dir := filepath.Join(b.TempDir(), "audit")
			variedLog(b, Options{Dir: dir, Sync: SyncBatch, Signer: signer, SegmentSize: 14 << 20}, size, form == "compressed")
			n := 0
			for b.Loop() {
				if _, err := Verify(dir, VerifyOptions{Trust: signer.trust(b)}); err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(n*size)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkProve makes the proof of one record in a log of 200,000.
func BenchmarkProve(b *testing.B) {
	signer := newTestSigner(b, 1)
	dir := filepath.Join(b.TempDir(), "audit")
	variedLog(b, Options{Dir: dir, Sync: SyncBatch, Signer: signer, SegmentSize: 14 << 20}, 200_000, true)
	for b.Loop() {
		if _, err := Prove(dir, 70_000, signer.trust(b)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCompress compresses a segment of 20,000 records, and tells what a record
// takes on disk, before and afterwards.
func BenchmarkCompress(b *testing.B) {
	const size = 20_000
	dir := filepath.Join(b.TempDir(), "audit")
	variedLog(b, Options{Dir: dir, Sync: SyncBatch}, size, false)
	list, err := segments(dir)
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(dir, list[0].name)
	plain := readFile(b, path)
	b.SetBytes(int64(len(plain)))
	n, before := 0, ProcessorTime(b)
	for b.Loop() {
		n++
		writeTestFile(b, path, plain)
		if err := compressSegment(disk{}, dir, list[0]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((ProcessorTime(b)-before).Nanoseconds())/1000/float64(n*size), "cpu-µs/record")
	compressed := readFile(b, filepath.Join(dir, list[0].compressedName()))
	tree := readFile(b, filepath.Join(dir, list[0].treeName()))
	b.ReportMetric(float64(len(plain))/size, "plain-B/record")
	b.ReportMetric(float64(len(compressed))/size, "gzip-B/record")
	b.ReportMetric(float64(len(tree))/size, "tree-B/record")
}

// variedLog writes n records as a gateway with some connections does, within an hour.
func variedLog(b *testing.B, o Options, n int, compressed bool) {
	b.Helper()
	l := mustOpen(b, o)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		r := outcome(intent("GET"))
		if i%10 == 0 {
			r = refusal()
		}
		r.Time = start.Add(time.Duration(i) * 10 * time.Millisecond)
		r.ID = fmt.Sprintf("019ab0c4-%04x-7%03x-8000-%012x", i>>16, random.IntN(1<<12), random.Int64N(1<<48))
		r.Client = []string{"billing", "retro-web", "retro-jobs"}[random.IntN(3)]
		r.ClientAddr = fmt.Sprintf("10.1.2.%d:%d", random.IntN(8), 32768+random.IntN(28000))
		r.Connection = fmt.Sprintf("customer-%d", random.IntN(200))
		r.Path = fmt.Sprintf("/rest/api/3/project/P%d/components", random.IntN(1000))
		r.BytesOut, r.DurationMS = int64(random.IntN(20_000)), float64(random.IntN(300_000))/1000
		r.TraceID = fmt.Sprintf("%016x%016x", random.Uint64(), random.Uint64())
		mustAppend(b, l, r)
	}
	if compressed {
		l.keeper.tidy()
	}
	mustClose(b, l)
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
