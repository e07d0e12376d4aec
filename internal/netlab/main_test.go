package netlab

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	asChild()
	goleak.VerifyTestMain(m)
}
