// Package shards keeps a large map of which one version follows another. A version never
// changes, so that it is read without a lock; the next one shares with it all but the
// few parts that are different, so that one change among very many costs little.
package shards

import (
	"hash/maphash"
	"iter"
	"maps"
)

// count is into how many parts a map is divided. A change copies a list of them, which is 8 KB,
// and each part that it is about: with 100,000 entries, 100 entries.
const count = 1024

type part[V any] = map[string]V

// Map is one version. Its zero value is empty. It is safe for concurrent use; the values
// are shared.
type Map[V any] struct {
	seed  maphash.Seed
	parts *[count]part[V] // nil as long as there never was anything
	size  int
}

func (m *Map[V]) at(key string) int { return int(maphash.String(m.seed, key) % count) }

// Get returns the value of a key.
func (m *Map[V]) Get(key string) (V, bool) {
	if m.parts == nil {
		var none V
		return none, false
	}
	v, ok := m.parts[m.at(key)][key]
	return v, ok
}

// Len is how many entries there are.
func (m *Map[V]) Len() int { return m.size }

// Keys are all keys, in no order.
func (m *Map[V]) Keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		if m.parts == nil {
			return
		}
		for _, p := range m.parts {
			for key := range p {
				if !yield(key) {
					return
				}
			}
		}
	}
}

// Draft is the next version of a map in the making. It is for one goroutine.
type Draft[V any] struct {
	next Map[V]
	own  [count]bool // parts that aren't shared with the version before
	room int         // expected in each part
}

// Draft begins the next version. As many as size entries are expected in it.
func (m *Map[V]) Draft(size int) *Draft[V] {
	d := &Draft[V]{next: Map[V]{seed: m.seed, parts: new([count]part[V]), size: m.size}, room: size / count}
	if m.parts == nil {
		d.next.seed = maphash.MakeSeed()
	} else {
		*d.next.parts = *m.parts
	}
	return d
}

// Get returns the value of a key, as it has been set so far.
func (d *Draft[V]) Get(key string) (V, bool) { return d.next.Get(key) }

// Set puts in a value, or another one.
func (d *Draft[V]) Set(key string, value V) {
	p := d.part(key)
	d.next.size -= len(p)
	p[key] = value
	d.next.size += len(p)
}

// Delete takes out a key, if it is there.
func (d *Draft[V]) Delete(key string) {
	if _, ok := d.Get(key); ok {
		delete(d.part(key), key)
		d.next.size--
	}
}

// part is where a key is changed.
func (d *Draft[V]) part(key string) part[V] {
	i := d.next.at(key)
	switch {
	case d.own[i]:
	case d.next.parts[i] == nil:
		d.next.parts[i] = make(part[V], d.room)
	default:
		d.next.parts[i] = maps.Clone(d.next.parts[i])
	}
	d.own[i] = true
	return d.next.parts[i]
}

// Map ends the draft, which isn't to be used any more.
func (d *Draft[V]) Map() Map[V] { return d.next }
