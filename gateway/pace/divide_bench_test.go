package pace

import "testing"

// Dividing the points anew among 10,000 connections, half of which ask for more:
// once in ten seconds, under the lock.
func BenchmarkDivide(b *testing.B) {
	f, all := known(maxAppPoints, 10_000)
	for i, s := range all {
		if s.used = int64(i * point); i%2 == 0 {
			f.ask(s, unbounded)
		}
	}
	f.slice++
	for b.Loop() {
		f.divide()
		f.rank(f.slice - 1)
	}
	if f.asking != 5000 {
		b.Fatalf("%d asked", f.asking)
	}
}
