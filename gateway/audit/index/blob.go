package index

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"jiragate/gateway/audit"
)

// What a blob holds is written in varints (as package encoding/binary has them), and
// followed by the sum over it and its place, four bytes, little endian.

// place is where a blob belongs, so that it is not taken for another.
type place struct {
	segment string
	size    int64 // of its file when it was indexed
	length  int64 // of its lines
}

func (p place) sum(what string, content []byte) uint32 {
	sum := crc32.Checksum(fmt.Appendf(nil, "%s %d %d %s\n", p.segment, p.size, p.length, what), castagnoli())
	return crc32.Update(sum, castagnoli(), content)
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func (p place) seal(what string, content []byte) []byte {
	return binary.LittleEndian.AppendUint32(content, p.sum(what, content))
}

func (p place) unseal(what string, blob []byte) ([]byte, error) {
	content := blob[:max(len(blob)-4, 0)]
	if len(blob) < 4 || binary.LittleEndian.Uint32(blob[len(content):]) != p.sum(what, content) {
		return nil, fmt.Errorf("%w: %s of segment %s", errDamaged, what, p.segment)
	}
	return content, nil
}

// reader takes numbers from the front of a blob. After the end, or what is no
// number, it is not ok and gives zeros.
type reader struct {
	rest   []byte
	broken bool
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.broken = true
		r.rest = nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// count is a number that is not more than limit.
func (r *reader) count(limit int) int {
	v := r.uint()
	if v > uint64(limit) {
		r.broken = true
		return 0
	}
	return int(v)
}

func (r *reader) bytes() []byte {
	n := r.uint()
	if n > uint64(len(r.rest)) {
		r.broken = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// block is a block of the log with what is in it.
type block struct {
	audit.Block
	records  int
	damaged  bool      // some line is no record
	from, to time.Time // of its records
	last     uint64    // seq of the last of them; 0 if there is none
}

// head is the blob of a segment: its blocks, which follow each other from the
// beginning of the segment to its end, and the size of its filter.
type head struct {
	blocks []block
	rows   int // of the filter; 0 if there is none
}

func (h *head) encode() []byte {
	b := binary.AppendUvarint(nil, uint64(h.rows))
	b = binary.AppendUvarint(b, uint64(len(h.blocks)))
	line := 1
	for _, k := range h.blocks {
		b = binary.AppendUvarint(b, uint64(k.Length))
		b = binary.AppendUvarint(b, uint64(k.Line-line)) // the lines of the block before
		line = k.Line
		damaged := uint64(0)
		if k.damaged {
			damaged = 1
		}
		b = binary.AppendUvarint(b, uint64(k.records)<<1|damaged)
		if k.records > 0 {
			b = binary.AppendVarint(b, k.from.UnixMicro())
			b = binary.AppendUvarint(b, uint64(k.to.UnixMicro()-k.from.UnixMicro()))
			b = binary.AppendUvarint(b, k.last)
		}
	}
	return b
}

func decodeHead(content []byte) (head, error) {
	r := reader{rest: content}
	h := head{rows: r.count(math.MaxInt32)}
	n := r.count(len(r.rest))
	line, offset := 1, int64(0)
	for i := 0; i < n && !r.broken; i++ {
		var k block
		k.Offset, k.Length = offset, r.count(math.MaxInt32)
		line += r.count(math.MaxInt32)
		k.Line = line
		offset += int64(k.Length)
		records := r.count(math.MaxInt32)
		k.records, k.damaged = records>>1, records&1 == 1
		if k.records > 0 {
			from := r.int()
			k.from = time.UnixMicro(from)
			k.to = time.UnixMicro(from + int64(r.uint()))
			k.last = r.uint()
		}
		h.blocks = append(h.blocks, k)
	}
	if r.broken || len(r.rest) > 0 {
		return head{}, fmt.Errorf("%w: the list of blocks", errDamaged)
	}
	return h, nil
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.broken = true
		r.rest = nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// length of all blocks, in bytes.
func (h *head) length() int64 {
	if len(h.blocks) == 0 {
		return 0
	}
	last := h.blocks[len(h.blocks)-1]
	return last.Offset + int64(last.Length)
}

// posting is a list of the blocks that hold a value, with the number of records
// there that do.
type posting struct {
	next int // block that would be given as 0 steps further
	data []byte
}

func (p *posting) add(block, count int) {
	p.data = binary.AppendUvarint(p.data, uint64(block-p.next))
	p.data = binary.AppendUvarint(p.data, uint64(count))
	p.next = block + 1
}

// encodePostings writes the values of one field with their blocks, in any order.
func encodePostings(values map[string]*posting) []byte {
	var b []byte
	for value, p := range values {
		b = append(binary.AppendUvarint(b, uint64(len(value))), value...)
		b = append(binary.AppendUvarint(b, uint64(len(p.data))), p.data...)
	}
	return b
}

// findPostings gives for each of so many blocks how many of its records have a value
// that is wanted.
func findPostings(content []byte, wanted func(value []byte) bool, blocks int) ([]int, error) {
	r := reader{rest: content}
	counts := make([]int, blocks)
	for len(r.rest) > 0 && !r.broken {
		v, data := r.bytes(), r.bytes()
		if !wanted(v) {
			continue
		}
		d := reader{rest: data}
		for next := 0; len(d.rest) > 0 && !d.broken; next++ {
			if next += d.count(blocks); next >= blocks {
				d.broken = true
				break
			}
			counts[next] += d.count(math.MaxInt32)
		}
		r.broken = r.broken || d.broken
	}
	if r.broken {
		return nil, fmt.Errorf("%w: the list of values", errDamaged)
	}
	return counts, nil
}
