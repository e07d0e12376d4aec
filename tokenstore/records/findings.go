package records

import (
	"errors"
)

// maxFindings is how many damaged records the error of Check names.
const maxFindings = 20

// Findings collects what is wrong with records. Its zero value has nothing.
type Findings struct {
	errs []error
	more int
}

// Add adds an error that matches tokenstore.ErrCorrupt. It names records, never their
// contents.
func (f *Findings) Add(format string, args ...any) {
	if len(f.errs) == maxFindings {
		f.more++
		return
	}
	f.errs = append(f.errs, corruptf(format, args...))
}

// Count is how many there are.
func (f *Findings) Count() int { return len(f.errs) + f.more }

func (f *Findings) join(other Findings) {
	for _, err := range other.errs {
		f.Add("%w", err)
	}
	f.more += other.more
}

// Err is an error that names the first ones, or nil.
func (f *Findings) Err() error {
	if f.more > 0 {
		return errors.Join(append(f.errs, corruptf("and %d more", f.more))...)
	}
	return errors.Join(f.errs...)
}
