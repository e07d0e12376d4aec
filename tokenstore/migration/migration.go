package migration

import (
	"context"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"

	"jiragate/tokenstore/records"
)

// Source is a store that is moved away.
type Source interface {
	// Mark is the mark that the store has.
	Mark() records.Mark
	// Hold keeps everybody else from the store until it is closed, or returns an error that
	// matches tokenstore.ErrLocked.
	Hold(ctx context.Context, m records.Mark) error
	// Read calls fn with all there is, as of one moment.
	Read(ctx context.Context, fn func(records.Reader) error) error
	// SetMark replaces the mark.
	SetMark(ctx context.Context, m records.Mark) error
}

// Target is a place that a store is moved to. Until it is finished nobody can open it.
type Target interface {
	// Begin makes it ready to be filled. m has an id if the source is being left already.
	// What is returned has one in any case, and how far the target is filled. If it was
	// finished before, nothing else is to be done with it. Errors: tokenstore.ErrExists.
	Begin(ctx context.Context, m records.Mark) (_ records.Mark, done bool, err error)
	// Fill copies what is not there yet.
	Fill(ctx context.Context, from records.Reader, m records.Mark) error
	// Read calls fn with all there is, as it will be when it is finished.
	Read(ctx context.Context, fn func(records.Reader) error) error
	// Finish opens it to all.
	Finish(ctx context.Context, m records.Mark) error
}

// Options of [Run].
type Options struct {
	From Source
	To   Target
	// FromAddress and ToAddress are what JIRAGATE_STORE is set to for either.
	FromAddress, ToAddress string
	// AEAD is the keyset of the store.
	AEAD tink.AEAD
}

// Count is how many records of a bucket were compared.
type Count struct {
	Bucket  records.Bucket
	Records int
}

// Result is what was moved.
type Result struct {
	// Counts has all buckets; nil where all had been verified before.
	Counts []Count
	// Resumed is how many records were there already.
	Resumed int
}

// endTimeout bounds the last steps, which are carried through once they have begun.
const endTimeout = 3 * time.Minute

// Run moves a store. If it fails, the source is as it was, or Run says what to do.
//
// Errors: tokenstore.ErrMoved, ErrMoving, ErrLocked, ErrExists, ErrWrongKey, ErrUnavailable;
// and ErrCorrupt, which names the records.
func Run(ctx context.Context, o Options) (Result, error) {
	r := run{Options: o}
	if err := r.run(ctx); err != nil {
		return Result{}, fmt.Errorf("moving the store from %s to %s: %w", o.FromAddress, o.ToAddress, err)
	}
	return r.result, nil
}

type run struct {
	Options
	mark   records.Mark
	result Result
}

func (r *run) run(ctx context.Context) error {
	found := r.From.Mark()
	if found.State != "" && (found.State != records.Leaving || found.To != r.ToAddress) {
		return found.Err()
	}
	r.mark = records.Mark{ID: found.ID, From: r.FromAddress, To: r.ToAddress}
	if found.State == "" {
		if err := r.From.Hold(ctx, r.at(records.Copying)); err != nil {
			return err
		}
	}
	if err := r.From.Read(ctx, func(from records.Reader) error { return r.copy(ctx, from) }); err != nil {
		return err
	}
	// Nothing is left that can be refused, and half of it is worse than a wait.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if err := r.From.SetMark(ctx, r.at(records.Leaving)); err != nil {
		return err
	}
	if err := r.To.Finish(ctx, r.mark); err != nil {
		return err
	}
	return r.From.SetMark(ctx, r.at(records.Moved))
}

// at is the mark in a state, without what is of the filling alone.
func (r *run) at(s records.MarkState) records.Mark {
	return records.Mark{State: s, ID: r.mark.ID, From: r.mark.From, To: r.mark.To}
}

// copy fills the target, and compares it with the source.
func (r *run) copy(ctx context.Context, from records.Reader) error {
	if err := records.Examine(ctx, from, r.AEAD); err != nil {
		return fmt.Errorf("checking it before it is moved: %w", err)
	}
	digest, err := records.Digest(ctx, from)
	if err != nil {
		return err
	}
	begin := r.at(records.Filling)
	begin.Digest = digest
	begun, done, err := r.To.Begin(ctx, begin)
	if err != nil {
		return err
	}
	r.mark, r.result.Resumed = begun, begun.Copied
	if done {
		return nil
	}
	if err := r.To.Fill(ctx, from, begun); err != nil {
		return err
	}
	return r.To.Read(ctx, func(to records.Reader) error {
		if r.result.Counts, err = compare(ctx, from, to); err != nil {
			return fmt.Errorf("comparing the copy: %w", err)
		}
		if err := records.Examine(ctx, to, r.AEAD); err != nil {
			return fmt.Errorf("checking the copy: %w", err)
		}
		return nil
	})
}

// compare looks for each record of either in the other one.
func compare(ctx context.Context, from, to records.Reader) ([]Count, error) {
	var (
		counts []Count
		wrong  records.Findings
	)
	for _, b := range records.Buckets() {
		was, err := from.Sequence(b)
		if err != nil {
			return nil, err
		}
		is, err := to.Sequence(b)
		if err != nil {
			return nil, err
		}
		if was != is {
			wrong.Add("the numbers of %s go on from %d, not from %d", b, is, was)
		}
		n, err := eachIn(ctx, b, from, to, func(key, was, is []byte) {
			switch {
			case is == nil:
				wrong.Add("%s is missing", records.Name(b, key))
			case string(was) != string(is):
				wrong.Add("%s is another one", records.Name(b, key))
			}
		})
		if err != nil {
			return nil, err
		}
		_, err = eachIn(ctx, b, to, from, func(key, _, was []byte) {
			if was == nil {
				wrong.Add("%s does not belong there", records.Name(b, key))
			}
		})
		if err != nil {
			return nil, err
		}
		counts = append(counts, Count{b, n})
	}
	return counts, wrong.Err()
}

// eachIn calls fn with the records of one store, and what the other one has at their keys.
func eachIn(ctx context.Context, b records.Bucket, one, other records.Reader, fn func(key, value, there []byte)) (n int, err error) {
	err = one.Each(b, "", func(key, value []byte) error {
		if !records.Copied(b, key) {
			return ctx.Err()
		}
		there, err := other.Get(b, string(key))
		if err != nil {
			return err
		}
		n++
		fn(key, value, there)
		return ctx.Err()
	})
	return n, err
}
