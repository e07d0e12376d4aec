package index

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestHeadIsReadAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := head{rows: rapid.IntRange(0, filterRows).Draw(t, "rows")}
		k := block{}
		k.Line = 1
		for range rapid.IntRange(0, 20).Draw(t, "blocks") {
			k.Offset += int64(k.Length)
			k.Line += rapid.IntRange(0, 1000).Draw(t, "lines")
			k.Length = rapid.IntRange(1, 1<<19).Draw(t, "length")
			k.damaged = rapid.Bool().Draw(t, "damaged")
			k.records = rapid.IntRange(0, 1000).Draw(t, "records")
			k.from, k.to, k.last = time.Time{}, time.Time{}, 0
			if k.records > 0 {
				k.from = time.UnixMicro(rapid.Int64Range(-1<<55, 1<<57).Draw(t, "from"))
				k.to = k.from.Add(time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "for")) * time.Microsecond)
				k.last = rapid.Uint64().Draw(t, "last")
			}
			h.blocks = append(h.blocks, k)
		}
		got, err := decodeHead(h.encode())
		if err != nil || got.rows != h.rows || !slices.Equal(got.blocks, h.blocks) {
			t.Fatalf("%+v, %v, want %+v", got, err, h)
		}
	})
}

func TestPostingIsFoundAsWritten(t *testing.T) {
	values := map[string]*posting{"": {}, "acme": {}, "acme2": {}}
	values["acme"].add(0, 3)
	values["acme"].add(1, 1)
	values["acme"].add(7, 200)
	values["acme2"].add(2, 1)
	content := encodePostings(values)
	for value, want := range map[string][]int{"acme": {3, 1, 0, 0, 0, 0, 0, 200}, "acme2": {0, 0, 1, 0, 0, 0, 0, 0}, "ac": make([]int, 8)} {
		if got, err := findPostings(content, is(value), 8); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", value, got, err)
		}
	}
	if _, err := findPostings(content, is("acme"), 7); !errors.Is(err, errDamaged) {
		t.Errorf("a block that is not there: %v", err)
	}
}

func is(value string) func([]byte) bool {
	return func(v []byte) bool { return string(v) == value }
}

func TestPostingsOfSeveralValuesAddUp(t *testing.T) {
	values := map[string]*posting{"a1": {}, "a2": {}, "b": {}}
	values["a1"].add(0, 3)
	values["a2"].add(0, 1)
	values["a2"].add(2, 5)
	values["b"].add(1, 9)
	got, err := findPostings(encodePostings(values), func(v []byte) bool { return v[0] == 'a' }, 3)
	if err != nil || !slices.Equal(got, []int{4, 0, 5}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestBlobFitsItsPlaceAlone(t *testing.T) {
	at := place{"a", 1, 2}
	blob := at.seal("blocks", []byte("content"))
	if content, err := at.unseal("blocks", blob); string(content) != "content" || err != nil {
		t.Errorf("%q, %v", content, err)
	}
	for _, row := range []struct {
		place
		what string
		blob []byte
	}{
		{place{"b", 1, 2}, "blocks", blob},
		{place{"a", 2, 2}, "blocks", blob},
		{place{"a", 1, 3}, "blocks", blob},
		{at, "code", blob},
		{at, "blocks", blob[1:]},
		{at, "blocks", blob[:3]},
		{at, "blocks", nil},
	} {
		if _, err := row.unseal(row.what, row.blob); !errors.Is(err, errDamaged) {
			t.Errorf("%+v: %v", row, err)
		}
	}
}

// FuzzBlobs: whatever a blob holds, it is read or refused.
func FuzzBlobs(f *testing.F) {
	k := block{records: 3, from: time.UnixMicro(5), to: time.UnixMicro(6)}
	k.Length, k.Line = 100, 1
	f.Add((&head{rows: 24, blocks: []block{k, k}}).encode())
	p := posting{}
	p.add(3, 4)
	f.Add(encodePostings(map[string]*posting{"acme": &p}))
	f.Add([]byte("\x04000")) // a text that ends before its length
	f.Fuzz(func(t *testing.T, content []byte) {
		if h, err := decodeHead(content); err == nil {
			for i, b := range h.blocks[min(1, len(h.blocks)):] {
				if before := h.blocks[i]; b.Offset != before.Offset+int64(before.Length) || b.Line < before.Line {
					t.Errorf("block %d does not follow the one before", i+1)
				}
			}
		}
		if counts, err := findPostings(content, is("acme"), 5); err == nil && len(counts) != 5 {
			t.Errorf("%d counts", len(counts))
		}
	})
}
