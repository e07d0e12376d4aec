package oauth

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// Started again by TestKilledAtAnyMoment, it is the process that is killed.
	if dir := os.Getenv(killDir); dir != "" {
		if err := refreshUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
