package notify

import (
	"testing"

	"go.uber.org/goleak"
)

// Whatever a test starts ends with it: a Notifier that has returned from Run
// leaves no delivery and no connection behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
