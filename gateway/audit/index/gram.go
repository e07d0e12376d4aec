package index

import (
	"encoding/binary"
	"math/bits"
	"strings"
)

const (
	gramSize = 8 // bytes that are hashed together
	// window is the shortest text that is sure to hold a hash of the filter.
	window = 16
	// filterRows is the most bits of a block's filter: 3 KiB for about 256 KiB of
	// the log. Filters are folded in halves while they are nearly empty.
	filterRows = 3 << 13
	// full is the share of bits set, in percent, at which a filter is not folded.
	full = 35
	// partBits is the size of a gram row: it fits a page of 4096 bytes.
	partBits = 3968 * 8
	maxParts = 1 << 16
)

// grams calls do with a hash for each window of s, which is in lower case; one that
// follows itself is given once. A text that is part of another gives none that the
// other does not.
func grams(s string, do func(uint64)) {
	if len(s) < window {
		return
	}
	const width = window - gramSize + 1 // hashes in a window
	var ring [width]uint64
	smallest, at := ^uint64(0), 0
	var last uint64
	given := false
	for i := 0; i+gramSize <= len(s); i++ {
		h := mix(binary.LittleEndian.Uint64([]byte(s[i : i+gramSize])))
		ring[i%width] = h
		switch {
		case h <= smallest:
			smallest, at = h, i
		case at <= i-width: // it has left the window
			smallest = ^uint64(0)
			for j := max(0, i-width+1); j <= i; j++ {
				if v := ring[j%width]; v <= smallest {
					smallest, at = v, j
				}
			}
		}
		if i >= width-1 && (!given || smallest != last) {
			do(smallest)
			last, given = smallest, true
		}
	}
}

// mix spreads the bits of v over all of the result (the finalizer of MurmurHash3).
func mix(v uint64) uint64 {
	v = (v ^ v>>33) * 0xff51afd7ed558ccd
	v = (v ^ v>>33) * 0xc4ceb9fe1a85ec53
	return v ^ v>>33
}

// positions are the rows of a hash, before folding. The hash is mixed again: being
// the smallest of several, its upper bits are mostly zero.
func positions(h uint64) (a, b int) {
	h = mix(h + 0x9e3779b97f4a7c15)
	return int(uint32(h) % filterRows), int(uint32(h>>32) % filterRows)
}

// filter is the Bloom filter of one block.
type filter [filterRows / 64]uint64

func (f *filter) add(text string) {
	if len(text) < window {
		return
	}
	grams(strings.ToLower(text), func(h uint64) {
		a, b := positions(h)
		f[a/64] |= 1 << (a % 64)
		f[b/64] |= 1 << (b % 64)
	})
}

// folded says how many bits are set when the filter has so many rows only.
func (f *filter) folded(rows int) int {
	n := 0
	if rows%64 == 0 {
		for w := range rows / 64 {
			var all uint64
			for i := w; i < len(f); i += rows / 64 {
				all |= f[i]
			}
			n += bits.OnesCount64(all)
		}
		return n
	}
	seen := make([]bool, rows)
	for bit := range f.set {
		if !seen[bit%rows] {
			seen[bit%rows] = true
			n++
		}
	}
	return n
}

// set gives the bits that are set.
func (f *filter) set(yield func(int) bool) {
	for i, w := range f {
		for ; w != 0; w &= w - 1 {
			if !yield(i*64 + bits.TrailingZeros64(w)) {
				return
			}
		}
	}
}

// layout is how the filters of a segment are stored: a row has one bit for each
// block, a part as many rows as fit.
type layout struct {
	blocks, rows int
	perPart      int // rows
}

// newLayout gives no rows if there are more blocks than a row can have.
func newLayout(blocks, rows int) layout {
	l := layout{blocks: blocks, rows: rows, perPart: partBits / max(blocks, 1)}
	if l.perPart == 0 || l.parts() > maxParts {
		return layout{blocks: blocks}
	}
	return l
}

func (l layout) parts() int {
	if l.rows == 0 {
		return 0
	}
	return (l.rows + l.perPart - 1) / l.perPart
}

// partSize is the size of a part in bytes.
func (l layout) partSize(part int) int {
	rows := min(l.perPart, l.rows-part*l.perPart)
	return (rows*l.blocks + 7) / 8
}

// bit finds the bit of a row and block in its part.
func (l layout) bit(row, block int) (part, bit int) {
	return row / l.perPart, row%l.perPart*l.blocks + block
}

// fold chooses the rows for the filters of a segment: as few as leave none of them
// full.
func fold(filters []*filter) layout {
	rows := filterRows
	for rows%2 == 0 {
		half := rows / 2
		for _, f := range filters {
			if f.folded(half)*100 > half*full {
				return newLayout(len(filters), rows)
			}
		}
		rows = half
	}
	return newLayout(len(filters), rows)
}

// transpose stores the filters row by row.
func (l layout) transpose(filters []*filter) [][]byte {
	parts := make([][]byte, l.parts())
	for i := range parts {
		parts[i] = make([]byte, l.partSize(i))
	}
	if l.rows == 0 {
		return nil
	}
	for block, f := range filters {
		for bit := range f.set {
			part, at := l.bit(bit%l.rows, block)
			parts[part][at/8] |= 1 << (at % 8)
		}
	}
	return parts
}
