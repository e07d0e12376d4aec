package gateway

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
)

// The sizes of anchors. A shorter one than shortAnchor is found everywhere, and a
// longer one than anchorSize would take longer to prepare than it saves. Most answers
// are of one kilobyte.
const (
	anchorSize  = 8
	shortAnchor = 3
	gramSize    = 4
)

// anchors are byte strings that are looked for in one pass: at each stride-th place of
// an answer, a gram of a few bytes is compared with those that an anchor has at its
// first stride places. One of these lies at such a place, wherever the anchor is.
type anchors struct {
	list [maxAnchors]anchor
	n    int
	// everywhere: one is too short, or they are too many, to tell anything.
	everywhere bool

	// Made by prepare. The table is of the grams, open addressing, 0 for none; no
	// anchor has a byte of 0.
	stride int
	mask   uint32
	table  [anchorTable]uint32
	// filter has a bit for each gram, most of the bits none: what is not in it, nearly
	// all, needs no look at the table, and no guess of the processor's.
	filter [1 << filterBits / 64]uint64
}

// anchor holds its bytes by itself, so that none of the encodings that they are taken
// from outlives their adding.
type anchor struct {
	text [anchorSize]byte
	size int
}

func (a *anchor) bytes() []byte { return a.text[:a.size] }

// A credential has ten anchors at most. Each has five grams.
const (
	maxAnchors  = 12
	anchorTable = 1 << anchorBits
	anchorBits  = 7
	filterBits  = 12
)

// add adds the end of a run, which is more likely to be its own than its beginning.
func (a *anchors) add(run string) {
	if len(run) < shortAnchor || a.everywhere {
		a.everywhere = true
		return
	}
	var end anchor
	end.size = copy(end.text[:], run[max(0, len(run)-anchorSize):])
	if slices.Contains(a.list[:a.n], end) {
		return
	}
	if a.n == maxAnchors {
		a.everywhere = true
		return
	}
	a.list[a.n], a.stride = end, 0
	a.n++
}

// addBase64 adds a part that the base64 of a value has in both alphabets, and that
// what follows the value changes nothing of.
func (a *anchors) addBase64(value string) {
	// The last whole groups: they stand for themselves.
	const groups = 3 * anchorSize
	end := len(value) - len(value)%3
	if end == 0 {
		end = len(value)
	}
	var text [groups / 3 * 4]byte
	encoded := base64.RawStdEncoding.AppendEncode(text[:0], []byte(value[max(0, end-groups):end]))
	// In this alphabet "+" and "/" end a run, and there is no "-" or "_".
	a.add(longestRun(string(encoded)))
}

// addHex adds the end of a value in hexadecimal digits.
func (a *anchors) addHex(value string) {
	var text [anchorSize]byte
	a.add(string(hex.AppendEncode(text[:0], []byte(value[max(0, len(value)-anchorSize/2):]))))
}

// prepare makes the table.
func (a *anchors) prepare() {
	shortest := anchorSize
	for i := range a.list[:a.n] {
		shortest = min(shortest, a.list[i].size)
	}
	size := min(gramSize, shortest)
	a.mask = 1<<(8*size) - 1
	a.stride = shortest - size + 1
	clear(a.table[:])
	clear(a.filter[:])
	for k := range a.list[:a.n] {
		text := a.list[k].bytes()
		for i := range a.stride {
			gram := load(text, i) & a.mask
			hash := hashOf(gram)
			a.filter[hash>>(32-filterBits)/64] |= 1 << (hash >> (32 - filterBits) % 64)
			at := hash >> (32 - anchorBits)
			for a.table[at] != 0 && a.table[at] != gram {
				at = (at + 1) % anchorTable
			}
			a.table[at] = gram
		}
	}
}

// anchored reports whether b may hold what the anchors are of.
func anchored[T string | []byte](a *anchors, b T) bool {
	if a.everywhere {
		return true
	}
	if a.stride == 0 {
		if a.n == 0 {
			return false
		}
		a.prepare()
	}
	stride, mask, i := a.stride, a.mask, 0
	for ; i <= len(b)-gramSize; i += stride {
		gram := (uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16 | uint32(b[i+3])<<24) & mask
		hash := hashOf(gram)
		if a.filter[hash>>(32-filterBits)/64]>>(hash>>(32-filterBits)%64)&1 != 0 && a.has(gram, hash) && around(a, b, i) {
			return true
		}
	}
	for ; i <= len(b)-shortAnchor; i += stride {
		if gram := load(b, i) & mask; a.has(gram, hashOf(gram)) && around(a, b, i) {
			return true
		}
	}
	return false
}

// has reports whether a gram is in the table.
func (a *anchors) has(gram, hash uint32) bool {
	for at := hash >> (32 - anchorBits); a.table[at] != 0; at = (at + 1) % anchorTable {
		if a.table[at] == gram {
			return true
		}
	}
	return false
}

// around reports whether an anchor lies in b so that i is among its first places.
func around[T string | []byte](a *anchors, b T, i int) bool {
	for from := max(0, i-a.stride+1); from <= i; from++ {
		for k := range a.list[:a.n] {
			if begins(b, from, a.list[k].bytes()) {
				return true
			}
		}
	}
	return false
}

func begins[T string | []byte](b T, from int, anchor []byte) bool {
	if len(b)-from < len(anchor) {
		return false
	}
	for k := range len(anchor) {
		if b[from+k] != anchor[k] {
			return false
		}
	}
	return true
}

// load reads up to four bytes of b from i on, in the order of a number.
func load[T string | []byte](b T, i int) (gram uint32) {
	if len(b)-i >= gramSize {
		return uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16 | uint32(b[i+3])<<24
	}
	for k := 0; i+k < len(b); k++ {
		gram |= uint32(b[i+k]) << (8 * k)
	}
	return gram
}

// hashOf is the hash of a gram, the first bits of which are the best.
func hashOf(gram uint32) uint32 { return gram * 0x9E3779B1 }
