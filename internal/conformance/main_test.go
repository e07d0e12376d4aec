package conformance

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// requireVariable names the environment variable that makes the tools a must: if it
// is set (to 1, by custom), a test fails that would be skipped without its tool. It
// is for CI, where a skipped test would go unnoticed.
const requireVariable = "CI_REQUIRE_CONFORMANCE"

// without ends a test whose tool is missing.
func without(t *testing.T, tool, remedy string, err error) {
	t.Helper()
	if os.Getenv(requireVariable) != "" {
		t.Fatalf("%s is missing: %s: %v", tool, remedy, err)
	}
	t.Skipf("no %s here (set %s=1 to make this a failure): %s: %v", tool, requireVariable, remedy, err)
}
