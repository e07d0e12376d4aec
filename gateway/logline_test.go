package gateway

import (
	"net/http"
	"testing"
)

// Each failure on the way says in the log what an operator can do.
func TestFailuresHaveHints(t *testing.T) {
	noted := map[Code]bool{CodeSiteUnavailable: true} // an answer of Jira's, not a failure of ours
	for code, m := range meanings {
		if m.status >= http.StatusInternalServerError && !noted[code] && hints[code] == "" {
			t.Errorf("%s has no hint", code)
		}
	}
	for code := range hints {
		if meanings[code].status < http.StatusInternalServerError {
			t.Errorf("%s is not logged as a failure", code)
		}
	}
}
