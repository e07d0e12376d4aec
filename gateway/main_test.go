package gateway_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Whatever a test starts ends with it: a tunnel, a call or a timer that
// outlives its gateway is a failure.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
