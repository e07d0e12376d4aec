package echo

import (
	"testing"

	"go.uber.org/goleak"
)

// No question outlives the round that asked it, and no connection the question.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
