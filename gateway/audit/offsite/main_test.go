package offsite

import (
	"testing"

	"go.uber.org/goleak"
)

// A Courier that has returned from Run leaves nothing behind, unless an attempt
// hangs in the operating system.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
