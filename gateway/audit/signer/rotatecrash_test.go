package signer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// rotateUntilKilled prints each verifier when its rotation is over.
func rotateUntilKilled(dir string) error {
	o, _, err := shared(dir)
	if err != nil {
		return err
	}
	k, err := Open(o)
	if err != nil {
		return err
	}
	for range maxKeys - 1 {
		v, err := k.Rotate()
		if err != nil {
			return err
		}
		fmt.Println(v)
	}
	time.Sleep(time.Minute) // the file is full: killed long before
	return errors.New("it was not killed")
}

// Killed at any moment, every key whose rotation was over is there, with a
// succession from the first to the last, and at most the next one besides.
func TestRotateKilledAtAnyMoment(t *testing.T) {
	for round := range 10 {
		dir, o := newShared(t)
		first := mustOpen(t, o).Verifier()
		done := append([]string{first}, killed(t, rotateDir, dir)...)
		k := mustOpen(t, o)
		got := k.Verifiers()
		if len(got) < len(done) || len(got) > len(done)+1 || !slices.Equal(got[:len(done)], done) {
			t.Fatalf("round %d: the keys are %q, and these were told of: %q", round, got, done)
		}
		mustSucceed(t, k)
		if v := mustRotateKey(t, k); v != k.Verifier() {
			t.Errorf("round %d: the next rotation made %s, and %s signs", round, v, k.Verifier())
		}
		alone(t, o.Path)
	}
}

// What a crash between the write and the rename leaves beside the old file does
// not count, and is replaced next time.
func TestCrashBeforeRenameOfRotation(t *testing.T) {
	for name, left := range map[string]func(next []byte) []byte{
		"whole": func(next []byte) []byte { return next },
		"half":  func(next []byte) []byte { return next[:len(next)/2] },
		"empty": func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			o, _ := newOptions(t)
			k := mustOpen(t, o)
			before := k.Verifier()
			old := readFile(t, o.Path)
			lost := mustRotateKey(t, k)
			next := readFile(t, o.Path)
			writeFile(t, o.Path, old)
			writeFile(t, o.Path+".next", left(next))

			k = mustOpen(t, o)
			if k.Verifier() != before || string(readFile(t, o.Path)) != string(old) {
				t.Error("it is not the old file that was opened")
			}
			if v := mustRotateKey(t, k); v == lost || !slices.Equal(k.Verifiers(), []string{before, v}) {
				t.Errorf("after the next rotation the keys are %q", k.Verifiers())
			}
			mustSucceed(t, k)
			alone(t, o.Path)
		})
	}
}

// A disk that takes no new file leaves everything as it was; when it does again,
// so does the next rotation.
func TestRotateWhereNothingCanBeWritten(t *testing.T) {
	o, _ := newOptions(t)
	k := mustOpen(t, o)
	before, verifier := readFile(t, o.Path), k.Verifier()
	// A folder that isn't empty stands where the new file would.
	obstacle := filepath.Join(o.Path+".next", "x")
	writeFile(t, obstacle, nil)
	if v, err := k.Rotate(); err == nil || v != "" {
		t.Fatalf("Rotate = %q, %v", v, err)
	}
	if k.Verifier() != verifier || len(k.Successions()) != 0 || string(readFile(t, o.Path)) != string(before) {
		t.Error("something was changed")
	}
	if _, err := Verify(mustSign(t, k, "text\n"), verifier); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(o.Path + ".next"); err != nil {
		t.Fatal(err)
	}
	mustRotateKey(t, k)
	mustSucceed(t, mustOpen(t, o))
	alone(t, o.Path)
}

// Several that rotate and seal again at once, as other processes would: whoever
// doesn't come through says so, and what came through is all there.
func TestRotateAtOnce(t *testing.T) {
	o, ring := newOptions(t)
	first := mustOpen(t, o).Verifier()
	mustRotate(t, ring)
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		made = []string{first}
	)
	for range 6 {
		wg.Go(func() {
			v, err := rotateClosed(o)
			if errors.Is(err, ErrChanged) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			made = append(made, v)
		})
		wg.Go(func() {
			if _, err := Reseal(o.Path, o.Sealer); err != nil && !errors.Is(err, ErrChanged) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	k := mustOpen(t, o)
	got := k.Verifiers()
	slices.Sort(got)
	slices.Sort(made)
	if !slices.Equal(got, made) {
		t.Errorf("the file holds %q, and these were made: %q", got, made)
	}
	mustSucceed(t, k)
	alone(t, o.Path)
}
