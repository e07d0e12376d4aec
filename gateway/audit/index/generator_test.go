package index_test

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// start is the hour of the first record.
var start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// generator writes a log as a gateway with 40 clients and 300 connections makes it.
// Its lines are canonical, but not chained: queries do not look at that.
type generator struct {
	random  *rand.Rand
	perHour int   // records
	segment int64 // bytes after which another follows
}

// sample is what the benchmarks ask for, from the middle of the log.
type sample struct {
	id, trace string
	time      time.Time
}

var (
	operations = []string{"issue.get", "issue.search", "issue.create", "issue.edit", "comment.add", "myself.get", "project.get", "user.picker",
		"user.assignable.search", "issue.transitions", "issue.transition", "attachment.add", "worklog.add", "field.list", "serverinfo.get"}
	codes = []string{"not_granted", "operation_not_documented", "method_not_documented", "query_not_documented", "rate_limited"}
)

// write writes so many records to dir, and tells the size of the log.
func (g *generator) write(tb testing.TB, dir string, records int) (middle sample, size int64) {
	tb.Helper()
	var f *os.File
	var w *bufio.Writer
	var name string
	var written int64
	part := 0
	finish := func() {
		if f == nil {
			return
		}
		if err := w.Flush(); err != nil {
			tb.Fatal(err)
		}
		if err := f.Close(); err != nil {
			tb.Fatal(err)
		}
	}
	var line []byte
	for n := range records {
		at := start.Add(time.Duration(n) * (time.Hour / time.Duration(g.perHour)))
		hour := at.Format("2006-01-02T15")
		if f == nil || hour != name || written >= g.segment {
			finish()
			if part++; hour != name {
				name, part = hour, 1
			}
			file := name
			if part > 1 {
				file += fmt.Sprintf("_%04d", part)
			}
			var err error
			if f, err = os.OpenFile(filepath.Join(dir, file+".jsonl"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
				tb.Fatal(err)
			}
			w, written = bufio.NewWriterSize(f, 1<<20), 0
		}
		var s sample
		line, s = g.line(line[:0], n, at)
		if n == records/2 {
			middle = s
		}
		if _, err := w.Write(line); err != nil {
			tb.Fatal(err)
		}
		written += int64(len(line))
		size += int64(len(line))
	}
	finish()
	return middle, size
}

func (g *generator) line(b []byte, n int, at time.Time) ([]byte, sample) {
	r := g.random
	connection := int(r.ExpFloat64()*40) % 300 // some customers are busy, most are not
	operation := operations[int(r.ExpFloat64()*3)%len(operations)]
	s := sample{id: newID(r, at), trace: randomHex(r, 16), time: at}
	decision, code, status := "allow", "", 200
	switch k := r.IntN(10_000); {
	case k < 300:
		decision, code, status = "deny", codes[int(r.ExpFloat64())%len(codes)], 403
	case k < 400:
		status = 404
	}
	if r.IntN(1_000_000) == 0 {
		code = "interrupted"
	}
	policy := hex.EncodeToString(binary.BigEndian.AppendUint64(make([]byte, 24), uint64(n/1_000_000)))
	b = fmt.Appendf(b, `{"seq":%d,"time":"%s","id":"%s","client":"service-%02d","client_addr":"10.1.%d.%d:%d","connection":"customer-%03d","edition":"cloud","region":"%s"`,
		n+1, at.Format("2006-01-02T15:04:05.000000Z"), s.id, connection%40, r.IntN(4), r.IntN(20), 32768+r.IntN(28000), connection, []string{"eu", "us"}[connection%2])
	b = fmt.Appendf(b, `,"method":"GET","operation":"%s","path":"/rest/api/3/issue/PROJ%d-%d/comment","query_names":["fields","expand"],"decision":"%s","code":"%s"`,
		operation, connection%7, r.IntN(100_000), decision, code)
	b = fmt.Appendf(b, `,"policy_sha256":"%s","credential":"oauth2","egress_ip":"203.0.113.%d","upstream_addr":"198.51.100.%d:443"`, policy, connection%4, r.IntN(16))
	b = fmt.Appendf(b, `,"status":%d,"bytes_in":0,"bytes_out":%d,"duration_ms":%d.%d,"trace_id":"%s","prev":"%s"}`+"\n",
		status, r.IntN(50_000), 20+r.IntN(400), 1+r.IntN(9), s.trace, randomHex(r, 32))
	return b, s
}

func newID(r *rand.Rand, at time.Time) string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], uint64(at.UnixMilli())<<16|0x7000|r.Uint64()&0xfff)
	binary.BigEndian.PutUint64(id[8:], r.Uint64()>>2|1<<63)
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

func randomHex(r *rand.Rand, bytes int) string {
	b := make([]byte, 0, bytes)
	for len(b) < bytes {
		b = binary.LittleEndian.AppendUint64(b, r.Uint64())
	}
	return hex.EncodeToString(b)
}
