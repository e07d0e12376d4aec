package spreadsheet_test

import (
	"testing"

	"jiragate/internal/spreadsheet"
)

func TestCellsAreNoFormulas(t *testing.T) {
	for in, want := range map[string]string{
		"":         "",
		" ":        " ",
		"acme":     "acme",
		"a=1":      "a=1",
		"=1+1":     "'=1+1",
		"  =1+1":   "'  =1+1",
		"+1":       "'+1",
		"-1":       "'-1",
		"@SUM(A1)": "'@SUM(A1)",
		"\t=1":     "'\t=1",
		" \r=1":    "' \r=1",
		"\n=1":     "'\n=1",
		"\uff1d1":  "'\uff1d1",
		"'=1":      "'=1",
	} {
		if got := spreadsheet.Cell(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
