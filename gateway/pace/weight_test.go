package pace_test

import (
	"os"
	"regexp"
	"testing"

	"jiragate/gateway/pace"
)

func TestWeights(t *testing.T) {
	for operation, want := range map[string]int{"issue.create": 1, "issue.delete": 1, "myself.get": 3, "project.get": 2, "not.known": 1, "": 1} {
		if got := pace.Weight(operation); got != want {
			t.Errorf("%s weighs %d, want %d", operation, got, want)
		}
	}
}

// Every read of the catalogue costs more than what is not known.
func TestEveryReadOfTheCatalogueHasAWeight(t *testing.T) {
	catalogue, err := os.ReadFile("../../policy/jira.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ids := regexp.MustCompile(`(?m)^  - id: (\S+)`).FindAllSubmatch(catalogue, -1)
	if len(ids) < 10 {
		t.Fatalf("%d operations found in the catalogue", len(ids))
	}
	for _, id := range ids {
		operation := string(id[1])
		if write := operation == "issue.create" || operation == "issue.delete"; (pace.Weight(operation) == 1) != write {
			t.Errorf("%s weighs %d", operation, pace.Weight(operation))
		}
	}
}
